"""The command line's client where no origin stands before the parts: each path goes to the part that it names."""

from __future__ import annotations

import time
from typing import Any

from steadypath.client import Client, ProblemError
from steadypath.driver import PATIENCE_SECONDS
from steadypath.errors import CommandError
from steadypath.rehearse.system import System
from steadypath.state import Running

#: Machine seconds between two tries to reach a part that is being started again.
_PAUSE = 0.1


class RehearsalOver(Exception):
    """Nobody waits for the answer any more: the rehearsal was ended."""


class PartsClient(Client):
    """Blocking calls from a thread. `over` ends them at their next try, so that no thread outlives the rehearsal."""

    def __init__(self, running: System) -> None:
        self._running_system = running
        self.over = False

    def call(self, method: str, path: str, body: object = None, *, key: str | None = None) -> Any:
        """As Client's; a part that is being started again is waited for, where asking twice is as good as once."""
        part = path.split("/")[1]
        client = Client(Running(self._running_system.base(part), self._running_system.key))
        until = time.monotonic() + (PATIENCE_SECONDS if method in ("GET", "PUT") else 0)
        while not self.over:
            try:
                return client.call(method, path, body, key=key)
            except CommandError as error:
                away = not isinstance(error, ProblemError) or error.status in (502, 503, 504)
                if not away or time.monotonic() > until:
                    raise
                time.sleep(_PAUSE)
        raise RehearsalOver

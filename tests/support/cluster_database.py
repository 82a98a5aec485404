"""The embedded real PostgreSQL as a process that a proof may end, in good order or not, and start again on what it left."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

from shared.embedded.postgres import Postgres


class Server:
    """The session's PostgreSQL as a process that a proof may kill and start again."""

    def __init__(self, folder: Path) -> None:
        self.postgres = Postgres(folder, durable=False)
        self._log = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.postgres.prepare()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self.postgres.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0
            )
        self.postgres.wait_until_ready(self._process)

    def end(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(30)

"""An opt-out stands once it is answered: whoever takes one waits until no text to that person is under way (DESIGN.md rule 2)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from time import monotonic
from uuid import UUID

from services.notifier.storage import messages
from shared.defaults import default
from shared.logs import log
from shared.runtime import Runtime

WAITS: timedelta = default("notifier", "stop_waits")
#: How often the wait looks, machine seconds.
_LOOK = 0.05


async def drain(runtime: Runtime, contact_ids: Sequence[UUID], arrived: float) -> bool:
    """Waits until no text to these contacts is under way, at most until 12 s after the request `arrived` (monotonic); whether
    none is. Call it after the opt-out has committed: no further text can begin then, in whatever process the sender is."""
    deadline = arrived + WAITS.total_seconds()
    while True:
        async with runtime.unit() as unit:
            if not await messages.attempting(unit, contact_ids):
                return True
        if monotonic() + _LOOK >= deadline:
            log.warning("a text was still under way when an opt-out was answered")
            return False
        await asyncio.sleep(_LOOK)

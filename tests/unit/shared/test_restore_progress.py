"""What counts as coming further while a restored service hears everything again."""

from __future__ import annotations

from typing import Any, cast

import pytest

from shared.messaging.consumer import Consumer
from shared.restore import process
from shared.restore.process import NotYet


class Reading:
    """A consumer that comes one record further a look, up to `until`, and handles none: they are events it has no handler for."""

    def __init__(self, until: int) -> None:
        self._until = until
        self._at = 0

    async def reach(self, _lasts: Any, _within: float) -> None:
        self._at = min(self._at + 1, self._until)

    def positions(self) -> dict[str, int]:
        return {"due.v1:0": self._at}

    def handled(self) -> int:
        return 0


async def test_events_without_a_handler_are_progress() -> None:
    await process._reach(cast("Consumer", Reading(until=5)), {"due.v1:0": 4})


async def test_where_nothing_comes_further_it_is_not_yet() -> None:
    with pytest.raises(NotYet):
        await process._reach(cast("Consumer", Reading(until=3)), {"due.v1:0": 4})

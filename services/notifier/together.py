"""What arrives while a transaction of its kind is under way goes together into the next: one lock, one read, one commit for all.

Nobody waits for company: whoever finds no transaction under way begins one. What is carried through together stands or falls
together, and each is told only once it stands. A group that fails, or that does not come through in a moment (somebody's lock is
held), is rolled back, and each of it goes by itself: one that cannot be carried through never fails another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from shared.http import commands
from shared.logs import log

Item = TypeVar("Item")
Result = TypeVar("Result")
#: How long (machine seconds) a group may take before each of it goes by itself. Two of these (the group before, and its own)
#: leave more than half of the 2 s in which an answer is to be recorded before its lease runs out.
_PATIENCE = 0.4


class AloneError(Exception):
    """Nothing of it was carried through: go by yourself."""


@dataclass(eq=False)
class _Place(Generic[Item, Result]):
    """One that waits, and what came of it."""

    item: Item
    done: bool = False
    result: Result | None = None
    error: BaseException | None = None


class Together(Generic[Item, Result]):
    """One for each kind of transaction in a process. `carry` carries a group through, commit included, and returns what came of
    each in their order; it may be called again for one that was in a group before: then it must change nothing."""

    def __init__(self, carry: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]], *, at_most: int) -> None:
        self._carry = carry
        self._at_most = at_most
        self._waiting: list[_Place[Item, Result]] = []
        #: First come, first served; whoever gets in carries all who wait.
        self._one = asyncio.Lock()

    async def __call__(self, item: Item) -> Result:
        """What came of it, once it is committed. Raises what carrying it through raised."""
        mine: _Place[Item, Result] = _Place(item)
        self._waiting.append(mine)
        try:
            async with self._one:
                if not mine.done:
                    await asyncio.sleep(0)  # whatever the network has brought in the same moment comes along
                    await self._carry_waiting()
        finally:
            if mine in self._waiting:  # ours was cancelled before its turn
                self._waiting.remove(mine)
        if isinstance(mine.error, AloneError):
            return (await self._carry([item]))[0]
        if mine.error is not None:
            raise mine.error
        return mine.result  # type: ignore[return-value]  # done without an error: there is one

    async def _carry_waiting(self) -> None:
        group, self._waiting = self._waiting[: self._at_most], self._waiting[self._at_most :]
        try:
            # The transaction is nobody's command: it carries several.
            with commands.acting_for(None):
                async with asyncio.timeout(_PATIENCE):
                    results = await self._carry([each.item for each in group])
        except Exception as error:  # whatever it is: each of them finds out by itself
            self._break_up(group, error)
        except asyncio.CancelledError:
            self._break_up(group, AloneError())
            raise
        else:
            for each, result in zip(group, results, strict=True):
                each.done, each.result = True, result

    @staticmethod
    def _break_up(group: Sequence[_Place[Item, Result]], error: Exception) -> None:
        together = len(group) > 1 or isinstance(error, TimeoutError | AloneError)
        if together:
            log.debug("a group goes one by one", count=len(group))
        for each in group:
            each.done, each.error = True, AloneError() if together else error

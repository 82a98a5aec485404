"""What arrives while a transaction of its kind is under way goes together into the next: one lock, one read, one commit for all.

Nobody who comes alone waits for company: whoever finds no transaction under way begins one. Only where more is known to be on its
way, or after a group that had company (what comes together mostly comes so again, and in the same number), some milliseconds are
waited at most. What is carried through together stands or falls together, and each is told only once it stands. A group that
fails, or that meets a lock which is held for more than a moment, is rolled back, and each of it goes by itself: one that cannot
be carried through never fails another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar
from weakref import WeakKeyDictionary

from shared.http import commands
from shared.logs import log
from shared.runtime import Runtime

Item = TypeVar("Item")
Result = TypeVar("Result")
_Item_contra = TypeVar("_Item_contra", contravariant=True)
_Result_co = TypeVar("_Result_co", covariant=True)
#: How long (machine milliseconds) a group may wait for all its locks; all else the database bounds as in any transaction.
#: Two such waits (the group before, of whichever kind, and its own) leave more than half of the 2 s in which an answer is to be
#: recorded before its lease runs out. The database ends the wait, with an error: a statement that is cancelled from here costs
#: its connection.
_PATIENCE = 400
#: How long (machine seconds) a group may take in all. Longer takes one whose connection nobody answers on any more: it is given
#: up, and with it the group, so that it holds up nobody but itself.
_AT_LONGEST = 5.0
#: How long (machine seconds) company is awaited after a group that had some, and how long what is known to be on its way.
_COMPANY = 0.004
_ON_THEIR_WAY = 0.015


def patience(*, alone: bool) -> int | None:
    """How long a group waits for its locks (machine milliseconds); who goes alone waits as long as it takes."""
    return None if alone else _PATIENCE


#: One for each process: an answer and the callbacks about the same text lock the same people.
_turns: WeakKeyDictionary[Runtime, asyncio.Lock] = WeakKeyDictionary()


def turn_of(runtime: Runtime) -> asyncio.Lock:
    """Whose turn it is among those that record what becomes of texts."""
    return _turns.setdefault(runtime, asyncio.Lock())


class Carry(Protocol[_Item_contra, _Result_co]):
    """Carries a group through, commit included, and returns what came of each in their order. It may be called again for one that
    was in a group before: then it must change nothing. `alone`: one by itself, that may wait; a group has but its `patience`."""

    async def __call__(self, items: Sequence[_Item_contra], *, alone: bool) -> Sequence[_Result_co]: ...


@dataclass(eq=False)
class _Place(Generic[Item, Result]):
    """One that waits, and what came of it."""

    item: Item
    done: bool = False
    failed: bool = False
    result: Result | None = None


class Together(Generic[Item, Result]):
    """One for each kind of transaction in a process."""

    def __init__(
        self,
        carry: Carry[Item, Result],
        *,
        at_most: int,
        expected: Callable[[], int] | None = None,
        turn: asyncio.Lock | None = None,
    ) -> None:
        """`expected`, where that is known: how many wait here or are on their way. `turn`: shared with others whose groups would
        only wait for each other's locks in the database."""
        self._carry = carry
        self._expected = expected
        self._at_most = at_most
        self._waiting: list[_Place[Item, Result]] = []
        self._came = asyncio.Event()
        #: First come, first served; whoever gets in carries all who wait.
        self._one = asyncio.Lock()
        #: The others, too, have one at a time who waits for it, so that kinds take it in turn however many come of one of them.
        self._turn = turn or asyncio.Lock()
        #: How many the group before was.
        self._before = 1

    async def __call__(self, item: Item) -> Result:
        """What came of it, once it is committed. Raises what carrying it through raised."""
        mine: _Place[Item, Result] = _Place(item)
        self._waiting.append(mine)
        self._came.set()
        try:
            async with self._one:
                while not mine.done:
                    async with self._turn:
                        await self._await_company()
                        await self._carry_waiting()
        finally:
            if mine in self._waiting:  # ours was cancelled before its turn
                self._waiting.remove(mine)
        if mine.failed:
            return (await self._carry([item], alone=True))[0]
        return mine.result  # type: ignore[return-value]  # done and not failed: there is one

    def look_again(self) -> None:
        """What is expected may be less by now."""
        self._came.set()

    async def _await_company(self) -> None:
        """Whatever the network has brought in the same moment comes along anyway."""
        await asyncio.sleep(0)
        with suppress(TimeoutError):
            async with asyncio.timeout(_COMPANY if self._expected is None else _ON_THEIR_WAY):
                while len(self._waiting) < min(self._wanted(), self._at_most):
                    self._came.clear()
                    await self._came.wait()

    def _wanted(self) -> int:
        return self._before if self._expected is None else self._expected()

    async def _carry_waiting(self) -> None:
        group, self._waiting = self._waiting[: self._at_most], self._waiting[self._at_most :]
        self._before = len(group)
        try:
            # The transaction is nobody's command: it carries several.
            with commands.acting_for(None):
                async with asyncio.timeout(_AT_LONGEST):
                    results = await self._carry([each.item for each in group], alone=False)
            for each, result in zip(group, results, strict=True):
                each.result = result
        except Exception as error:  # whatever it is: each of them finds out by itself
            log.failure("a group goes one by one", error, level="info", count=len(group))
            self._break_up(group)
        except asyncio.CancelledError:
            self._break_up(group)
            raise
        for each in group:
            each.done = True

    @staticmethod
    def _break_up(group: Sequence[_Place[Item, Result]]) -> None:
        for each in group:
            each.done = each.failed = True

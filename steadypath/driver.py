"""Moves clinical time: sets the shared clock, then steps all parts at once until the system is quiet, one due moment at a time.

A moment is over when everybody has been asked, nothing is due, unsent or in flight, every published record has been handled by
every service that hears its topic, and those who reach each other without records (notifier and simulator) were asked after the
other's last work. An advance begins and ends with a moment that is over only when two rounds of all are equal (one that `stop`
ends early: the next begins so).
Stepping one service after another hung in a prototype: what one waits for, another holds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import aiohttp

from shared.clock import ClockPage
from shared.events.registry import SERVICES
from steadypath.recipes import PHONE
from steadypath.snapshot import Snapshot, at_work, busy, moved, not_quiet, same

PATIENCE_SECONDS = 60.0
#: Without progress for so long, parts run every pass: some wait for what no row tells them (a dead owner's lease, a new broker).
_LOOK_AGAIN_SECONDS = 1.0
#: Asked with every part's snapshot whenever a moment has been carried through.
Stop = Callable[[Mapping[str, Snapshot]], bool]
_STEP = aiohttp.ClientTimeout(total=30, connect=5)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.002, 0.1


@dataclass(frozen=True)
class Stepped:
    """A part that lives on clinical time, and where it is stepped (its address may change when it is started again).

    `after`: no event says that it has something to do, it hears that from this part, and this part hears from it; so each is
    stepped in the round after the other's work. `behind`: while that part has something to do, this one waits, so that what it
    hears of a moment comes together and is one transaction; where nothing comes further, everybody is asked."""

    name: str
    url: Callable[[], str]
    after: str | None = None
    behind: str | None = None


@dataclass(frozen=True)
class Advanced:
    """How far time has come (UTC), and how many records wait for a person."""

    now: datetime
    parked: int

    def as_json(self) -> dict[str, object]:
        return {"now": self.now.isoformat(), "parked": self.parked}


class NotQuietError(Exception):
    """No progress for the whole patience. `why`: what is not quiet, a line each."""

    def __init__(self, why: Sequence[str]) -> None:
        super().__init__("; ".join(why))
        self.why = tuple(why)


class PastError(Exception):
    """Clinical time never goes back."""


class Driver:
    """The only one that moves a stack's clock. One advance at a time; a second waits for the first."""

    def __init__(
        self,
        page: ClockPage,
        parts: Sequence[Stepped],
        session: aiohttp.ClientSession,
        *,
        key: str,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._page = page
        self._parts = tuple(parts)
        self._session = session
        self._headers = {"Authorization": f"Bearer {key}"}
        self._patience = patience
        self._one = asyncio.Lock()
        #: What every part said when all was quiet last.
        self.latest: Mapping[str, Snapshot] = {}

    @classmethod
    def of_parts(cls, page: ClockPage, base: Callable[[str], str], session: aiohttp.ClientSession, *, key: str) -> Driver:
        """The driver of a stack: every service and the simulator. `base` says where a part listens."""

        def stepped(name: str) -> Stepped:
            after = "notifier" if name == PHONE else None
            behind = "notifier" if name == "adherence" else None
            return Stepped(name, lambda: f"{base(name)}/{name}/simulation/step", after=after, behind=behind)

        return cls(page, [stepped(name) for name in (*SERVICES, PHONE)], session, key=key)

    @property
    def now(self) -> datetime:
        return self._page.now()

    async def advance_to(self, target: datetime, *, stop: Stop = lambda _: False) -> Advanced:
        """Carry through everything due until `target` (aware), or until `stop` says so after a moment that was carried through.

        Raises PastError, NotQuietError.
        """
        async with self._one:
            return await self._until(target, stop)

    async def advance_by(self, amount: timedelta) -> Advanced:
        """As `advance_to`, from where time stands when its turn comes."""
        async with self._one:
            return await self._until(self.now + amount)

    async def advance_to_next(self) -> Advanced:
        """To the next moment at which anything is due; where nothing ever is, time stays."""
        async with self._one:
            latest = await self._settle()
            moment = _next_moment(latest.values(), after=self.now)
            return _answer(self.now, latest) if moment is None else await self._until(moment)

    async def settle(self) -> Advanced:
        """Carry through what is due now, without moving time."""
        async with self._one:
            return _answer(self.now, await self._settle())

    async def _until(self, target: datetime, stop: Stop = lambda _: False) -> Advanced:
        if target < self.now:
            raise PastError
        latest = await self._settle()
        while self.now < target and not stop(latest):
            moment = _next_moment(latest.values(), after=self.now)
            self._page.set(target if moment is None else min(moment, target))
            latest = await self._settle(last=self.now == target)
        return _answer(self.now, latest)

    async def _settle(self, *, last: bool = True) -> Mapping[str, Snapshot]:
        """Step whoever has something to do until the moment is over. At the `last` moment every pass is run once, and again where
        nothing comes further: while they are stepped, the parts' own loops rest."""
        everybody = {part.name for part in self._parts}
        before: Mapping[str, Snapshot | None] = {} if last else self.latest
        asked: set[str] = set()
        worked: set[str] = set()
        pause = _FIRST_PAUSE
        last_progress = time.monotonic()
        while True:
            # At the first round of a last moment nothing is known; where nothing comes further, nothing that is known is trusted.
            whole = not before or time.monotonic() - last_progress > _LOOK_AGAIN_SECONDS
            whole_round = whole or (last and not busy(before, self.now))
            wanted = everybody if whole_round else self._wanted(before, worked, asked) or everybody
            now = {**before, **await self._step_all(_expected(before, whole=whole), wanted)}
            asked, worked = asked | wanted, at_work(before, now)
            why = not_quiet(now, self.now)
            # Two equal rounds: then nobody was busy before, and everybody was asked.
            over = same(before, now) if last else not self._wanted(now, worked, asked)
            if over and not why:
                self.latest = {name: snapshot for name, snapshot in now.items() if snapshot is not None}
                return self.latest
            if moved(before, now):
                pause, last_progress = _FIRST_PAUSE, time.monotonic()
            elif time.monotonic() - last_progress > self._patience:
                raise NotQuietError(why + [f"{name}: goes on working" for name in sorted(worked)])
            else:
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            before = now

    def _wanted(self, known: Mapping[str, Snapshot | None], worked: Collection[str], asked: Collection[str]) -> set[str]:
        """Whom to ask next: who has something to do as far as anybody knows, and whom somebody who `worked` may have reached
        without a record, those apart who wait for one of them; where there is nobody, who has not been `asked` at this moment."""
        pairs = [(part.name, part.after) for part in self._parts if part.after is not None]
        reached = {one for pair in pairs for one, other in (pair, pair[::-1]) if other in worked}
        wanted = busy(known, self.now) | reached
        wanted -= {part.name for part in self._parts if part.behind in wanted}
        return wanted or {part.name for part in self._parts} - set(asked)

    async def _step_all(self, expected: Mapping[str, object], wanted: Collection[str]) -> Mapping[str, Snapshot | None]:
        parts = [part for part in self._parts if part.name in wanted]
        snapshots = await asyncio.gather(*(self._step(part, expected) for part in parts))
        return {part.name: snapshot for part, snapshot in zip(parts, snapshots, strict=True)}

    async def _step(self, part: Stepped, expected: Mapping[str, object]) -> Snapshot | None:
        """None where a part is not there, or does not answer as agreed: it is waited for."""
        try:
            async with self._session.post(part.url(), json=expected, headers=self._headers, timeout=_STEP) as response:
                if response.status != 200:
                    return None
                return Snapshot.read(await response.json())
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return None


def _expected(before: Mapping[str, Snapshot | None], *, whole: bool) -> dict[str, object]:
    """What a part should know: how far the others have published. A reader then waits a moment for what is on its way."""
    published = {place: last for one in before.values() if one is not None for place, last in one.published.items()}
    return {"published": published, "all": whole}


def _next_moment(snapshots: Iterable[Snapshot], *, after: datetime) -> datetime | None:
    return min((one.next_due for one in snapshots if one.next_due is not None and one.next_due > after), default=None)


def _answer(now: datetime, snapshots: Mapping[str, Snapshot]) -> Advanced:
    return Advanced(now, sum(snapshot.parked for snapshot in snapshots.values()))

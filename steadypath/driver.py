"""Moves clinical time: sets the shared clock, then steps all parts at once until the system is quiet, one due moment at a time.

Quiet is two equal snapshots in a row with nothing due, nothing unsent, nothing in flight, and every published record handled by
every service that hears its topic. Stepping one service after another hung in a prototype: what one waits for, another holds.
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
from steadypath.snapshot import Snapshot, busy, moved, not_quiet, same, still_working

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

    `after`: no event says that it has something to do, it hears that from this part; so it is stepped in the round after it."""

    name: str
    url: Callable[[], str]
    after: str | None = None


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
            return Stepped(name, lambda: f"{base(name)}/{name}/simulation/step", after="notifier" if name == PHONE else None)

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
        """Step whoever has something to do until nobody has, then everybody, until all say once more what they said before and
        are quiet. At the `last` moment every pass is run once, and again where nothing comes further: while they are stepped,
        the parts' own loops rest."""
        everybody = {part.name for part in self._parts}
        before: Mapping[str, Snapshot | None] = {} if last else self.latest
        wanted: set[str] = set()
        pause = _FIRST_PAUSE
        last_progress = time.monotonic()
        while True:
            # At the first round of a last moment nothing is known; where nothing comes further, nothing that is known is trusted.
            whole = not before or time.monotonic() - last_progress > _LOOK_AGAIN_SECONDS
            known = set() if whole else busy(before, self.now)
            told = {part.name for part in self._parts if part.after in wanted}
            wanted = known | told if known else everybody
            now = {**before, **await self._step_all(_expected(before, whole=whole), wanted)}
            why = not_quiet(now, self.now) + still_working(before, now)
            if not why and same(before, now):  # then nobody was busy before, and everybody was asked
                self.latest = {name: snapshot for name, snapshot in now.items() if snapshot is not None}
                return self.latest
            if moved(before, now):
                pause, last_progress = _FIRST_PAUSE, time.monotonic()
            elif time.monotonic() - last_progress > self._patience:
                raise NotQuietError(why)
            else:
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            before = now

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

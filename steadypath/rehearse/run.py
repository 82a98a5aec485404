"""One rehearsal: everything is started, everybody enters at their own midnight, time is moved, phones answer, all is read."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from shared.defaults import default
from shared.events.base import stable_id
from steadypath.client import Client
from steadypath.driver import NotQuietError
from steadypath.enrol.desk import HttpDesk
from steadypath.enrol.outcome import Row
from steadypath.enrol.progress import ProgressBar
from steadypath.enrol.send import Options, Sender
from steadypath.errors import CommandError
from steadypath.phone.keywords import ANSWERS
from steadypath.recipes import PHONE
from steadypath.rehearse import system
from steadypath.rehearse.cast import Cast, Player
from steadypath.rehearse.gather import CLINIC, Gatherer
from steadypath.rehearse.parts import PartsClient
from steadypath.rehearse.phones import Phones
from steadypath.rehearse.replies import Answer, Heard, Script
from steadypath.rehearse.story import Rehearsed, Reply, Story, Text
from steadypath.rehearse.system import System
from steadypath.sample.loader import load
from steadypath.snapshot import Snapshot

#: The smallest step of clinical time: a rehearsal ends just before its last midnight.
_LAST = timedelta(microseconds=1)


@dataclass(frozen=True)
class Order:
    """What is to be rehearsed. Each patient's days are local: `weeks` x 7 from `first_day`. `clinic_zone` is IANA."""

    cast: Cast
    script: Script
    first_day: date
    weeks: int
    clinic_zone: str

    def midnight(self, zone: str, days: int = 0) -> datetime:
        """The instant (UTC) at which a day of the rehearsal begins there."""
        day = self.first_day + timedelta(days=days)
        return datetime.combine(day, datetime.min.time(), ZoneInfo(zone)).astimezone(UTC)

    @property
    def begin(self) -> datetime:
        """When the first of them has midnight (UTC)."""
        return min(self.midnight(one.zone) for one in self.cast.players)

    @property
    def end(self) -> datetime:
        """Just before the last day ends for the last of them (UTC)."""
        return max(self.midnight(one.zone, 7 * self.weeks) for one in self.cast.players) - _LAST

    def check(self) -> None:
        """Raises CommandError for an answer of the replies file that lies outside the rehearsal."""
        zones = {one.id: one.zone for one in self.cast.patients}
        for answer in self.script.planned(self.cast.patients):
            if not self.holds(answer.at, zones[answer.patient]):
                last = self.first_day + timedelta(days=7 * self.weeks - 1)
                raise CommandError(f"replies: at: {answer.patient} writes outside the days from {self.first_day} to {last}.")

    def holds(self, at: datetime, zone: str) -> bool:
        """Whether the instant lies in the rehearsal's days there."""
        return self.midnight(zone) <= at < self.midnight(zone, 7 * self.weeks)


@dataclass(frozen=True)
class Rehearsal:
    """What came of it. `rows`: what enrolling made of everything in the files. `provider_requests`: the clinic's, reads too."""

    story: Story
    rows: tuple[Row, ...]
    provider_requests: int


async def rehearse(order: Order, say: Callable[[str], None]) -> Rehearsal:
    """Runs it. `say` is given lines for the operator. Raises CommandError where the system could not carry it through."""
    async with system.running(order.begin, say) as running:
        first = "; the first run made the database template" if running.first_run else ""
        say(f"started in {running.started_in:.1f} s{first}")
        say(f"broker {running.recipes.kafka}")
        say("processes " + " ".join(f"{name}={pid}" for name, pid in running.processes().items()))
        began = time.monotonic()
        rehearsal = await carry_through(order, running, say)
        say(f"{7 * order.weeks} days in {time.monotonic() - began:.1f} s")
        counts = {
            "kafka_records": running.records(),
            "transactions": running.transactions(),
            "provider_requests": rehearsal.provider_requests,
        }
        say(" ".join(f"{name}={count}" for name, count in counts.items()))
        return rehearsal


async def carry_through(order: Order, running: System, say: Callable[[str], None] = lambda _: None) -> Rehearsal:
    """The rehearsal itself, in a system whose clock stands at `order.begin`. Raises CommandError as `rehearse` does."""
    bar = ProgressBar("rehearsing", 7 * order.weeks)
    try:
        return await _Run(order, running, bar, Phones(running.recipes, running.session), say).all(_by_midnight(order))
    except NotQuietError as error:
        raise CommandError(f"the rehearsal could not go on: {error}") from None
    finally:
        bar.clear()


def _by_midnight(order: Order) -> list[tuple[datetime, list[Player]]]:
    """Who enters when: everybody at 00:00 of their own first day."""

    def entrance(player: Player) -> datetime:
        return order.midnight(player.zone)

    return [(at, list(some)) for at, some in groupby(sorted(order.cast.players, key=entrance), key=entrance)]


@dataclass
class _Run:
    order: Order
    running: System
    bar: ProgressBar
    phones: Phones
    say: Callable[[str], None]
    answers: list[Answer] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    seen_work: int = -1
    days_shown: int = 0

    async def all(self, groups: Sequence[tuple[datetime, list[Player]]]) -> Rehearsal:
        client = PartsClient(self.running)
        try:
            return await self._all(client, groups)
        finally:
            client.over = True

    async def _all(self, client: PartsClient, groups: Sequence[tuple[datetime, list[Player]]]) -> Rehearsal:
        await asyncio.to_thread(load, client, "clinic")
        planned = self.order.script.planned(self.order.cast.patients)
        rows = list[Row]()
        for number, (entrance, players) in enumerate(groups):
            await self._until(entrance)
            rows += await asyncio.to_thread(self._enrol, client, players, number == 0)
            # Nobody writes before the clinic knows them, were it at their first midnight.
            for answer in [one for one in planned if one.patient in {player.id for player in players}]:
                planned.remove(answer)
                heapq.heappush(self.answers, answer)
        self.say("everybody is in")
        await self._until(self.order.end)
        texts = await Gatherer(self.order.cast, self.phones, self.order.clinic_zone).texts()
        return Rehearsal(self._story(texts), tuple(rows), await self.phones.requests())

    def _enrol(self, client: Client, players: Iterable[Player], with_people: bool) -> list[Row]:
        reading = self.order.cast.reading(players, with_people=with_people)
        return list(Sender(HttpDesk(client), lambda: reading, Options()).run())

    # --- time -----------------------------------------------------------------------------------------------------------------

    async def _until(self, end: datetime) -> None:
        """Everything until `end` is carried through, answers of phones and what follows from them included."""
        while True:
            target = min([end, *(one.at for one in self.answers[:1])])
            await self.running.driver.advance_to(max(target, self.running.driver.now), stop=self._moment)
            heard = self.order.script.listens and await self._listen()
            said = await self._answer()
            if not heard and not said and self.running.driver.now >= end:
                return

    def _moment(self, latest: Mapping[str, Snapshot]) -> bool:
        """After every moment: shows how far we are; stops where phones got something that somebody may answer."""
        days = (self.running.driver.now - self.order.midnight(self.order.clinic_zone)) // timedelta(days=1)
        self.bar.add(days - self.days_shown)
        self.days_shown = days
        return self.order.script.listens and latest[PHONE].work != self.seen_work

    async def _listen(self) -> bool:
        """Takes in the texts that went out since we looked last; whether there were any."""
        self.seen_work = self.running.driver.latest[PHONE].work
        before = len(self.known)
        for text in await self.phones.newer(self.known):
            said = await self.phones.message_of(text.sid) if text.outbound else None
            if text.outbound and said is None and text.body not in ANSWERS:
                continue  # a notifier was ended in mid-send: it is asked again once the provider's callback or list has said so
            self.known.add(text.sid)
            patient = self._about(said)
            if said is not None and patient is not None:
                at = datetime.fromisoformat(said["at"])
                for answer in self.order.script.hear(Heard(at, said["cause"], patient.id, text.to, text.body)):
                    heapq.heappush(self.answers, answer)
        return len(self.known) > before

    def _about(self, said: Mapping[str, Any] | None) -> Player | None:
        if said is None or said["patient"] is None:
            return None
        wanted = UUID(said["patient"])
        return next((one for one in self.order.cast.patients if stable_id(CLINIC, "patient", one.id) == wanted), None)

    async def _answer(self) -> bool:
        """Sends what is due; whether anything was."""
        now, done = self.running.driver.now, False
        while self.answers and self.answers[0].at <= now:
            answer = heapq.heappop(self.answers)
            await self.phones.reply(answer.sender, answer.text)
            player = next(one for one in self.order.cast.patients if one.id == answer.patient)
            by: Literal["patient", "care-team"] = "patient" if answer.sender == player.number else "care-team"
            self.replies.append(Reply(now.astimezone(ZoneInfo(player.zone)), player.id, answer.text, by))
            done = True
        return done

    # --- the story ------------------------------------------------------------------------------------------------------------

    def _story(self, texts: Iterable[Text]) -> Story:
        zones = {one.id: one.zone for one in self.order.cast.patients}
        inside = [one for one in texts if self.order.holds(one.at, zones.get(one.patient or "", self.order.clinic_zone))]
        replies = tuple(one for one in self.replies if self.order.holds(one.at, zones[one.patient]))
        cap = int(default("notifier", "texts_a_day"))
        rehearsed = tuple(Rehearsed(one.id, one.zone, cap) for one in self.order.cast.patients)
        return Story(self.order.first_day, self.order.weeks, rehearsed, tuple(inside), replies, self.order.cast.assumed)

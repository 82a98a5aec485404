"""A batch of events ends as the same events one by one: due events and texts that come in a row are kept by one statement."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import Any
from uuid import UUID

import pytest
from aiokafka import ConsumerRecord

from services.adherence.app import SPEC
from services.adherence.commands import outcomes
from services.adherence.storage import people
from services.adherence.storage.people import Clinic, Member
from services.adherence.storage.records import Record
from shared.due import Ticker
from shared.events import due, messages, plans
from shared.events.base import Event
from shared.messaging import codec
from shared.messaging.counts import Counts
from shared.messaging.handling import Handling
from shared.messaging.reading import Arrived, read
from shared.messaging.unit import Fire, Unit, WorkItem
from tests.integration.adherence.world import CIPHER, HOUR, ON_CALL, START, World

MINUTE = timedelta(minutes=1)
#: When events come. The windows close between the second and the third.
MOMENTS = (START + MINUTE, START + 3 * HOUR, START + 5 * HOUR, START + 9 * HOUR)


def resting(kind: str, fire: Fire) -> Fire:
    """Deadlines of alerts that pass at one instant go on in the order of their ids, which are random: left out."""

    async def nothing(_unit: Unit, _items: Sequence[WorkItem]) -> None:
        return None

    return fire if kind in ("dose-window", "check-in-window", "gap-check") else nothing


@dataclass
class Clinical:
    at: datetime = START

    def now(self) -> datetime:
        return self.at


@dataclass
class Run:
    """One clinic's going through of events. Its ids are its own, and in the same order as those of every other run."""

    world: World
    number: int
    clock: Clinical = field(default_factory=Clinical)

    def __post_init__(self) -> None:
        self._ids = count(1)
        self.clinic = self.id()
        fires = {kind: resting(kind, fire) for kind, fire in SPEC.fires.items()}
        self.ticker = Ticker(engine=self.world.engine, service="adherence", cipher=CIPHER, fires=fires)
        self.handling = Handling("adherence", self.world.engine, self.clock, CIPHER, SPEC.handlers, Counts())

    def id(self) -> UUID:
        return UUID(int=(self.number << 96) + next(self._ids))

    async def set_up(self) -> None:
        async with self.world.engine.begin() as conn:
            unit = Unit(conn, now=START, service="adherence", cipher=CIPHER)
            await people.put_clinic(unit, self.clinic, Clinic("America/New_York", (Member(ON_CALL, 30 * MINUTE),)))

    def arrived(self, event: Event, **more: Any) -> Arrived:
        """As it comes from Kafka, of this clinic, under the run's next id."""
        event = event.model_copy(update={"clinic_id": self.clinic} | more)
        made = codec.headers_of(
            event,
            event_id=self.id(),
            service="test",
            now=START,
            correlation_id=self.id(),
            causation_id=self.id(),
            traceparent=None,
        )
        raw = tuple((name, value.encode()) for name, value in made.items())
        return read(ConsumerRecord(event.topic, 0, 0, 0, 0, str(event.key).encode(), codec.body_of(event), None, 0, 0, raw))

    async def handle(self, arrived: Sequence[Arrived]) -> None:
        await self.handling.as_batch(arrived)

    async def until(self, at: datetime) -> None:
        """Fires everything at its own instant."""
        while (due_at := await self.ticker.next_due()) is not None and due_at <= at:
            await self.ticker.run(max(due_at, self.clock.at))
        self.clock.at = self.world.now = at
        assert self.ticker.counts.fires_failed == 0

    async def everything(self) -> str:
        """All rows of this clinic, as written where the order is part of it; each id is the place of its first mention."""
        found = [await self.world.rows(query.format(self.clinic)) for query in WRITTEN]
        told = json.dumps(found, default=str, indent=1)
        places: dict[str, str] = {}
        return re.sub(r"\w{8}-\w{4}-\w{4}-\w{4}-\w{12}", lambda id_: places.setdefault(id_[0], f"id {len(places)}"), told)


WRITTEN = (
    """select event_id, patient_id, at, kind, occurrence_id, causation_id, cause from adherence.timeline
    where clinic_id = '{}' order by seq""",
    """select event_id, topic, key, type, headers, regexp_replace(convert_from(body, 'utf8'), '"code":"[^"]*"', '')
    from adherence.outbox where convert_from(body, 'utf8') like '%{}%' order by seq""",
    "select * from adherence.occurrence where clinic_id = '{}' order by occurrence_id",
    "select * from adherence.occurrence_fact where clinic_id = '{}' order by fact_id",
    "select * from adherence.outcome_history where clinic_id = '{}' order by occurrence_id, revision",
    """select patient_id, kind, state, step, severity, version, deadline_at, raised_at, occurrence_id, dedup_key
    from adherence.alert where clinic_id = '{}' order by patient_id, raised_at, kind""",
    "select * from adherence.patient where clinic_id = '{}' order by patient_id",
    "select * from adherence.hold where clinic_id = '{}' order by patient_id",
    "select patient_id, occurrence_id, item from adherence.request where clinic_id = '{}' order by 1, 2, 3",
    "select kind, key, due_at, state, data from adherence.due_work where clinic_id = '{}' order by kind, due_at, key",
)


def facts_about(run: Run, asked: Event, random: Random, seconds: Iterator[int]) -> Iterator[Arrived]:
    """What may come about one dose or check-in: each of it perhaps, in no order."""
    world, is_dose = run.world, isinstance(asked, due.DoseDueV1)
    chances = {"due": 0.8, "again": 0.2, "moved": 0.3, "sent": 0.8, "delivered": 0.7, "undelivered": 0.2, "unconfirmed": 0.2}
    chances |= {"withheld": 0.2, "reply": 0.4, "withdrawn": 0.3, "expired": 0.1, "of-a-question": 0.2}
    ids = {"patient_id": world.patient, "occurrence_id": asked.occurrence_id}  # type: ignore[attr-defined]
    for what in [each for each, chance in chances.items() if random.random() < chance]:
        at = START + timedelta(seconds=next(seconds)) + random.choice((0, 6)) * HOUR
        if what in ("due", "again"):
            yield run.arrived(asked)
        elif what == "moved":
            yield run.arrived(asked, plan_version=2, due_at=START + HOUR, answer_until=START + 6 * HOUR)
        elif what == "reply":
            about, answer = ("dose", random.choice(("taken", "skipped", "no"))) if is_dose else ("check-in", "score")
            reply = world.reply(about, answer, **ids, score=None if is_dose else random.choice((2, 99)))
            yield run.arrived(reply, at=at, reply_id=run.id())
        elif what in ("withdrawn", "expired"):
            kind = {"clinic_id": run.clinic, "kind": asked.type, "reason": "dose-changed", "plan_version": random.choice((1, 2))}
            late = due.DueExpiredV1(**ids, **kind, due_at=START)
            yield run.arrived(late if what == "expired" else due.DueWithdrawnV1(**ids, **kind))
        else:
            more = {"why": random.choice(("opted-out", "channel-down"))} if what == "withheld" else {}
            text = world.text("sent" if what == "of-a-question" else what, asked, at, **more)
            yield run.arrived(text, request_id=run.id() if what == "of-a-question" else None)


def of_a_patient(run: Run, random: Random, seconds: Iterator[int]) -> Iterator[Arrived]:
    world = run.world
    world.patient = run.id()
    medicine = run.id()
    if random.random() < 0.5:
        watched = plans.MedicationSnapshot(medication_id=medicine, status="active", rule_sets=("gap-48h",))
        yield run.arrived(world.plan(1, medications=(watched,)))
    if random.random() < 0.5:
        yield run.arrived(world.contact(messages.PatientOptedOutV1, 1, opted_out=True, how="keyword"))
    yield run.arrived(world.text("sent", world.dose_due(START)), occurrence_id=None, patient_id=None, person_id=ON_CALL)
    first = world.dose_due(START, medication=medicine)
    second = first.model_copy(update={"due_at": START - HOUR, "answer_until": START + 3 * HOUR + MINUTE})
    for asked in (first, second, world.check_in_due(START), world.check_in_due(START, instrument="phq2", item="phq2-1")):
        yield from facts_about(run, asked.model_copy(update={"occurrence_id": run.id()}), random, seconds)


def script(run: Run, seed: int) -> list[list[Arrived]]:
    """What comes at each of the moments; some of it comes again, later or at once."""
    random, seconds = Random(seed), count()
    events = [event for _ in range(4) for event in of_a_patient(run, random, seconds)]
    events += random.sample(events, len(events) // 10)
    random.shuffle(events)
    # Like comes with like, more often than not: that is what a moment brings.
    places = {id(event): random.randrange(len(MOMENTS)) for event in events}
    moments = [[event for event in events if places[id(event)] == place] for place in range(len(MOMENTS))]
    for row in moments[1::2]:
        row.sort(key=lambda each: str(each.event and each.event.type))
    return moments


async def go_through(run: Run, seed: int, most: int) -> str:
    await run.set_up()
    for at, events in zip(MOMENTS, script(run, seed), strict=True):
        await run.until(at)
        for first in range(0, len(events), most):
            await run.handle(events[first : first + most])
    await run.until(MOMENTS[-1] + 12 * HOUR)
    return await run.everything()


@pytest.mark.parametrize("seed", range(8))
async def test_a_batch_ends_as_its_events_one_by_one(world: World, seed: int) -> None:
    alone, by_three, whole = [
        await go_through(Run(world, number), seed, most) for number, most in enumerate((1, 3, 1_000), seed * 8 + 1)
    ]
    assert by_three == alone
    assert whole == alone


async def test_each_text_of_a_batch_changes_what_is_said_by_itself(world: World) -> None:
    """Withheld: not asked. Then it has gone out after all, but the channel was down: not delivered. Then it has arrived."""
    run = Run(world, 1)
    await run.set_up()
    one, other = (world.dose_due(START).model_copy(update={"occurrence_id": run.id()}) for _ in range(2))
    down = messages.ChannelIncidentV1(
        clinic_id=run.clinic, incident_id=run.id(), state="opened", at=START, reason="provider-down"
    )
    await run.handle([run.arrived(down), run.arrived(one), run.arrived(other)])
    await run.handle([run.arrived(world.text("withheld", each, why="opted-out")) for each in (one, other)])
    await run.until(START + 5 * HOUR)
    batch = [run.arrived(world.text(kind, about)) for kind in ("sent", "delivered") for about in (one, other)]
    await run.handle([*batch, run.arrived(world.reply("dose", "taken", one.occurrence_id))])
    rows = await world.rows("select occurrence_id, revision, why from adherence.outcome_history order by 2, 1")
    assert [row[1:] for row in rows[2:]] == [
        *[(2, "not-delivered")] * 2,
        *[(3, "delivered-but-silent")] * 2,
        (4, None),
    ], rows
    lines = await world.rows("select event_id, kind, causation_id from adherence.timeline order by seq desc limit 11")
    told = [(event_id, kind, cause) for event_id, kind, cause in reversed(lines) if kind != "adherence-changed"]
    for event in batch:
        seen = [event_id for event_id, _, _ in told].index(event.event_id)
        assert told[seen + 1][1:] == ("dose-unknown", event.event_id), (
            "said before the next one was seen, and because of this one"
        )


async def test_what_fails_takes_nobody_elses_with_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch that holds it leaves nothing behind; one by one, all but the one that fails are kept."""
    run = Run(world, 1)
    await run.set_up()
    asked = []
    for _ in range(3):
        world.patient = run.id()
        asked.append(world.dose_due(START))
    broken = asked[1].occurrence_id
    await run.handle([run.arrived(each) for each in asked])
    batch = [run.arrived(world.text(kind, each), patient_id=each.patient_id) for each in asked for kind in ("sent", "delivered")]
    decide = outcomes._decide

    def refuse(record: Record) -> Any:
        if record.one.id == broken:
            raise KeyError("broken")
        return decide(record)

    monkeypatch.setattr(outcomes, "_decide", refuse)
    seen = len(await world.rows("select 1 from adherence.timeline"))
    with pytest.raises(KeyError):
        await run.handle(batch)
    assert await world.rows("select 1 from adherence.occurrence_fact") == []
    assert len(await world.rows("select 1 from adherence.timeline")) == seen
    for each in batch:
        try:
            await run.handle([each])
        except KeyError:
            assert each.key == asked[1].patient_id
    kept = await world.rows("select occurrence_id, kind from adherence.occurrence_fact order by fact_id")
    assert kept == [(one.occurrence_id, kind) for one in asked if one.occurrence_id != broken for kind in ("sent", "delivered")]
    assert len(await world.rows("select 1 from adherence.timeline")) == seen + 4

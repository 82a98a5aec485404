"""What is settled together ends as what is settled alone: one tick reads many records at once, and none may get another's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.adherence.app import SPEC
from services.adherence.commands import alerts
from services.adherence.storage import people
from services.adherence.storage.people import Clinic, Member
from shared.due import Ticker
from shared.events import messages, plans
from shared.events.base import Event, stable_id
from shared.messaging.unit import Fire, Unit, WorkItem
from tests.integration.adherence.world import CIPHER, CLINIC, HOUR, ON_CALL, START, World

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
#: A second clinic, further west, whose channel is down on the second day.
WEST = stable_id("clinic", "west")
COHORT = 14
#: What is parked for a patient while windows close, by the place in the cohort.
PARKED = {3: "parked", 4: "behind", 5: "replayed", 6: "work"}
WORK = {"work": "'parked', 'KeyError'", "waiting": "'waiting', null"}
#: Whose medicine a gap rule watches.
WATCHED = (7, 8)


def one_by_one(fire: Fire) -> Fire:
    """As if each item had come due in a tick of its own."""

    async def alone(unit: Unit, items: Sequence[WorkItem]) -> None:
        for item in items:
            await fire(unit, [item])

    return alone


def of(event: Event, clinic: UUID, **more: Any) -> Any:
    return event.model_copy(update={"clinic_id": clinic} | more)


async def park(world: World, clinic: UUID, how: str) -> None:
    seen = "null, null, null" if how != "replayed" else "'2026-11-24T15:00Z', 'ops', 'x'"
    error = "null" if how == "behind" else "'KeyError'"
    event = (
        "insert into adherence.parked (event_id, topic, partition, record_offset, key, headers, attempts, parked_at,"
        " error, state, resolved_at, resolved_by, reason)"
        f" values ('{uuid4()}', 'messages.v1', 0, 0, '{world.patient}', '{{}}', 1, '2026-11-24T15:00Z', {error}, '{how}', {seen})"
    )
    work = (
        "insert into adherence.due_work (kind, ref, key, clinic_id, due_at, state, error) values"
        f" ('gap-check', '{uuid4()}', '{world.patient}', '{clinic}', '2027-11-24T15:00Z', {WORK.get(how)})"
    )
    async with world.engine.begin() as conn:
        await conn.exec_driver_sql(work if how in WORK else event)


def clinic_of(number: int) -> UUID:
    return WEST if number % 3 == 0 else CLINIC


async def a_day(world: World, clinic: UUID, day: int, random: Random) -> None:
    """What one patient's day brings: two doses whose windows close in one tick, and a check-in."""
    at = START + day * DAY
    first = of(world.dose_due(at), clinic)
    earlier = {"occurrence_id": stable_id(world.patient, "early", day), "due_at": at - MINUTE}
    second = of(first, clinic, **earlier, answer_until=first.answer_until - MINUTE)
    check_in = of(world.check_in_due(at), clinic)
    for event in (first, second, check_in):
        about = "check-in" if event is check_in else "dose"
        for said in random.choice(
            (["due", "sent", "delivered"], ["due", "delivered"], ["due", "sent"], ["due"], ["due", "withheld"])
        ):
            why: dict[str, Any] = {"why": "opted-out"} if said == "withheld" else {}
            await world.hear(event if said == "due" else of(world.text(said, event, **why), clinic))
        if random.random() < 0.3:
            answer = {"score": 5} if event is check_in else {}
            said = "score" if event is check_in else random.choice(("taken", "skipped"))
            await world.hear(of(world.reply(about, said, event.occurrence_id, **answer), clinic))


async def go_through(world: World, seed: int, *, alone: bool) -> list[UUID]:
    """A cohort's four days. All windows of a day close in one tick."""
    fires = {kind: one_by_one(fire) for kind, fire in SPEC.fires.items()} if alone else SPEC.fires
    world.ticker = Ticker(engine=world.engine, service="adherence", cipher=CIPHER, fires=fires)
    cohort = [stable_id("patient", seed, str(alone), number) for number in range(COHORT)]
    incident = messages.ChannelIncidentV1(
        clinic_id=WEST, incident_id=uuid4(), state="opened", at=START + DAY, reason="provider-down"
    )
    for day in range(4):
        world.now = START + day * DAY
        if day == 1:
            await world.hear(incident)
        if day == 2:
            await world.hear(incident.model_copy(update={"state": "cleared", "at": world.now - HOUR}))
        for number, patient in enumerate(cohort):
            world.patient = patient
            if day == 0 and number in WATCHED:
                medicine = {"medication_id": stable_id(patient, "m1"), "status": "active", "rule_sets": ("gap-48h",)}
                await world.hear(world.plan(1, medications=(plans.MedicationSnapshot(**medicine),)))
            if day == 2 and number in PARKED:
                await park(world, clinic_of(number), PARKED[number])
            await a_day(world, clinic_of(number), day, Random(f"{seed} {number} {day}"))
        world.now += 4 * HOUR + MINUTE
        await world.ticker.run(world.now)
        await world.until(world.now + 6 * HOUR)
    assert world.ticker.counts.fires_failed == 0, "going one by one after a failure would hide it"
    return cohort


_OPAQUE = {
    "alert_id",
    "code",
    "dedup_key",
    "occurrence_id",
    "patient_id",
    "series_id",
    "medication_id",
    "medication_ids",
    "request_id",
}


def plain(value: Any) -> Any:
    """Without the ids that differ from cohort to cohort."""
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items() if name not in _OPAQUE}
    return value


#: What stands of a patient, without ids, in an order that is no accident.
WRITTEN = (
    """select kind, due_at, closed, incomplete, channel_down, state, why, late, reason, outcome_at, scores, revision, acknowledged
    from adherence.occurrence where patient_id = '{}' order by kind, due_at""",
    """select o.kind, o.due_at, h.revision, h.state, h.why, h.late, h.at, h.said_at
    from adherence.outcome_history h join adherence.occurrence o using (occurrence_id)
    where o.patient_id = '{}' order by 1, 2, 3""",
    """select kind, state, step, severity, version, deadline_at, recipient_id, raised_at
    from adherence.alert where patient_id = '{}' order by raised_at, kind""",
    """select e.kind, e.at, e.cause, c.kind
    from adherence.timeline e left join adherence.timeline c on c.event_id = e.causation_id
    where e.patient_id = '{}' and e.kind <> 'alert-escalated' order by e.seq""",
    "select said_low, said_high, said_at from adherence.patient where patient_id = '{}'",
    "select kind, due_at, state, data -> 'waited' from adherence.due_work where key = '{}' order by kind, due_at",
)


async def story_of(world: World, patient: UUID) -> str:
    """Everything that adherence has said and written of one patient, for comparison."""
    said = [plain(event) for event in await world.said() if event["patient_id"] == str(patient)]
    # Two alerts whose deadlines pass at one instant go on in the order of their ids, which are random.
    escalated = sorted((event for event in said if event["type"] == "alert-escalated"), key=str)
    said = [event for event in said if event["type"] != "alert-escalated"] + escalated
    rows = [await world.rows(query.format(patient)) for query in WRITTEN]
    return json.dumps([said, rows], default=str, indent=1)


async def set_up(world: World) -> None:
    """The second clinic has other hours (its zone), and its alerts wait accordingly."""
    async with world.engine.begin() as conn:
        unit = Unit(conn, now=world.now, service="adherence", cipher=CIPHER)
        await people.put_clinic(unit, WEST, Clinic("Pacific/Honolulu", (Member(ON_CALL, timedelta(minutes=20)),)))


@pytest.mark.parametrize("seed", range(2))
async def test_windows_that_close_together_end_as_each_alone(world: World, seed: int) -> None:
    await set_up(world)
    together = [await story_of(world, patient) for patient in await go_through(world, seed, alone=False)]
    alone = [await story_of(world, patient) for patient in await go_through(world, seed, alone=True)]
    for number, (one, other) in enumerate(zip(together, alone, strict=True)):
        assert one == other, number
    assert len(set(together)) == COHORT, "patients of whom all is the same could be taken for each other"


async def test_each_window_that_closes_is_closed_on_its_own_patient_and_clinic(world: World) -> None:
    """The same two texts for everybody: what differs is what waits for an operator, and whose channel was down."""
    before, after = uuid4(), uuid4()
    for clinic, state, at in (
        (WEST, "opened", START + HOUR),
        (before, "cleared", START - MINUTE),
        (after, "opened", START + 4 * HOUR + MINUTE),
    ):
        incident = {"incident_id": uuid4(), "state": state, "at": at, "reason": "provider-down"}
        await world.hear(messages.ChannelIncidentV1(clinic_id=clinic, **incident))
    expected = {
        (CLINIC, None): "delivered-but-silent",
        (CLINIC, "parked"): "record-incomplete",
        (CLINIC, "behind"): "record-incomplete",
        (CLINIC, "work"): "record-incomplete",
        (CLINIC, "replayed"): "delivered-but-silent",
        (CLINIC, "waiting"): "delivered-but-silent",
        (WEST, None): "not-delivered",
        (before, None): "delivered-but-silent",
        (after, None): "delivered-but-silent",
    }
    whose: dict[str, tuple[UUID, str | None]] = {}
    for clinic, parked in expected:
        world.patient = uuid4()
        whose[str(world.patient)] = clinic, parked
        event = of(world.dose_due(START), clinic)
        await world.hear(event)
        await world.hear(of(world.text("sent", event), clinic))
        if parked is not None:
            await park(world, clinic, parked)
    world.now = START + 4 * HOUR
    await world.ticker.run(world.now)
    assert world.ticker.counts.fires_failed == 0
    found = {whose[event["patient_id"]]: event["why"] for event in await world.said("dose-unknown")}
    assert found == expected
    incomplete = [
        whose[event["patient_id"]][1]
        for event in await world.said("alert-raised")
        if event["alert"]["kind"] == "record-incomplete"
    ]
    assert sorted(map(str, incomplete)) == ["behind", "parked", "work"]


async def test_two_windows_of_one_patient_are_settled_one_after_the_other(world: World) -> None:
    """The second one's row of silent check-ins holds the first, and its alert is the first one's."""
    for ago in (2, 1):
        due_at = START - ago * MINUTE
        event = world.check_in_due(START)
        ids = {"occurrence_id": uuid4(), "due_at": due_at, "answer_until": due_at + 4 * HOUR}
        event = event.model_copy(update=ids)
        await world.hear(event)
        await world.hear(world.text("delivered", event))
    world.now = START + 4 * HOUR
    await world.ticker.run(world.now)
    assert world.ticker.counts.fires_failed == 0
    assert [event["in_a_row"] for event in await world.said("check-in-missed")] == [1, 2]
    assert len(await world.said("alert-raised")) == 1
    kinds = await world.rows("select kind from adherence.timeline order by seq desc limit 3")
    assert [kind for (kind,) in reversed(kinds)] == ["check-in-missed", "alert-raised", "check-in-missed"]


async def test_a_window_that_has_closed_is_not_closed_again(world: World) -> None:
    """Should the channel be down when work that was done comes back, what the record said stays."""
    event = await world.silent_dose(START)
    down = messages.ChannelIncidentV1(clinic_id=CLINIC, incident_id=uuid4(), state="opened", at=START, reason="provider-down")
    await world.hear(down)
    async with world.engine.begin() as conn:
        unit = Unit(conn, now=world.now, service="adherence", cipher=CIPHER)
        await unit.plan_work("dose-window", str(event.occurrence_id), world.now, key=world.patient, clinic_id=CLINIC)
        await unit.flush()
    await world.ticker.run(world.now)
    assert await world.rows("select closed, channel_down, revision from adherence.occurrence") == [(True, False, 1)]


async def test_alerts_whose_deadlines_pass_together_go_on_each_in_its_own_clinics_hours(world: World) -> None:
    """19:30 in New York, 14:30 in Honolulu: ten minutes of an hour's wait remain here, all of it there. One is acknowledged, and
    one's deadline has moved: these stay."""
    await set_up(world)
    world.now = START + 9 * HOUR
    raised: list[UUID] = []
    for clinic in (CLINIC, WEST, CLINIC, CLINIC):
        async with world.engine.begin() as conn:
            unit = Unit(conn, now=world.now, service="adherence", cipher=CIPHER)
            patient = people.Patient(uuid4(), clinic, (Member(uuid4(), 20 * MINUTE), Member(uuid4(), HOUR)))
            raised.append(uuid4())
            await alerts.raise_alert(unit, patient, alerts.Cause("side-effect", str(patient.id), alert_id=raised[-1]))
            await unit.flush()
    async with world.engine.begin() as conn:
        unit = Unit(conn, now=world.now, service="adherence", cipher=CIPHER)
        await conn.exec_driver_sql("update adherence.alert set severity = 'low'")
        await alerts.acknowledge(unit, raised[2], by=None, how="api")
        await conn.exec_driver_sql(f"update adherence.alert set deadline_at = '2027-01-01Z' where alert_id = '{raised[3]}'")
        await unit.flush()
    world.now += 20 * MINUTE
    await world.ticker.run(world.now)
    found = {row[0]: row[1:] for row in await world.rows("select alert_id, step, state, deadline_at from adherence.alert")}
    assert found[raised[0]][0] == found[raised[1]][0] == 1
    assert found[raised[1]][2] == world.now + HOUR, "there the clinic is open for hours"
    assert found[raised[0]][2] > world.now + 12 * HOUR, "here it closes before the wait is over"
    assert [found[each][:2] for each in raised[2:]] == [(0, "acknowledged"), (0, "open")]
    [line] = await world.rows("select cause from adherence.timeline where kind = 'alert-acknowledged'")
    assert line == ("command",)


async def test_a_due_event_of_the_version_that_stands_changes_no_window(world: World) -> None:
    newer = world.dose_due(START, version=3)
    await world.hear(newer)
    for version in (2, 3):
        later = {"due_at": START + HOUR, "answer_until": START + 5 * HOUR}
        await world.hear(world.dose_due(START, version=version).model_copy(update=later))
    assert await world.rows("select due_version, due_at, answer_until from adherence.occurrence") == [
        (3, START, START + 4 * HOUR)
    ]
    await world.until(START + 4 * HOUR)
    assert await world.kinds("dose-unknown") == ["dose-unknown"], "and its closing stays planned as it was"

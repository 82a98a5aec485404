"""Many patients in one tick and many events in one batch: what is read and written for all at once is right for each."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from shared.events.adherence import AskingHeldV1, FollowUpKeptV1
from shared.events.base import Event, stable_id
from shared.events.due import DoseDueV1, FollowUpDueV1, OccurrenceDue
from shared.events.messages import MessageDeliveredV1, MessageSentV1, MessageWithheldV1
from tests.integration.scheduler.conftest import CLINIC, House, Json, a_dose, a_medicine, a_plan, medication, patient
from tests.integration.scheduler.moments import utc

pytestmark = pytest.mark.anyio

EIGHT = utc(2026, 11, 23, 13)
#: What a patient's one row of due work must say, put together from the rows it is about.
DUE_WORK = """
select w.key, w.due_at, least(
    (select min(o.due_at) from scheduler.occurrence o where o.patient_id = p.patient_id and o.state = 'planned'),
    p.next_change_at,
    p.horizon_at - interval '24 hours')
from scheduler.plan p join scheduler.due_work w on w.key = p.patient_id
"""


def sent(due: OccurrenceDue, model: type[Event] = MessageSentV1) -> Event:
    about = {"message_id": uuid4(), "kind": "dose", "occurrence_id": due.occurrence_id, "plan_version": 1}
    return model.model_validate({"clinic_id": CLINIC, "patient_id": due.patient_id, "at": due.due_at, **about})


def withheld(due: OccurrenceDue, why: str) -> Event:
    about = {"message_id": uuid4(), "kind": "dose", "occurrence_id": due.occurrence_id, "plan_version": 1, "why": why}
    return MessageWithheldV1.model_validate({"clinic_id": CLINIC, "patient_id": due.patient_id, "at": due.due_at, **about})


async def said_to(house: House, *patients: str, **parts: object) -> list[OccurrenceDue]:
    """The patients' first due events, in their order."""
    for one in patients:
        await house.put(one, a_plan(**parts))
    await house.run_to(EIGHT)
    due = {event.patient_id: event for event in await house.said() if isinstance(event, OccurrenceDue)}
    return [due[patient(one)] for one in patients]


async def states(house: House) -> dict[UUID, str]:
    rows = await house.rows("select occurrence_id, state from scheduler.occurrence where said_at is not null")
    return {row.occurrence_id: row.state for row in rows}


async def test_texts_of_one_batch_are_sent_each_and_no_other(house: House) -> None:
    one, two, three = await said_to(house, "p1", "p2", "p3")
    await house.hear(sent(one), sent(three), sent(one, MessageDeliveredV1))
    assert await states(house) == {one.occurrence_id: "sent", two.occurrence_id: "said", three.occurrence_id: "sent"}
    [row] = await house.rows("select count(*) from scheduler.occurrence where state = 'planned' and said_at is not null")
    assert row[0] == 0, "what is still to come is not touched"


async def test_what_ended_stays_ended_when_a_word_of_its_text_comes_late(house: House) -> None:
    [due] = await said_to(house, "p1")
    async with house.runtime.unit() as unit:
        await unit.conn.exec_driver_sql("update scheduler.occurrence set state = 'expired', reason = 'x' where state = 'said'")
    await house.hear(sent(due))
    assert await states(house) == {due.occurrence_id: "expired"}


async def test_a_text_that_was_closed_and_went_all_the_same_is_sent(house: House) -> None:
    [due] = await said_to(house, "p1")
    await house.hear(withheld(due, "opted-out"), sent(due))
    assert await states(house) == {due.occurrence_id: "sent"}
    [row] = await house.rows("select reason from scheduler.occurrence where state = 'sent'")
    assert row.reason is None


async def test_withheld_in_the_batch_in_which_it_was_sent_neither_says_again_nor_closes(house: House) -> None:
    one, two = await said_to(house, "p1", "p2")
    await house.hear(sent(one), withheld(one, "old-plan-version"), sent(two), withheld(two, "opted-out"))
    assert await house.said() == []
    assert await states(house) == {one.occurrence_id: "sent", two.occurrence_id: "sent"}


async def test_withheld_in_the_batch_in_which_it_was_sent_is_not_reissued(house: House) -> None:
    """Also where the reissue has not been said yet, which no command leaves behind."""
    [due] = await said_to(house, "p1")
    async with house.runtime.unit() as unit:
        await unit.conn.exec_driver_sql("update scheduler.plan set definition = jsonb_set(definition, '{version}', '2')")
    await house.hear(sent(due), withheld(due, "old-plan-version"))
    assert await house.said() == []


async def test_what_was_sent_in_the_same_batch_is_not_taken_back_by_a_hold(house: House) -> None:
    [due] = await said_to(house, "p1")
    held = AskingHeldV1(
        clinic_id=CLINIC,
        patient_id=patient("p1"),
        medication_id=medication("p1"),
        hold_version=1,
        rule_set="gap-48h",
        at=EIGHT,
    )
    await house.hear(sent(due), held)
    assert await house.said() == []
    assert await states(house) == {due.occurrence_id: "sent"}


async def test_what_was_sent_in_the_same_batch_is_not_taken_back_by_an_outcome(house: House) -> None:
    follow_up = {"id": "f", "due_day": 1, "deadline_day": 9, "time": "08:00"}
    [due] = await said_to(house, "p1", medicines=[], follow_ups=[follow_up])
    assert isinstance(due, FollowUpDueV1)
    settled = stable_id(patient("p1"), "follow-up", "f")
    kept = FollowUpKeptV1(clinic_id=CLINIC, patient_id=patient("p1"), follow_up_id=settled, at=EIGHT, source="person")
    await house.hear(sent(due), kept)
    assert await house.said() == []
    assert await states(house) == {due.occurrence_id: "sent"}


def plans() -> dict[str, Json]:
    """Plans whose moments fall together at times and apart at others."""
    evening = a_dose("evening")
    weekly = a_medicine("m1", {"from_day": 1, "doses": [a_dose(weekdays=[1])]})
    ladder = a_medicine("m1", {"from_day": 1, "doses": [a_dose()]}, {"from_day": 6, "doses": [a_dose(quantity="2")]})
    slots = {"morning": "08:00", "evening": "20:00"}
    mood = {"id": "mood", "instrument": "mood", "item": "mood", "time": "17:00", "every_days": 2}
    return {
        "daily": a_plan(),
        "twice": a_plan(slots=slots, medicines=[a_medicine("m1", {"from_day": 1, "doses": [a_dose(), evening]})]),
        "weekly": a_plan(medicines=[weekly]),
        "ladder": a_plan(medicines=[ladder], check_ins=[mood]),
        "east": a_plan(zone="Europe/Berlin"),
    }


async def test_after_every_tick_each_patient_is_due_at_the_next_moment_of_their_own(house: House) -> None:
    for external, plan in plans().items():
        await house.put(external, plan)
    end = utc(2026, 12, 8, 1)
    while (due := await house.next_due()) is not None and due <= end:
        await house.jump(max(due, house.clock.now()))
        rows = await house.rows(DUE_WORK)
        assert len(rows) == len(plans())
        assert [(row[0], row[1]) for row in rows] == [(row[0], row[2]) for row in rows]
    said = [(event.patient_id, event.due_at) for event in await house.said() if isinstance(event, DoseDueV1)]
    times = {name: sorted(at for who, at in said if who == patient(name)) for name in plans()}
    days = [EIGHT + timedelta(days=number) for number in range(15) if EIGHT + timedelta(days=number) <= end]
    assert times["daily"] == times["ladder"] == days
    evenings = [day + timedelta(hours=12) for day in days]
    assert times["twice"] == sorted([*days, *(evening for evening in evenings if evening <= end)])
    assert times["weekly"] == [day for day in days if day.weekday() == 0]
    assert times["east"] == [utc(2026, 11, 23, 7) + timedelta(days=number) for number in range(15)]


async def test_a_late_tick_finds_the_next_moment_among_what_it_has_just_planned(house: House) -> None:
    """Down from one dose until some hours after the next: nothing that was planned before is still to come."""
    await said_to(house, "p1")
    await house.jump(EIGHT + timedelta(hours=31))
    assert await house.next_due() == EIGHT + timedelta(hours=48)


async def test_planning_ahead_has_no_moments_of_its_own_beside_the_doses(house: House) -> None:
    """From a Sunday in October over the end of summer time: a dose every 24 h, once after 25 h."""
    house.clock.set(utc(2027, 10, 24, 1))
    await house.put("p1", a_plan(starts_on="2027-10-24"))
    moments = list[datetime]()
    while (due := await house.next_due()) is not None and due <= utc(2027, 11, 20):
        await house.jump(max(due, house.clock.now()))
        moments.append(house.clock.now())
    doses = [event.due_at for event in await house.said() if isinstance(event, DoseDueV1)]
    assert len(doses) == 27
    beside = [moment for moment in moments if moment not in doses]
    assert len(beside) <= 2, "the first window, and the night in which the clocks are set back"

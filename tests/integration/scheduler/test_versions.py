"""Plans in over HTTP, due events out, every new version carried through to what was already said. Real PostgreSQL."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from shared.events.base import stable_id
from shared.events.due import DoseDueV1, DueExpiredV1, DueWithdrawnV1
from shared.events.messages import MessageSentV1, MessageWithheldV1
from shared.events.plans import DoseChangedV1, PlanStartedV1
from tests.integration.scheduler.conftest import CLINIC, House, a_dose, a_medicine, a_plan, medication, patient
from tests.integration.scheduler.moments import utc

pytestmark = pytest.mark.anyio


async def test_a_dose_is_due_at_eight_local_with_all_it_needs(house: House) -> None:
    answer = await house.put("p1", a_plan())
    assert (answer["outcome"], answer["plan_version"], answer["events"]) == ("started", 1, ["plan-started"])
    [started] = await house.said()
    assert isinstance(started, PlanStartedV1)
    assert started.plan.medications[0].medication_id == medication("p1")
    await house.run_to(utc(2026, 11, 23, 12, 59))
    assert await house.said() == []
    await house.run_to(utc(2026, 11, 23, 13, 0))
    [due] = await house.said()
    assert isinstance(due, DoseDueV1)
    assert (due.due_at, due.useful_until, due.answer_until) == (
        utc(2026, 11, 23, 13),
        utc(2026, 11, 23, 14),
        utc(2026, 11, 24, 1),
    )
    assert due.doses[0].medication_id == medication("p1")
    assert due.occurrence_id == stable_id(patient("p1"), stable_id(patient("p1"), "doses"), "morning", "2026-11-23")


@pytest.mark.parametrize(("minutes", "said"), [(20, "dose-due"), (80, "due-expired")])
async def test_a_plan_that_starts_after_todays_dose_says_it_within_its_hour_else_shows_it_expired(
    house: House, minutes: int, said: str
) -> None:
    house.clock.set(utc(2026, 11, 23, 13) + timedelta(minutes=minutes))
    await house.put("p1", a_plan())
    await house.fire()
    assert await house.types() == ["plan-started", said]


async def test_the_same_plan_again_is_unchanged_also_after_a_dose_change(house: House) -> None:
    await house.put("p1", a_plan())
    assert (await house.put("p1", a_plan()))["outcome"] == "unchanged"
    change = {"medicine": "m1", "effective_on": "2026-11-25", "doses": [a_dose(quantity="2")], "reason": "no-response"}
    changed = await house.call("POST", "/patients/p1/plan/dose-change", change)
    assert (changed["plan_version"], changed["events"]) == (2, ["dose-changed"])
    again = await house.put("p1", a_plan())
    assert (again["outcome"], again["plan_version"]) == ("unchanged", 2)
    asked = a_plan(check_ins=[{"id": "mood", "instrument": "mood", "item": "mood", "time": "10:00"}])
    assert (await house.put("p1", asked))["events"] == ["routine-changed"]
    await house.said()
    await house.run_to(utc(2026, 11, 25, 13))
    doses = [event for event in await house.said() if isinstance(event, DoseDueV1)]
    assert [str(due.doses[0].quantity) for due in doses] == ["1", "1", "2"]


async def test_a_ladder_step_is_a_new_version_at_local_midnight(house: House) -> None:
    steps = ({"from_day": 1, "doses": [a_dose()]}, {"from_day": 3, "doses": [a_dose(quantity="2")]})
    await house.put("p1", a_plan(medicines=[a_medicine("m1", *steps, kind="titration")]))
    await house.said()
    await house.run_to(utc(2026, 11, 25, 4, 59))
    assert await house.types() == ["dose-due", "dose-due"]
    await house.run_to(utc(2026, 11, 25, 13))
    changed, due = await house.said()
    assert isinstance(changed, DoseChangedV1)
    assert (changed.plan_version, changed.reason, changed.effective_on.isoformat()) == (2, "ladder-step", "2026-11-25")
    assert isinstance(due, DoseDueV1)
    assert (due.plan_version, str(due.doses[0].quantity)) == (2, "2")


async def say_morning(house: House) -> DoseDueV1:
    await house.put("p1", a_plan(slots={"morning": "08:00", "evening": "20:00"}))
    await house.run_to(utc(2026, 11, 23, 13))
    due = (await house.said())[-1]
    assert isinstance(due, DoseDueV1)
    return due


def withheld(due: DoseDueV1, why: str, version: int) -> MessageWithheldV1:
    about = {"message_id": uuid4(), "kind": "dose", "occurrence_id": due.occurrence_id, "plan_version": version}
    base = {"clinic_id": CLINIC, "patient_id": due.patient_id, "at": due.due_at}
    return MessageWithheldV1.model_validate({**base, **about, "why": why})


async def test_said_and_not_sent_is_said_again_under_the_new_version_once(house: House) -> None:
    due = await say_morning(house)
    change = {"medicine": "m1", "effective_on": "2026-11-23", "doses": [a_dose(quantity="2")], "reason": "other"}
    await house.call("POST", "/patients/p1/plan/dose-change", change)
    _, again = await house.said()
    assert isinstance(again, DoseDueV1)
    assert (again.occurrence_id, again.plan_version, str(again.doses[0].quantity)) == (due.occurrence_id, 2, "2")
    await house.hear(withheld(due, "old-plan-version", 1))
    assert await house.said() == [], "the reissue is out already: the same event again is no event"


async def test_said_and_not_sent_is_withdrawn_where_the_new_version_has_it_no_more(house: House) -> None:
    due = await say_morning(house)
    evening = {"medicine": "m1", "effective_on": "2026-11-23", "doses": [a_dose("evening")], "reason": "other"}
    await house.call("POST", "/patients/p1/plan/dose-change", evening)
    _, withdrawn = await house.said()
    assert isinstance(withdrawn, DueWithdrawnV1)
    assert (withdrawn.occurrence_id, withdrawn.reason, withdrawn.plan_version) == (due.occurrence_id, "dose-changed", 2)


async def test_what_was_sent_is_never_said_again(house: House) -> None:
    due = await say_morning(house)
    about = {"message_id": uuid4(), "kind": "dose", "occurrence_id": due.occurrence_id, "plan_version": 1}
    await house.hear(MessageSentV1.model_validate({"clinic_id": CLINIC, "patient_id": due.patient_id, "at": due.due_at, **about}))
    await house.call("PUT", "/patients/p1/zone", {"zone": "America/Los_Angeles"})
    await house.call("POST", "/patients/p1/plan/pause", {"reason": "travel"})
    await house.call("POST", "/patients/p1/plan/resume", {})
    await house.run_to(utc(2026, 11, 24, 4))
    assert await house.types() == ["zone-changed", "plan-paused", "plan-resumed"]


async def test_withheld_for_another_reason_closes_it(house: House) -> None:
    due = await say_morning(house)
    await house.hear(withheld(due, "opted-out", 1))
    [row] = await house.rows("select state, reason from scheduler.occurrence where said_at is not null")
    assert tuple(row) == ("closed", "opted-out")


async def test_stop_withdraws_and_ends_everything_and_a_new_plan_may_start(house: House) -> None:
    due = await say_morning(house)
    stopped = await house.call("POST", "/patients/p1/plan/stop", {"reason": "completed-treatment"})
    assert (stopped["status"], stopped["events"]) == ("stopped", ["plan-stopped"])
    events = await house.said()
    assert [event.type for event in events] == ["plan-stopped", "due-withdrawn"]
    assert isinstance(events[1], DueWithdrawnV1)
    assert events[1].occurrence_id == due.occurrence_id
    await house.run_for(days=3)
    assert await house.said() == []
    assert await house.next_due() is None
    refused = await house.call("POST", "/patients/p1/plan/pause", {"reason": "travel"}, expect=409)
    assert refused["element"] == "plan"
    again = await house.put("p1", a_plan(starts_on="2026-11-27"))
    assert (again["outcome"], again["plan_version"]) == ("started", 3)


async def test_a_pause_ends_by_itself_and_delays_the_ladder(house: House) -> None:
    steps = ({"from_day": 1, "doses": [a_dose()]}, {"from_day": 3, "doses": [a_dose(quantity="2")]})
    await house.put("p1", a_plan(medicines=[a_medicine("m1", *steps, kind="titration")]))
    await house.run_to(utc(2026, 11, 24, 12))
    await house.call("POST", "/patients/p1/plan/pause", {"reason": "admission", "resume_on": "2026-11-26"})
    await house.said()
    await house.run_to(utc(2026, 11, 28, 13))
    assert await house.types() == ["plan-resumed", "dose-due", "dose-changed", "dose-due", "dose-due"]
    preview = await house.call("GET", "/patients/p1/preview?days=1")
    assert preview["occurrences"][0]["detail"]["doses"][0]["quantity"] == "2"


async def test_three_days_down_shows_every_missed_moment_and_sends_no_burst(house: House) -> None:
    follow_up = {"id": "week-1", "due_day": 2, "deadline_day": 9, "time": "10:00"}
    check_in = {"id": "mood", "instrument": "mood", "item": "mood", "time": "10:00"}
    await house.put("p1", a_plan(follow_ups=[follow_up], check_ins=[check_in]))
    await house.said()
    await house.jump(utc(2026, 11, 27, 12, 30))
    events = await house.said()
    expired = [event for event in events if isinstance(event, DueExpiredV1)]
    assert sorted(event.due_at for event in expired if event.kind == "dose-due") == [
        utc(2026, 11, day, 13) for day in (23, 24, 25, 26)
    ]
    assert [event.type for event in events if not isinstance(event, DueExpiredV1)] == ["follow-up-due"]
    await house.run_for(minutes=30)
    assert await house.types() == ["dose-due"]


async def test_a_new_version_after_a_long_outage_hides_nothing(house: House) -> None:
    await house.put("p1", a_plan())
    await house.said()
    house.clock.set(utc(2026, 11, 27, 12, 30))
    await house.call("PUT", "/patients/p1/zone", {"zone": "America/Chicago"})
    await house.fire()
    assert await house.types() == ["zone-changed", *["due-expired"] * 4]


async def test_a_slot_moved_later_after_it_was_said_is_said_again_only_at_its_new_time(house: House) -> None:
    routine = {"slots": {"morning": {"times_from": "routine", "routine": "breakfast"}}, "routine": {"breakfast": "08:00"}}
    await house.put("p1", a_plan(**routine))
    await house.run_to(utc(2026, 11, 23, 13))
    assert await house.types() == ["plan-started", "dose-due"]
    await house.call("PUT", "/patients/p1/routine", {"routine": {"breakfast": "11:00"}})
    assert await house.types() == ["routine-changed"]
    await house.run_to(utc(2026, 11, 23, 20))
    [due] = await house.said()
    assert isinstance(due, DoseDueV1)
    assert (due.slot_time, due.times_from, due.plan_version) == ("11:00", "routine", 2)

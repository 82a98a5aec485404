"""Who must know: alerts from check-ins, follow-ups, risk wording and reachability, and their way from person to person."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.exc import IntegrityError

from shared.events import due, messages, plans
from shared.events.base import stable_id
from tests.integration.adherence.world import CLINIC, FIRST, HOUR, ON_CALL, SECOND, START, World

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


async def missed_check_in(world: World) -> dict[str, Any]:
    """A check-in that arrived and got no answer; its alert as raised, four hours after START."""
    event = world.check_in_due(START)
    await world.hear(event)
    await world.hear(world.text("sent", event))
    await world.until(START + 4 * HOUR)
    [raised] = await world.said("alert-raised")
    alert: dict[str, Any] = raised["alert"]
    return alert


async def recipients(world: World) -> list[str | None]:
    return [event["alert"]["recipient_id"] for event in await world.said("alert-raised", "alert-escalated")]


async def test_a_silent_check_in_is_missed_and_goes_through_the_chain(world: World) -> None:
    alert = await missed_check_in(world)
    [missed] = await world.said("check-in-missed")
    assert missed["in_a_row"] == 1
    assert (alert["kind"], alert["severity"], alert["recipient_id"]) == ("missed-check-in", "low", str(FIRST))
    await world.until(START + 4 * HOUR + 61 * MINUTE)
    assert await recipients(world) == [str(FIRST), str(SECOND), str(ON_CALL)]
    assert await world.rows("select kind from adherence.ops_notice") == [("alert-unanswered",)]
    await world.until(START + 9 * DAY)
    assert await recipients(world) == [str(FIRST), str(SECOND), str(ON_CALL), None]


async def test_a_code_texted_back_stops_all_pages_for_good(world: World) -> None:
    alert = await missed_check_in(world)
    ids = {"patient_id": None, "person_id": FIRST, "alert_id": UUID(alert["alert_id"])}
    await world.hear(world.reply("alert", "acknowledge", **ids))
    await world.hear(world.reply("alert", "acknowledge", **ids))
    [acked] = await world.said("alert-acknowledged")
    assert (acked["by"], acked["how"], acked["alert"]["state"]) == (str(FIRST), "sms", "acknowledged")
    withheld = messages.MessageWithheldV1(
        clinic_id=CLINIC,
        message_id=uuid4(),
        kind="alert",
        person_id=FIRST,
        alert_id=UUID(alert["alert_id"]),
        at=world.now,
        why="opted-out",
    )
    await world.hear(withheld)
    await world.until(START + 5 * DAY)
    assert await world.said("alert-escalated") == []


async def test_a_page_that_cannot_go_makes_it_the_next_ones_turn_at_once(world: World) -> None:
    alert = await missed_check_in(world)
    for person in (FIRST, FIRST, SECOND):
        withheld = messages.MessageWithheldV1(
            clinic_id=CLINIC,
            message_id=uuid4(),
            kind="alert",
            person_id=person,
            alert_id=UUID(alert["alert_id"]),
            at=world.now,
            why="no-contact",
        )
        await world.hear(withheld)
    escalated = await world.said("alert-escalated")
    assert [(event["why"], event["alert"]["recipient_id"]) for event in escalated] == [
        ("withheld", str(SECOND)),
        ("withheld", None),
    ]


async def test_editing_the_care_team_does_not_change_a_running_alert(world: World) -> None:
    await missed_check_in(world)
    await world.set_up(chain=(ON_CALL,))
    await world.until(START + 4 * HOUR + 31 * MINUTE)
    assert await recipients(world) == [str(FIRST), str(SECOND)]


async def test_a_patient_without_a_care_team_uses_the_clinics_chain(world: World) -> None:
    world.patient = uuid4()
    alert = await missed_check_in(world)
    assert alert["recipient_id"] == str(ON_CALL)


async def test_a_late_answer_resolves_the_alert(world: World) -> None:
    await missed_check_in(world)
    occurrence = world.check_in_due(START).occurrence_id
    await world.hear(world.reply("check-in", "score", occurrence, score=7, at=START + 4 * HOUR + MINUTE))
    [answered] = await world.said("check-in-answered")
    [resolved] = await world.said("alert-resolved")
    assert (answered["score"], answered["late"], resolved["how"]) == (7, True, "answered")


async def test_what_turns_out_not_to_have_arrived_was_never_missed(world: World) -> None:
    await missed_check_in(world)
    await world.hear(world.text("undelivered", world.check_in_due(START)))
    [unasked] = await world.said("check-in-unasked")
    [resolved] = await world.said("alert-resolved")
    assert (unasked["why"], resolved["how"]) == ("not-delivered", "corrected")


async def test_an_open_alert_takes_the_next_silence_in_and_an_acknowledged_one_does_not(world: World) -> None:
    alert = await missed_check_in(world)
    for day in (1, 2):
        if day == 2:
            ids = {"patient_id": None, "person_id": FIRST, "alert_id": UUID(alert["alert_id"])}
            await world.hear(world.reply("alert", "acknowledge", **ids))
        await world.until(START + day * DAY)
        event = world.check_in_due(START + day * DAY)
        await world.hear(event)
        await world.hear(world.text("delivered", event))
        await world.until(START + day * DAY + 4 * HOUR)
        assert len(await world.said("alert-raised")) == day
    assert [event["in_a_row"] for event in await world.said("check-in-missed")] == [1, 2, 3]


async def test_items_follow_each_other_and_end_with_thanks(world: World) -> None:
    event = world.check_in_due(START, instrument="phq-2", item="interest")
    await world.hear(event)
    await world.hear(world.reply("check-in", "score", event.occurrence_id, score=1))
    [asked] = await world.said("message-requested")
    assert (asked["purpose"], asked["instrument"], asked["item"], asked["running_conversation"]) == (
        "question",
        "phq-2",
        "down",
        True,
    )
    answer = {"score": 2, "request_id": UUID(asked["request_id"]), "at": START + MINUTE}
    await world.hear(world.reply("question", "score", event.occurrence_id, **answer))
    assert [(e["item"], e["score"]) for e in await world.said("check-in-answered")] == [("interest", 1), ("down", 2)]
    assert [e["purpose"] for e in await world.said("message-requested")] == ["question", "acknowledgement"]
    await world.until(START + DAY)
    assert await world.said("alert-raised") == []


async def test_words_that_are_no_answer_are_asked_about_once_then_read_by_a_person(world: World) -> None:
    event = world.check_in_due(START)
    await world.hear(event)
    await world.hear(world.reply("check-in", "none", event.occurrence_id))
    await world.hear(world.reply("check-in", "score", event.occurrence_id, score=11))
    requested = [(e["purpose"], e["item"]) for e in await world.said("message-requested")]
    assert requested == [("clarification", "score"), ("acknowledgement", "to-a-person")]
    assert [e["alert"]["kind"] for e in await world.said("alert-raised")] == ["message-to-read"]


async def test_a_side_effect_reaches_a_person(world: World) -> None:
    event = world.dose_due(START)
    await world.hear(event)
    await world.hear(world.reply("dose", "side-effect", event.occurrence_id))
    assert await world.kinds("side-effect-reported", "alert-raised") == ["side-effect-reported", "alert-raised"]


async def test_risk_wording_is_flagged_at_once_and_escalates_in_minutes(world: World) -> None:
    reply = uuid4()
    heard = messages.RiskHeardV1(
        clinic_id=CLINIC,
        patient_id=world.patient,
        reply_id=reply,
        at=START,
        category="unspecified",
        safe_reply="no-text-possible",
    )
    await world.hear(heard)
    await world.hear(world.reply("nothing", "none", reply_id=reply))
    flagged, raised = await world.said("crisis-flagged", "alert-raised")
    assert flagged["alert_id"] == raised["alert"]["alert_id"]
    assert (raised["alert"]["severity"], raised["alert"]["no_text_possible"]) == ("crisis", True)
    assert raised["alert"]["dedup_key"] == f"crisis:{world.patient}"
    await world.until(START + 11 * MINUTE)
    assert await recipients(world) == [str(FIRST), str(SECOND), str(ON_CALL)]
    again = messages.RiskHeardV1(
        clinic_id=CLINIC, patient_id=world.patient, reply_id=uuid4(), at=world.now, category="unspecified", safe_reply="sent"
    )
    await world.hear(again)
    assert [e["alert_id"] for e in await world.said("crisis-flagged")] == [raised["alert"]["alert_id"]] * 2
    assert len(await world.said("alert-raised")) == 1


async def test_texts_paused_by_a_crisis_are_reminded_of_daily_until_resumed(world: World) -> None:
    await world.hear(world.contact(messages.TextsPausedV1, 1, texts_paused="crisis"))
    await world.until(START + 3 * DAY + HOUR)
    kinds = [event["alert"]["kind"] for event in await world.said("alert-raised")]
    reminded = [event for event in await world.said("alert-escalated") if event["why"] == "reminder"]
    assert kinds == ["texts-paused-by-crisis"]
    assert [event["alert"]["recipient_id"] for event in reminded] == [str(FIRST)] * 2
    await world.hear(world.contact(messages.TextsResumedV1, 2))
    assert len(await world.said("alert-resolved")) == 1
    await world.until(START + 9 * DAY)
    assert len([event for event in await world.said("alert-escalated") if event["why"] == "reminder"]) == 2


async def test_an_opt_out_is_told_once_and_an_older_contact_changes_nothing(world: World) -> None:
    await world.hear(world.contact(messages.PatientOptedOutV1, 5, opted_out=True, how="keyword"))
    await world.hear(world.contact(messages.ContactChangedV1, 4))
    await world.hear(world.contact(messages.PatientOptedOutV1, 6, opted_out=True, how="keyword"))
    assert [event["alert"]["kind"] for event in await world.said("alert-raised")] == ["not-reachable"]
    await world.hear(world.contact(messages.PatientOptedInV1, 7, how="keyword"))
    assert len(await world.said("alert-resolved")) == 1


async def test_a_follow_up_without_a_word_is_unrecorded_and_a_person_hears(world: World) -> None:
    deadline = START + 2 * DAY
    event = world.follow_up_due(START, deadline)
    await world.hear(event)
    await world.hear(world.reply("follow-up", "no", event.occurrence_id))
    fields = event.model_dump(exclude={"appointment_id"}) | {"occurrence_id": uuid4(), "due_at": deadline}
    await world.until(deadline)
    await world.hear(due.FollowUpOverdueV1(**fields))
    await world.until(deadline + DAY)
    assert await world.kinds("follow-up-kept", "follow-up-missed", "follow-up-unrecorded") == ["follow-up-unrecorded"]
    assert [e["alert"]["kind"] for e in await world.said("alert-raised")] == ["follow-up-unrecorded"]
    await world.hear(world.reply("follow-up", "yes", event.occurrence_id))
    assert [e["source"] for e in await world.said("follow-up-kept")] == ["patient"]
    assert [e["how"] for e in await world.said("alert-resolved")] == ["answered"]


async def test_should_the_overdue_event_never_come_the_guard_says_it(world: World) -> None:
    await world.hear(world.follow_up_due(START, START + DAY))
    await world.until(START + DAY + 59 * MINUTE)
    assert await world.said("follow-up-unrecorded") == []
    await world.until(START + DAY + 61 * MINUTE)
    assert len(await world.said("follow-up-unrecorded")) == 1


async def test_the_reply_before_the_due_event_counts(world: World) -> None:
    event = world.follow_up_due(START, START + DAY)
    await world.hear(world.reply("follow-up", "yes", event.occurrence_id))
    await world.hear(event)
    await world.until(START + 3 * DAY)
    assert await world.kinds("follow-up-kept", "follow-up-unrecorded") == ["follow-up-kept"]


async def test_an_appointments_outcome_is_a_word_and_a_stopped_plan_asks_for_nothing(world: World) -> None:
    kept, open_ = stable_id(world.patient, "kept"), stable_id(world.patient, "open")
    wanted = [plans.FollowUpSnapshot(follow_up_id=each, due_on=START.date(), deadline_on=START.date()) for each in (kept, open_)]
    visit = plans.AppointmentSnapshot(appointment_id=uuid4(), starts_at=START, status="kept", follow_up_id=kept)
    await world.hear(world.plan(1, follow_ups=wanted, appointments=(visit,)))
    assert [e["source"] for e in await world.said("follow-up-kept")] == ["appointment"]
    await world.hear(world.plan(2, follow_ups=wanted, status="stopped"))
    await world.until(START + 5 * DAY)
    assert await world.said("follow-up-unrecorded") == []


async def test_monitoring_without_a_result_by_its_deadline_reaches_a_person(world: World) -> None:
    monitoring = stable_id(world.patient, "lab")
    fields = world.follow_up_due(START, START + DAY).model_dump(exclude={"follow_up_id", "appointment_id"})
    await world.hear(due.MonitoringDueV1(**fields, monitoring_id=monitoring))
    await world.until(START + 2 * DAY)
    assert [e["alert"]["kind"] for e in await world.said("alert-raised")] == ["monitoring-overdue"]
    plan = world.plan(1).plan
    ids = {"clinic_id": CLINIC, "patient_id": world.patient, "plan_version": 1, "plan": plan}
    await world.hear(plans.ResultRecordedV1(**ids, monitoring_id=monitoring, recorded_on=world.now.date()))
    assert len(await world.said("alert-resolved")) == 1


async def test_the_twentieth_alert_of_a_connection_is_raised_as_the_first(world: World) -> None:
    """PostgreSQL plans a statement generically from its sixth use on: what names a partial index must survive that."""
    for _ in range(20):
        world.patient = uuid4()
        heard = messages.RiskHeardV1(
            clinic_id=CLINIC, patient_id=world.patient, reply_id=uuid4(), at=START, category="unspecified", safe_reply="sent"
        )
        await world.hear(heard)
    codes = [event["alert"]["code"] for event in await world.said("alert-raised")]
    assert len(set(codes)) == 20


async def test_the_schema_itself_refuses_a_second_open_alert_of_one_cause(world: World) -> None:
    await missed_check_in(world)
    columns = (
        "patient_id, kind, severity, state, dedup_key, chain, step, recipient_id, deadline_at, raised_at, version, clinic_id"
    )
    fresh = f"select gen_random_uuid(), 'A2A2', {columns} from adherence.alert"
    copy = f"insert into adherence.alert (alert_id, code, {columns}) {fresh}"
    async with world.engine.connect() as conn:
        with pytest.raises(IntegrityError, match="alert_one_open_per_cause"):
            await conn.exec_driver_sql(copy)

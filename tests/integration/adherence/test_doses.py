"""The dose log on a real database: any order of events, late answers, silence that is not the patient's, gaps and patterns."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from random import Random
from uuid import UUID, uuid4

import pytest

from shared.events import due, messages, plans
from shared.events.base import Event, stable_id
from tests.integration.adherence.world import CLINIC, HOUR, START, World

DAY = timedelta(days=1)
OUTCOMES = ("dose-taken", "dose-skipped", "dose-missed", "dose-unknown")


async def test_due_answer_taken(world: World) -> None:
    event = world.dose_due(START)
    await world.hear(event)
    await world.hear(world.text("sent", event))
    await world.hear(world.reply("dose", "taken", event.occurrence_id))
    [taken] = await world.said(*OUTCOMES)
    assert (taken["type"], taken["revision"], taken["late"]) == ("dose-taken", 1, False)
    await world.until(START + DAY)
    assert await world.kinds(*OUTCOMES) == ["dose-taken"]
    assert "message-requested" not in await world.kinds(), "nothing after a dose's 1: less noise"


async def test_a_reply_that_is_read_before_its_question_counts_as_soon_as_that_is_known(world: World) -> None:
    event = world.dose_due(START)
    await world.hear(world.reply("dose", "taken", event.occurrence_id))
    assert await world.kinds(*OUTCOMES) == []
    await world.hear(event)
    assert await world.kinds(*OUTCOMES) == ["dose-taken"]


async def test_skipped_is_noted_with_one_thank_you(world: World) -> None:
    event = world.dose_due(START)
    await world.hear(event)
    await world.hear(world.reply("dose", "skipped", event.occurrence_id))
    await world.hear(world.reply("dose", "skipped", event.occurrence_id, at=START + HOUR))
    [asked] = await world.said("message-requested")
    assert (asked["purpose"], asked["instrument"], asked["item"]) == ("acknowledgement", "ack", "thanks")
    assert await world.kinds(*OUTCOMES) == ["dose-skipped"], "the same answer again is no news"


#: What is on record of one occurrence, and what it comes to once its window has closed.
RECORDS: dict[str, tuple[list[str], str]] = {
    "answered": (["due", "sent", "delivered", "taken"], "taken"),
    "silent": (["due", "sent", "delivered"], "unknown delivered-but-silent"),
    "failed": (["due", "sent", "undelivered"], "unknown not-delivered"),
    "in doubt, then settled": (["due", "unconfirmed", "sent", "delivered"], "unknown delivered-but-silent"),
    "in doubt for good": (["due", "unconfirmed", "final"], "unknown not-delivered"),
    "withheld": (["due", "withheld"], "unknown not-asked"),
    "reissued": (["due", "withdrawn", "due-2", "sent", "taken"], "taken"),
    "withdrawn": (["due", "withdrawn", "withheld"], "withdrawn"),
    "withdrawn too late": (["due", "sent", "withdrawn"], "unknown delivered-but-silent"),
    "late": (["due", "sent", "delivered", "late"], "taken late"),
}


def event_of(world: World, name: str, first: due.DoseDueV1) -> Event:
    occurrence = first.occurrence_id
    ids = {"clinic_id": CLINIC, "patient_id": world.patient}
    match name:
        case "due":
            return first
        case "due-2":
            return world.dose_due(START, version=3)
        case "withdrawn":
            return due.DueWithdrawnV1(**ids, occurrence_id=occurrence, plan_version=2, kind="dose-due", reason="dose-changed")
        case "taken" | "late":
            at = START + (HOUR if name == "taken" else 6 * HOUR)
            return world.reply("dose", "taken", occurrence, at=at)
        case "withheld":
            return world.text("withheld", first, START, why="opted-out")
        case "final":
            return world.text("unconfirmed", first, START, final=True)
    return world.text(name, first, START)


async def outcome_of(world: World, occurrence: UUID) -> str:
    state, why, late = (
        await world.rows(f"select state, why, late from adherence.occurrence where occurrence_id = '{occurrence}'")
    )[0]
    return " ".join([state, *([why] if why else []), *(["late"] if late else [])])


@pytest.mark.parametrize("record", RECORDS)
async def test_every_order_and_repetition_ends_the_same(world: World, record: str) -> None:
    """Each order in a patient of its own; the window closes somewhere in the middle, everything comes twice."""
    names, expected = RECORDS[record]
    random = Random(record)
    orders = list(permutations(names))
    for order in random.sample(orders, min(len(orders), 8)):
        world.now, world.patient = START, uuid4()
        events = {name: (event_of(world, name, world.dose_due(START)), uuid4()) for name in names}
        close_after = random.randrange(len(order))
        for number, name in enumerate(order):
            await world.hear(*events[name])
            if number == close_after:
                await world.until(START + 5 * HOUR)
        for name in random.sample(order, len(order)):
            await world.hear(*events[name])
        await world.until(START + 12 * HOUR)
        assert await outcome_of(world, world.dose_due(START).occurrence_id) == expected, order
        said = [event for event in await world.said(*OUTCOMES) if event["patient_id"] == str(world.patient)]
        revisions = [event["revision"] for event in said]
        assert revisions == sorted(set(revisions)), "each revision is said once, and they rise"
        if expected != "withdrawn":
            assert said[-1]["type"] == f"dose-{expected.split()[0]}"


async def test_a_late_answer_revises_and_the_history_stays(world: World) -> None:
    event = await world.silent_dose(START)
    await world.hear(world.reply("dose", "taken", event.occurrence_id))
    unknown, taken = await world.said(*OUTCOMES)
    assert (unknown["type"], unknown["why"], unknown["revision"]) == ("dose-unknown", "delivered-but-silent", 1)
    assert (taken["type"], taken["late"], taken["revision"]) == ("dose-taken", False, 2)
    kept = await world.rows("select revision, state, why from adherence.outcome_history order by revision")
    assert kept == [(1, "unknown", "delivered-but-silent"), (2, "taken", None)]


async def test_with_the_key_parked_a_window_closes_as_record_incomplete_and_a_person_hears(world: World) -> None:
    event = world.dose_due(START)
    await world.hear(event)
    await world.hear(world.text("sent", event))
    await world.hear(world.text("delivered", event))
    async with world.engine.begin() as conn:
        await conn.exec_driver_sql(
            "insert into adherence.parked (event_id, topic, partition, record_offset, key, headers, attempts, error, parked_at)"
            f" values ('{uuid4()}', 'messages.v1', 0, 0, '{world.patient}', '{{}}', 1, 'KeyError', '2026-11-24T15:00Z')"
        )
    await world.until(START + DAY)
    [unknown] = await world.said(*OUTCOMES)
    assert unknown["why"] == "record-incomplete"
    assert [event["alert"]["kind"] for event in await world.said("alert-raised")] == ["record-incomplete"]


async def test_silence_while_the_channel_is_down_is_not_the_patients(world: World) -> None:
    """200 patients silent because of the channel are one ops incident and no alert (domain.md 8)."""
    opened = messages.ChannelIncidentV1(clinic_id=CLINIC, incident_id=uuid4(), state="opened", at=START, reason="provider-down")
    await world.hear(opened)
    check_in, dose = world.check_in_due(START), world.dose_due(START)
    for event in (check_in, dose):
        await world.hear(event)
        await world.hear(world.text("sent", event))
    await world.until(START + DAY)
    assert [(event["type"], event["why"]) for event in await world.said("dose-unknown", "check-in-unasked")] == [
        ("check-in-unasked", "not-delivered"),
        ("dose-unknown", "not-delivered"),
    ]
    assert await world.said("alert-raised", "check-in-missed") == []


async def test_a_dose_that_was_never_said_due_is_unknown_not_asked(world: World) -> None:
    medicine = plans.MedicationSnapshot(
        medication_id=stable_id(world.patient, "m1"),
        status="active",
        slots=(plans.SlotSnapshot(slot_id="morning", time="10:00"),),
    )
    await world.hear(world.plan(1, medications=(medicine,)))
    occurrence = stable_id(world.patient, stable_id(world.patient, "doses"), "morning", "2026-11-24")
    ids = {"clinic_id": CLINIC, "patient_id": world.patient, "occurrence_id": occurrence, "plan_version": 1}
    await world.hear(due.DueExpiredV1(**ids, kind="dose-due", due_at=START, reason="outage"))
    [unknown] = await world.said(*OUTCOMES)
    assert (unknown["why"], unknown["local_date"], unknown["medication_ids"]) == (
        "not-asked",
        "2026-11-24",
        [str(medicine.medication_id)],
    )


async def test_three_silent_days_are_one_alert_until_a_dose_is_taken(world: World) -> None:
    for day in range(5):
        await world.silent_dose(START + day * DAY)
    assert [event["alert"]["kind"] for event in await world.said("alert-raised")] == ["missed-doses"]
    event = world.dose_due(START + 5 * DAY)
    await world.until(START + 5 * DAY)
    await world.hear(event)
    await world.hear(world.reply("dose", "taken", event.occurrence_id))
    [resolved] = await world.said("alert-resolved")
    assert resolved["how"] == "answered"


async def watched(world: World, rule_set: str) -> UUID:
    medicine = plans.MedicationSnapshot(medication_id=stable_id(world.patient, "m1"), status="active", rule_sets=(rule_set,))
    await world.hear(world.plan(1, medications=(medicine,)))
    return medicine.medication_id


async def test_a_gap_holds_asking_and_tells_the_prescriber_and_only_a_command_resumes(world: World) -> None:
    medication = await watched(world, "gap-48h")
    first = world.dose_due(START)
    await world.hear(first)
    await world.hear(world.reply("dose", "taken", first.occurrence_id))
    await world.silent_dose(START + DAY)
    await world.until(START + 2 * DAY)
    assert await world.said("asking-held") == [], "48 hours are not more than 48 hours"
    await world.silent_dose(START + 2 * DAY)
    [held] = await world.said("asking-held")
    assert (held["medication_id"], held["rule_set"], held["hold_version"]) == (str(medication), "gap-48h", 1)
    assert [event["alert"]["kind"] for event in await world.said("alert-raised")] == ["dose-gap"]
    late = world.dose_due(START + 3 * DAY)
    await world.until(START + 3 * DAY)
    await world.hear(late)
    await world.hear(world.reply("dose", "taken", late.occurrence_id))
    assert await world.said("asking-resumed") == [], "a dose taken is not a prescriber's decision"


async def test_a_gap_is_noticed_though_no_dose_comes_due(world: World) -> None:
    await watched(world, "gap-48h")
    first = world.dose_due(START)
    await world.hear(first)
    await world.hear(world.reply("dose", "taken", first.occurrence_id))
    await world.silent_dose(START + DAY)
    await world.until(START + 2 * DAY + timedelta(minutes=5))
    assert len(await world.said("asking-held")) == 1


async def test_an_edge_that_the_source_leaves_undefined_is_told_as_well(world: World) -> None:
    await watched(world, "gap-5-half-lives-induced")
    first = world.dose_due(START)
    await world.hear(first)
    await world.hear(world.reply("dose", "taken", first.occurrence_id))
    await world.silent_dose(START + DAY)
    await world.until(START + timedelta(hours=62, minutes=59))
    assert await world.said("asking-held") == []
    await world.until(START + timedelta(hours=63, minutes=2))
    assert len(await world.said("asking-held")) == 1


async def test_adherence_is_said_as_a_range(world: World) -> None:
    event = world.dose_due(START)
    await world.hear(event)
    await world.hear(world.reply("dose", "taken", event.occurrence_id))
    await world.silent_dose(START + DAY)
    ranges = [(event["expected"], event["low"], event["high"]) for event in await world.said("adherence-changed")]
    assert ranges == [(1, 1.0, 1.0), (2, 0.5, 1.0)]


async def test_the_timeline_holds_what_was_heard_and_said_with_causes(world: World) -> None:
    event = world.dose_due(START)
    await world.hear(event)
    await world.hear(world.reply("dose", "taken", event.occurrence_id))
    rows = await world.rows("select kind, coalesce(cause, '-') from adherence.timeline order by at, seq")
    assert rows == [("dose-due", "-"), ("reply-received", "-"), ("dose-taken", "-"), ("adherence-changed", "-")]
    caused = await world.rows(
        "select e.kind, c.kind from adherence.timeline e join adherence.timeline c on c.event_id = e.causation_id order by e.seq"
    )
    assert caused == [("dose-taken", "reply-received"), ("adherence-changed", "dose-taken")]


async def test_an_older_plan_changes_nothing(world: World) -> None:
    await world.hear(world.plan(3, texts_a_day=3))
    await world.hear(world.plan(2, texts_a_day=2))
    assert await world.rows("select plan_version, (plan ->> 'texts_a_day')::int from adherence.patient") == [(3, 3)]

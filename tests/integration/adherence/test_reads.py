"""What is read of the record is no more than is asked for: nothing withdrawn or too old, or another medicine's or clinic's;
and what was written of it is all there for what comes later."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

from services.adherence.commands import alerts
from services.adherence.storage import alerts as alert_rows
from services.adherence.storage import people
from shared.events import due, messages, plans
from shared.events.base import stable_id
from shared.messaging.unit import Unit
from tests.integration.adherence.test_together import park
from tests.integration.adherence.world import CIPHER, CLINIC, HOUR, START, World

DAY = timedelta(days=1)


async def ranges(world: World) -> list[tuple[int, float, float]]:
    return [(event["expected"], event["low"], event["high"]) for event in await world.said("adherence-changed")]


async def test_a_withdrawn_dose_is_not_one_that_was_expected(world: World) -> None:
    withdrawn, taken = world.dose_due(START - DAY), world.dose_due(START)
    for event in (withdrawn, taken):
        await world.hear(event)
    ids = {"clinic_id": CLINIC, "patient_id": world.patient, "occurrence_id": withdrawn.occurrence_id}
    await world.hear(due.DueWithdrawnV1(**ids, plan_version=1, kind="dose-due", reason="dose-changed"))
    await world.hear(world.reply("dose", "taken", taken.occurrence_id))
    assert await ranges(world) == [(0, 0.0, 1.0), (1, 1.0, 1.0)]


async def test_what_was_more_than_four_weeks_ago_is_no_longer_measured(world: World) -> None:
    event = world.dose_due(START)
    await world.hear(event)
    await world.hear(world.reply("dose", "taken", event.occurrence_id))
    await world.silent_dose(START + 40 * DAY)
    assert await ranges(world) == [(1, 1.0, 1.0), (1, 0.0, 1.0)]


async def test_silence_of_more_than_two_months_ago_is_no_part_of_a_pattern(world: World) -> None:
    for day in (0, 1, 70):
        await world.silent_dose(START + day * DAY)
    assert await world.said("alert-raised") == []


async def test_another_medicines_dose_ends_no_gap(world: World) -> None:
    medicine = stable_id(world.patient, "m1")
    watched = plans.MedicationSnapshot(medication_id=medicine, status="active", rule_sets=("gap-48h",))
    await world.hear(world.plan(1, medications=(watched,)))
    for day in range(3):
        await world.silent_dose(START + day * DAY)
        other = world.dose_due(START + day * DAY + HOUR, medication=stable_id(world.patient, "m2"))
        other = other.model_copy(update={"occurrence_id": uuid4()})
        await world.hear(other)
        await world.hear(world.reply("dose", "taken", other.occurrence_id))
    assert [event["medication_id"] for event in await world.said("asking-held")] == [str(medicine)]


async def test_a_row_of_missed_check_ins_ends_with_the_one_that_is_spoken_of(world: World) -> None:
    """The first one's window closes last: the second, which came after it, is not part of its row."""
    first = world.check_in_due(START).model_copy(update={"answer_until": START + 2 * DAY})
    await world.hear(first)
    await world.hear(world.text("delivered", first))
    await world.until(START + DAY)
    second = world.check_in_due(START + DAY)
    await world.hear(second)
    await world.hear(world.text("delivered", second))
    await world.until(START + 3 * DAY)
    said = {event["occurrence_id"]: event["in_a_row"] for event in await world.said("check-in-missed")}
    assert said == {str(second.occurrence_id): 1, str(first.occurrence_id): 1}


async def test_a_row_of_missed_check_ins_is_counted_back_to_the_last_answer(world: World) -> None:
    for day, said in enumerate(("answered", "missed", "missed")):
        await world.until(START + day * DAY)
        event = world.check_in_due(START + day * DAY)
        await world.hear(event)
        await world.hear(world.text("delivered", event))
        if said == "answered":
            await world.hear(world.reply("check-in", "score", event.occurrence_id, score=5))
    await world.until(START + 3 * DAY)
    assert [event["in_a_row"] for event in await world.said("check-in-missed")] == [1, 2]


async def test_of_a_causes_alerts_the_open_one_comes_first_and_another_clinics_not_at_all(world: World) -> None:
    cause = alerts.Cause("side-effect", "one-key")
    async with world.engine.begin() as conn:
        unit = Unit(conn, now=START, service="adherence", cipher=CIPHER)
        patient, elsewhere = people.Patient(world.patient, CLINIC), people.Patient(uuid4(), uuid4())
        await alerts.raise_alert(unit, patient, cause)
        [first] = await alert_rows.unresolved(unit, CLINIC, "one-key")
        assert await alert_rows.unresolved(unit, elsewhere.clinic_id, "one-key") == []
        await alerts.acknowledge(unit, first.id, by=None, how="api")
        unit.now += HOUR
        assert await alerts.raise_alert(unit, patient, cause), "a new one: the first has been seen to"
        assert await alerts.raise_alert(unit, elsewhere, cause), "and theirs is their own"
        both = await alert_rows.unresolved_of(unit, {"one-key": CLINIC, "none": elsewhere.clinic_id})
        known = await alert_rows.unresolved(unit, CLINIC, "one-key")
        assert both == {"one-key": known, "none": []}
        assert [alert.state for alert in known] == ["open", "acknowledged"]
        assert not await alerts.raise_alert(unit, patient, cause)
        await alerts.resolve_cause(unit, CLINIC, "one-key", "answered")
        assert await alert_rows.unresolved(unit, CLINIC, "one-key") == []
        assert len(await alert_rows.unresolved(unit, elsewhere.clinic_id, "one-key")) == 1


async def test_why_a_dose_was_skipped_is_said_once(world: World) -> None:
    event = world.dose_due(START)
    await world.hear(event)
    await world.hear(world.reply("dose", "skipped", event.occurrence_id, reason="felt-unwell"))
    await world.hear(world.text("delivered", event))
    await world.until(START + DAY)
    assert [(said["reason"], said["revision"]) for said in await world.said("dose-skipped")] == [("felt-unwell", 1)]


async def test_what_a_window_closed_under_stands_for_what_is_heard_later(world: World) -> None:
    """The channel was down, or a key was parked: neither a text that had gone nor one that had arrived makes it the patient's."""
    down = {"incident_id": uuid4(), "state": "opened", "at": START, "reason": "provider-down"}
    await world.hear(messages.ChannelIncidentV1(clinic_id=CLINIC, **down))
    for how, text, why in ((None, "sent", "not-delivered"), ("parked", "delivered", "record-incomplete")):
        world.now, world.patient = START, uuid4()
        event = world.dose_due(START)
        await world.hear(event)
        if how is not None:
            await park(world, CLINIC, how)
        await world.until(START + 5 * HOUR)
        await world.hear(world.text(text, event))
        said = [each["why"] for each in await world.said("dose-unknown") if each["patient_id"] == str(world.patient)]
        assert said == [why]
        assert await world.rows(f"select why from adherence.occurrence where patient_id = '{world.patient}'") == [(why,)]

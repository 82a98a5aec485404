"""Settles an occurrence: reads its record, decides, says what changed, and does what follows from it.

Called after every fact, in whatever order facts come; where the record says what was said already, nothing happens.
"""

from __future__ import annotations

from uuid import UUID

from services.adherence.commands import conversation, reach, watch
from services.adherence.commands.alerts import Cause, raise_alert, resolve_cause
from services.adherence.commands.voice import Because, say
from services.adherence.data import instrument_of
from services.adherence.domain import checkins
from services.adherence.domain.checkins import CheckInOutcome
from services.adherence.domain.doses import DoseOutcome
from services.adherence.domain.silence import Fact
from services.adherence.storage import occurrences, people
from services.adherence.storage.occurrences import Occurrence
from shared.defaults import default
from shared.events.adherence import (
    CheckInAnsweredV1,
    CheckInMissedV1,
    CheckInUnaskedV1,
    DoseMissedV1,
    DoseSkippedV1,
    DoseTakenV1,
    DoseUnknownV1,
)
from shared.messaging.unit import Unit

WINDOW = {"dose": "dose-window", "check-in": "check-in-window"}


async def expect(unit: Unit, one: Occurrence) -> None:
    """A due event: the window is kept, its closing planned, and what came before it is looked at now."""
    if await occurrences.expect(unit, one):
        await plan_window(unit, one)
    await settle(unit, one.id)


async def plan_window(unit: Unit, one: Occurrence) -> None:
    """Closes at `answer_until`; where that has passed already, a moment from now: what other topics say of it comes first."""
    at = one.window.answer_until
    if at <= unit.now:
        at = unit.now + default("adherence", "late_by")
    await unit.plan_work(
        WINDOW[one.kind],
        str(one.id),
        at,
        key=one.patient_id,
        clinic_id=one.clinic_id,
        data={"waited": at != one.window.answer_until},
    )


async def fact(unit: Unit, clinic_id: UUID, patient_id: UUID, occurrence_id: UUID, known: Fact) -> None:
    """One more fact about an occurrence, whether or not it has been said due yet."""
    await occurrences.add_fact(unit, clinic_id, patient_id, occurrence_id, known)
    await settle(unit, occurrence_id)


async def close_window(unit: Unit, occurrence_id: UUID) -> None:
    """The time for an answer is over. With the patient's key parked, all that can be said is that the record is incomplete."""
    one = await occurrences.get(unit, occurrence_id)
    if one is None or one.window.closed:
        return
    incomplete = await unit.is_parked(one.patient_id)
    await occurrences.close(unit, one, incomplete=incomplete)
    await settle(unit, occurrence_id, because=WINDOW[one.kind])
    if incomplete:
        await reach.record_incomplete(unit, one.clinic_id, one.patient_id, WINDOW[one.kind])


async def settle(unit: Unit, occurrence_id: UUID, because: Because = None) -> None:
    """Says what is new about it. An occurrence not said due yet waits: its facts are kept."""
    one = await occurrences.get(unit, occurrence_id)
    if one is None:
        return
    known = await occurrences.facts_of(unit, occurrence_id)
    if one.kind == "dose":
        await _settle_dose(unit, one, known, because)
    else:
        await _settle_check_in(unit, one, known, because)


async def _settle_dose(unit: Unit, one: Occurrence, known: list[Fact], because: Because) -> None:
    ledger, outcome = one.ledger(known).settled()
    if outcome is None:
        return
    await occurrences.save_dose(unit, one, outcome, ledger.revision)
    event = _dose_event(one, outcome, ledger.revision)
    said = await say(unit, event, because=because) if event is not None else because
    if outcome.state == "skipped" and not any(each.kind == "correction" for each in known):
        await conversation.thank(unit, one, outcome.at)
    await watch.dose_settled(unit, one, said)


def _dose_event(
    one: Occurrence, outcome: DoseOutcome, revision: int
) -> DoseTakenV1 | DoseSkippedV1 | DoseMissedV1 | DoseUnknownV1 | None:
    common = {
        "clinic_id": one.clinic_id,
        "patient_id": one.patient_id,
        "occurrence_id": one.id,
        "local_date": one.local_date,
        "medication_ids": one.medication_ids,
        "at": outcome.at,
        "revision": revision,
        "late": outcome.late,
    }
    match outcome.state:
        case "taken":
            return DoseTakenV1(**common)
        case "skipped":
            return DoseSkippedV1(**common, reason=outcome.reason)
        case "missed":
            return DoseMissedV1(**common)
        case "unknown":
            return DoseUnknownV1(**common, why=outcome.why)
    # Withdrawn or expected again: no longer, or once more, an open question. No text and no figure counts it.
    return None


def missed_check_in_key(one: Occurrence) -> str:
    """One open alert a series: a second silence adds nothing that the first has not said."""
    return f"missed-check-in:{one.series_id}"


async def _settle_check_in(unit: Unit, one: Occurrence, known: list[Fact], because: Because) -> None:
    instrument = instrument_of(str(one.instrument), str(one.item))
    outcome = checkins.decide(one.window, str(one.item), instrument, known)
    scores = {item: score.value for item, score in outcome.scores.items()}
    if (outcome.state, outcome.why, scores) == (one.state, one.why, one.scores):
        return
    await occurrences.save_check_in(unit, one, outcome)
    match outcome.state:
        case "answered":
            await _answered(unit, one, outcome)
            await conversation.go_on(unit, one, instrument, outcome)
        case "missed":
            await _missed(unit, one, outcome, because)
        case "unasked":
            event = CheckInUnaskedV1(**_ids(one), instrument=str(one.instrument), at=outcome.at, why=outcome.why or "not-asked")
            said = await say(unit, event, because=because)
            if one.state == "missed":
                await resolve_cause(unit, one.clinic_id, missed_check_in_key(one), "corrected", said)


def _ids(one: Occurrence) -> dict[str, UUID]:
    return {"clinic_id": one.clinic_id, "patient_id": one.patient_id, "occurrence_id": one.id}


async def _answered(unit: Unit, one: Occurrence, outcome: CheckInOutcome) -> None:
    said: Because = None
    for item, score in outcome.scores.items():
        if one.scores.get(item) != score.value:
            event = CheckInAnsweredV1(
                **_ids(one), instrument=str(one.instrument), item=item, score=score.value, at=score.at, late=score.late
            )
            said = await say(unit, event)
    if one.state == "missed":
        await resolve_cause(unit, one.clinic_id, missed_check_in_key(one), "answered", said)


async def _missed(unit: Unit, one: Occurrence, outcome: CheckInOutcome, because: Because) -> None:
    in_a_row = max(checkins.in_a_row(await occurrences.series_states(unit, one)), 1)
    event = CheckInMissedV1(**_ids(one), instrument=str(one.instrument), at=outcome.at, in_a_row=in_a_row)
    said = await say(unit, event, because=because)
    patient = await people.patient(unit, one.clinic_id, one.patient_id)
    key = missed_check_in_key(one)
    await raise_alert(unit, patient, Cause("missed-check-in", key, occurrence_id=one.id), said)

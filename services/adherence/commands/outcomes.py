"""Settles an occurrence: reads its record, decides, says what changed, and does what follows from it.

Called after every fact, in whatever order facts come; where the record says what was said already, nothing happens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from services.adherence.commands import conversation, reach, watch
from services.adherence.commands.alerts import Cause, raise_alert, resolve_cause
from services.adherence.commands.voice import Because, say
from services.adherence.data import instrument_of
from services.adherence.domain import checkins
from services.adherence.domain.alerts import Alert
from services.adherence.domain.checkins import CheckInOutcome, Instrument
from services.adherence.domain.doses import DoseOutcome
from services.adherence.storage import alerts, occurrences, people, records
from services.adherence.storage.occurrences import Occurrence
from services.adherence.storage.people import Patient
from services.adherence.storage.records import Heard, Record, Revision
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
    await settle_due(unit, one, await records.expect(unit, [one]))


async def settle_due(unit: Unit, one: Occurrence, taken: Mapping[UUID, Record]) -> None:
    """What follows from a due event whose window was kept, should it have been, with others' (`records.expect`)."""
    record = taken.get(one.id)
    if record is not None:
        await plan_window(unit, one)
    await _settle_one(unit, record or await records.get(unit, one.id))


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


async def fact(unit: Unit, heard: Heard) -> Occurrence | None:
    """One more fact about an occurrence, whether or not it has been said due yet. The occurrence as it is now, where it has."""
    return await settle_heard(unit, heard, await records.hear(unit, [heard]))


async def settle_heard(unit: Unit, heard: Heard, found: dict[UUID, Record]) -> Occurrence | None:
    """What follows from a fact that was kept, with others (`records.hear`), for the record as those before it have left it.
    `found` then has it with this fact."""
    record = found.get(heard.occurrence_id)
    if record is None:
        return None
    record = record.with_fact(heard.fact)
    now = (await _settle(unit, [record]))[0]
    found[heard.occurrence_id] = replace(record, one=now)
    return now


async def close_windows(unit: Unit, wanted: Sequence[UUID]) -> None:
    """The time for an answer to these is over; each is of another patient. With the patient's key parked, all that can be said is
    that the record is incomplete."""
    closed = await records.closing(unit, wanted)
    await _settle(unit, closed, closing=True)
    for one in (record.one for record in closed):
        if one.window.incomplete:
            await reach.record_incomplete(unit, one.clinic_id, one.patient_id, WINDOW[one.kind])


@dataclass(frozen=True)
class _Settled:
    """A record that says something new: how it stood, how it stands now."""

    was: Record
    now: Occurrence
    outcome: DoseOutcome | CheckInOutcome


async def _settle_one(unit: Unit, record: Record | None) -> Occurrence | None:
    """An occurrence not said due yet waits: its facts are kept."""
    if record is None:
        return None
    return (await _settle(unit, [record]))[0]


async def _settle(unit: Unit, found: Sequence[Record], *, closing: bool = False) -> list[Occurrence]:
    """Says what is new about each, and how they stand now. No two are of one patient: what follows from the first would have to
    be known before the second is settled. `closing`: their windows have closed with this."""
    decided = [(record, _decide(record)) for record in found]
    revisions = [
        Revision(record.one if news is None else news.now, news is not None) for record, news in decided if closing or news
    ]
    await records.save(unit, revisions)
    settled = [news for _, news in decided if news is not None]
    sight = await _look(unit, settled)
    for news in settled:
        because = WINDOW[news.now.kind] if closing else None
        if isinstance(news.outcome, DoseOutcome):
            await _dose(unit, news, news.outcome, sight, because)
        else:
            await _check_in(unit, news, news.outcome, sight, because)
    return [record.one if news is None else news.now for record, news in decided]


def _decide(record: Record) -> _Settled | None:
    """None where the record says what was said already."""
    return _decide_dose(record) if record.one.kind == "dose" else _decide_check_in(record)


def _decide_dose(record: Record) -> _Settled | None:
    ledger, outcome = record.one.ledger(record.facts).settled()
    if outcome is None:
        return None
    now = replace(
        record.one,
        state=outcome.state,
        why=outcome.why,
        late=outcome.late,
        reason=outcome.reason,
        outcome_at=outcome.at,
        revision=ledger.revision,
    )
    return _Settled(record, now, outcome)


def _decide_check_in(record: Record) -> _Settled | None:
    one = record.one
    outcome = checkins.decide(one.window, str(one.item), _instrument(one), record.facts)
    scores = {item: score.value for item, score in outcome.scores.items()}
    if (outcome.state, outcome.why, scores) == (one.state, one.why, one.scores):
        return None
    now = replace(
        one,
        state=outcome.state,
        why=outcome.why,
        late=any(score.late for score in outcome.scores.values()),
        scores=scores,
        outcome_at=outcome.at,
        revision=one.revision + 1,
    )
    return _Settled(record, now, outcome)


def _instrument(one: Occurrence) -> Instrument:
    return instrument_of(str(one.instrument), str(one.item))


@dataclass(frozen=True)
class _Sight:
    """What is looked at for all that was settled together, each read once."""

    doses: watch.Sight | None
    #: Of missed check-ins: the states of each one's series, its patient, and what is unresolved of its alert.
    series: Mapping[UUID, Sequence[str]]
    patients: Mapping[UUID, Patient]
    alerts: Mapping[str, Sequence[Alert]]


async def _look(unit: Unit, settled: Sequence[_Settled]) -> _Sight:
    """Looks once the new outcomes stand, only at what somebody will ask for."""
    doses = [each.now for each in settled if each.now.kind == "dose"]
    missed = [each.now for each in settled if each.now.kind == "check-in" and each.now.state == "missed"]
    seen = await watch.look(unit, doses) if doses else None
    if not missed:
        return _Sight(seen, {}, {}, {})
    return _Sight(
        seen,
        await occurrences.series_states(unit, [one.id for one in missed]),
        await people.patients_of(unit, {one.patient_id: one.clinic_id for one in missed}),
        await alerts.unresolved_of(unit, {missed_check_in_key(one): one.clinic_id for one in missed}),
    )


async def _dose(unit: Unit, news: _Settled, outcome: DoseOutcome, sight: _Sight, because: Because) -> None:
    event = _dose_event(news.now, outcome, news.now.revision)
    said = await say(unit, event, because=because) if event is not None else because
    if outcome.state == "skipped" and not any(each.kind == "correction" for each in news.was.facts):
        await conversation.thank(unit, news.now, outcome.at)
    if sight.doses is not None:
        await watch.dose_settled(unit, news.now, sight.doses, said)


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


async def _check_in(unit: Unit, news: _Settled, outcome: CheckInOutcome, sight: _Sight, because: Because) -> None:
    was, one = news.was.one, news.now
    match outcome.state:
        case "answered":
            await _answered(unit, was, outcome)
            await conversation.go_on(unit, one, _instrument(one), outcome)
        case "missed":
            await _missed(unit, one, outcome, sight, because)
        case "unasked":
            event = CheckInUnaskedV1(**_ids(one), instrument=str(one.instrument), at=outcome.at, why=outcome.why or "not-asked")
            said = await say(unit, event, because=because)
            if was.state == "missed":
                await resolve_cause(unit, one.clinic_id, missed_check_in_key(one), "corrected", said)


def _ids(one: Occurrence) -> dict[str, UUID]:
    return {"clinic_id": one.clinic_id, "patient_id": one.patient_id, "occurrence_id": one.id}


async def _answered(unit: Unit, one: Occurrence, outcome: CheckInOutcome) -> None:
    """`one` as it stood: what has been said of it is not said again."""
    said: Because = None
    for item, score in outcome.scores.items():
        if one.scores.get(item) != score.value:
            event = CheckInAnsweredV1(
                **_ids(one), instrument=str(one.instrument), item=item, score=score.value, at=score.at, late=score.late
            )
            said = await say(unit, event)
    if one.state == "missed":
        await resolve_cause(unit, one.clinic_id, missed_check_in_key(one), "answered", said)


async def _missed(unit: Unit, one: Occurrence, outcome: CheckInOutcome, sight: _Sight, because: Because) -> None:
    in_a_row = max(checkins.in_a_row(sight.series[one.id]), 1)
    event = CheckInMissedV1(**_ids(one), instrument=str(one.instrument), at=outcome.at, in_a_row=in_a_row)
    said = await say(unit, event, because=because)
    key = missed_check_in_key(one)
    cause = Cause("missed-check-in", key, occurrence_id=one.id)
    await raise_alert(unit, sight.patients[one.patient_id], cause, said, known=sight.alerts[key])

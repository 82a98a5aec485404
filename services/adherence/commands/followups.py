"""Follow-ups and monitoring: what the plan asks for, whose word there is on it, and who hears where there is none."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from services.adherence.commands.alerts import Cause, raise_alert, resolve_cause
from services.adherence.commands.voice import Because, say
from services.adherence.domain.followups import FollowUpOutcome, Word, decide
from services.adherence.domain.silence import Fact
from services.adherence.storage import followups, occurrences, people
from services.adherence.storage.followups import FollowUp, Monitoring
from shared.defaults import default
from shared.errors import DomainError
from shared.events.adherence import FollowUpKeptV1, FollowUpMissedV1, FollowUpUnrecordedV1
from shared.events.base import stable_id
from shared.events.plans import FollowUpSnapshot, PlanEvent
from shared.messaging.unit import Unit

GUARD = "follow-up-deadline"
MONITORING = "monitoring-deadline"
_KEPT = frozenset({"yes", "taken"})
_NOT_KEPT = frozenset({"no", "skipped"})


async def plan_guard(unit: Unit, one: FollowUp) -> None:
    """Should the scheduler's follow-up-overdue never come, this says it."""
    at = max(one.deadline_at + default("adherence", "follow_up_guard"), unit.now)
    await unit.plan_work(GUARD, str(one.id), at, key=one.patient_id, clinic_id=one.clinic_id)


async def follow_plan(unit: Unit, event: PlanEvent) -> None:
    """Makes follow-ups what the newest plan asks for. What it no longer asks for is withdrawn, unless somebody's word is in."""
    running = event.plan.status in {"active", "paused"}
    wanted = {one.follow_up_id: one for one in event.plan.follow_ups} if running else {}
    known = {one.id: one for one in await followups.of_patient(unit, event.patient_id)}
    for follow_up_id, one in wanted.items():
        await _want(unit, event, one, known.get(follow_up_id))
    for follow_up_id in known.keys() - wanted.keys():
        await followups.put(unit, known[follow_up_id], expected=False)
        await unit.drop_work(GUARD, str(follow_up_id))
    for appointment in event.plan.appointments:
        if appointment.follow_up_id in wanted and appointment.status in {"kept", "missed"}:
            outcome: Literal["kept", "missed"] = "kept" if appointment.status == "kept" else "missed"
            word = Word(
                stable_id(_event_id(unit), appointment.follow_up_id),
                "appointment",
                outcome,
                unit.cause.time if unit.cause else unit.now,
            )
            await hear(unit, appointment.follow_up_id, word)
    for follow_up_id in known.keys() | wanted.keys():
        await settle(unit, follow_up_id)


def _event_id(unit: Unit) -> UUID:
    if unit.cause is None:
        raise ValueError("an appointment's outcome comes with an event")
    return unit.cause.id


async def _want(unit: Unit, event: PlanEvent, one: FollowUpSnapshot, known: FollowUp | None) -> None:
    zone = ZoneInfo(event.plan.zone or "UTC")
    # The due event brings the scheduler's own instant; until then: the end of the deadline's local day.
    deadline = datetime.combine(one.deadline_on + timedelta(days=1), time(0), zone)
    if known is not None and known.occurrence_id is not None:
        deadline = known.deadline_at
    row = FollowUp(one.follow_up_id, event.clinic_id, event.patient_id, deadline, one.due_on)
    await followups.put(unit, row, due_on=one.due_on, deadline_at=deadline, expected=True)
    if known is None or (known.state == "pending" and known.deadline_at != deadline):
        await plan_guard(unit, row)


async def due(unit: Unit, one: FollowUp) -> None:
    """follow-up-due: the patient is asked under this occurrence, and this is the deadline."""
    await followups.put(unit, one, occurrence_id=one.occurrence_id, deadline_at=one.deadline_at)
    await plan_guard(unit, one)
    await settle(unit, one.id)


async def deadline_passed(unit: Unit, one: FollowUp, because: Because = None) -> None:
    """With nothing on record at the deadline it is unrecorded, and a person hears. While the key is parked nobody can tell."""
    if await unit.is_parked(one.patient_id):
        again = unit.now + default("adherence", "follow_up_guard")
        await unit.plan_work(GUARD, str(one.id), again, key=one.patient_id, clinic_id=one.clinic_id)
        return
    await followups.put(unit, one, deadline_passed=True)
    await unit.drop_work(GUARD, str(one.id))
    await settle(unit, one.id, because)


async def hear(unit: Unit, follow_up_id: UUID, word: Word) -> None:
    """Somebody's word on a follow-up that is known here."""
    one = await followups.get(unit, follow_up_id)
    if one is not None:
        known = await followups.words_on(unit, follow_up_id)
        said = {(each.source, each.outcome) for each in known if each.source == "appointment"}
        if (word.source, word.outcome) not in said:
            await followups.add_word(unit, one, word)


async def record(unit: Unit, clinic_id: UUID, follow_up_id: UUID, outcome: Literal["kept", "missed"], word_id: UUID) -> FollowUp:
    """A member of the care team records it. DomainError 404 where this clinic has no such follow-up."""
    found = await followups.get(unit, follow_up_id)
    if found is None or found.clinic_id != clinic_id:
        raise DomainError("follow_up", "there is no such follow-up", accepted="the id of a follow-up of this clinic", status=404)
    await unit.lock(found.patient_id)
    await followups.add_word(unit, found, Word(word_id, "person", outcome, unit.now))
    await settle(unit, follow_up_id)
    return await followups.get(unit, follow_up_id) or found


async def settle(unit: Unit, follow_up_id: UUID, because: Because = None) -> None:
    """Says what is new about it."""
    one = await followups.get(unit, follow_up_id)
    if one is None:
        return
    words = [*await followups.words_on(unit, one.id), *await _patients_words(unit, one)]
    outcome = decide(words, deadline_passed=one.deadline_passed, expected=one.expected)
    if outcome == one.outcome:
        return
    await followups.save(unit, one, outcome)
    said = await _say(unit, one, outcome, because) if outcome.state != one.state else because
    await _tell(unit, one, outcome, said)


async def _patients_words(unit: Unit, one: FollowUp) -> list[Word]:
    """The patient's own answers. "Not yet" before the deadline is not a missed follow-up; after it, the patient says it was."""
    facts: list[Fact] = [] if one.occurrence_id is None else await occurrences.facts_of(unit, one.occurrence_id)
    answers = [fact for fact in facts if fact.kind == "answer"]
    kept = [Word(fact.id, "patient", "kept", fact.at) for fact in answers if fact.value in _KEPT]
    missed = [fact for fact in answers if fact.value in _NOT_KEPT and fact.at >= one.deadline_at]
    return kept + [Word(fact.id, "patient", "missed", fact.at) for fact in missed]


async def _say(unit: Unit, one: FollowUp, outcome: FollowUpOutcome, because: Because) -> Because:
    ids = {"clinic_id": one.clinic_id, "patient_id": one.patient_id, "follow_up_id": one.id, "occurrence_id": one.occurrence_id}
    match outcome.state:
        case "kept" if outcome.source is not None:
            return await say(unit, FollowUpKeptV1(**ids, at=outcome.at or unit.now, source=outcome.source), because=because)
        case "missed" if outcome.source is not None:
            return await say(unit, FollowUpMissedV1(**ids, at=outcome.at or unit.now, source=outcome.source), because=because)
        case "unrecorded":
            return await say(unit, FollowUpUnrecordedV1(**ids, at=one.deadline_at), because=because)
    return because


async def _tell(unit: Unit, one: FollowUp, outcome: FollowUpOutcome, because: Because) -> None:
    """Who must know. What a person of the team has recorded, the team knows."""
    unrecorded, missed = f"follow-up-unrecorded:{one.id}", f"follow-up-missed:{one.id}"
    patient = await people.patient(unit, one.clinic_id, one.patient_id)
    if outcome.state == "unrecorded":
        await raise_alert(
            unit, patient, Cause("follow-up-unrecorded", unrecorded, occurrence_id=one.occurrence_id, once=True), because
        )
        return
    await resolve_cause(unit, one.clinic_id, unrecorded, "answered", because)
    if outcome.state == "missed" and outcome.source != "person":
        await raise_alert(unit, patient, Cause("follow-up-missed", missed, occurrence_id=one.occurrence_id, once=True), because)
    elif outcome.state != "missed":
        await resolve_cause(unit, one.clinic_id, missed, "answered", because)


async def monitoring_due(unit: Unit, one: Monitoring) -> None:
    """A lab or vital sign is due: with no result by its deadline a person hears."""
    await followups.put_monitoring(unit, one)
    at = max(one.deadline_at, unit.now)
    await unit.plan_work(MONITORING, str(one.occurrence_id), at, key=one.patient_id, clinic_id=one.clinic_id)


async def monitoring_deadline(unit: Unit, occurrence_id: UUID) -> None:
    one = await followups.monitoring_of(unit, occurrence_id)
    if one is None or await followups.has_result(unit, one):
        return
    if await unit.is_parked(one.patient_id):
        again = unit.now + default("adherence", "follow_up_guard")
        await unit.plan_work(MONITORING, str(occurrence_id), again, key=one.patient_id, clinic_id=one.clinic_id)
        return
    patient = await people.patient(unit, one.clinic_id, one.patient_id)
    key = f"monitoring-overdue:{occurrence_id}"
    await raise_alert(unit, patient, Cause("monitoring-overdue", key, occurrence_id=occurrence_id, once=True), MONITORING)

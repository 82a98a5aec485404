"""What is watched over many doses: adherence as a range, rows of doses not taken, and gaps that need a prescriber.

A gap never leads to advice: asking to take that medicine is held, and the prescriber hears (DESIGN.md rule 4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from services.adherence.commands.alerts import Cause, raise_alert, resolve_cause
from services.adherence.commands.voice import Because, say
from services.adherence.data import DEFAULT_PATTERN, gap_rules, pattern_rules
from services.adherence.domain.alerts import Alert
from services.adherence.domain.measure import adherence, worth_saying
from services.adherence.domain.rules import DoseOnRecord, GapRule, gap_now, judge_gap, pattern_holds
from services.adherence.storage import alerts, occurrences, people
from services.adherence.storage.occurrences import Occurrence
from services.adherence.storage.people import Hold, Patient
from shared.defaults import default
from shared.errors import DomainError
from shared.events.adherence import AdherenceChangedV1, AskingHeldV1, AskingResumedV1
from shared.messaging.unit import Unit
from shared.restore.mode import version_base

GAP_CHECK = "gap-check"
#: Longer than the longest gap rule (352 h), any run of doses that a rule looks at, and the days that adherence is measured over.
LOOK_BACK = timedelta(days=60)


@dataclass(frozen=True)
class Sight:
    """What is looked at after a dose's outcome has changed, read once for all whose doses have: by patient."""

    patients: Mapping[UUID, Patient]
    #: Since `LOOK_BACK`.
    doses: Mapping[UUID, Sequence[DoseOnRecord]]
    #: What is unresolved of the pattern's alert.
    alerts: Mapping[str, Sequence[Alert]]


async def look(unit: Unit, settled: Sequence[Occurrence]) -> Sight:
    """Looks at the patients of doses whose new outcomes stand already. It serves one dose a patient: a second one needs another
    look."""
    clinics_of = {one.patient_id: one.clinic_id for one in settled}
    return Sight(
        await people.patients_of(unit, clinics_of),
        await occurrences.doses_since(unit, list(clinics_of), unit.now - LOOK_BACK),
        await alerts.unresolved_of(unit, {_pattern_key(patient): clinic for patient, clinic in clinics_of.items()}),
    )


async def dose_settled(unit: Unit, one: Occurrence, sight: Sight, because: Because) -> None:
    """After each change of a dose's outcome."""
    patient = sight.patients[one.patient_id]
    await measure(unit, patient, sight.doses[patient.id], because)
    held = [await check_gap(unit, patient, medication, because) for medication in one.medication_ids]
    if not any(held):
        await check_pattern(unit, patient, sight, because)


async def measure(unit: Unit, patient: Patient, doses: Sequence[DoseOnRecord], because: Because) -> None:
    """`doses`: at least those of the days that it is measured over."""
    days = default("adherence", "measure_days")
    since = unit.now - timedelta(days=days)
    new = adherence(dose.state for dose in doses if dose.due_at >= since)
    if not worth_saying(new, patient.said, patient.said_at, unit.now, default("adherence", "measure_moved_by")):
        return
    await people.put_said(unit, patient, new.low, new.high)
    event = AdherenceChangedV1(
        clinic_id=patient.clinic_id,
        patient_id=patient.id,
        at=unit.now,
        days=days,
        expected=new.expected,
        taken=new.taken,
        unknown=new.unknown,
        low=new.low,
        high=new.high,
    )
    await say(unit, event, because=because)


def _pattern_key(patient_id: UUID) -> str:
    return f"{DEFAULT_PATTERN}:{patient_id}"


async def check_pattern(unit: Unit, patient: Patient, sight: Sight, because: Because) -> None:
    """A row of doses not taken is one alert, until a dose is taken again; acknowledged, it is not raised anew each day."""
    key = _pattern_key(patient.id)
    known = sight.alerts[key]
    if pattern_holds(pattern_rules()[DEFAULT_PATTERN], sight.doses[patient.id]):
        await raise_alert(unit, patient, Cause("missed-doses", key, once=True), because, known=known)
    else:
        await resolve_cause(unit, patient.clinic_id, key, "answered", because, known=known)


def gap_rule_of(patient: Patient, medication_id: UUID) -> GapRule | None:
    """The gap rule that watches this medicine while it is active, by the plan's snapshot; the strictest where there are two."""
    medications = patient.plan.medications if patient.plan is not None and patient.plan.status == "active" else ()
    watched = (one.rule_sets for one in medications if one.medication_id == medication_id and one.status == "active")
    rules = [gap_rules()[name] for names in watched for name in names if name in gap_rules()]
    return min(rules, key=lambda rule: rule.within_below, default=None)


async def check_gap(unit: Unit, patient: Patient, medication_id: UUID, because: Because) -> bool:
    """Whether asking is held. Beyond the rule's gap, or at an edge that its source leaves undefined, it becomes so now."""
    rule = gap_rule_of(patient, medication_id)
    if rule is None:
        return False
    hold = await people.hold(unit, medication_id)
    if hold is not None and hold.held:
        return True
    doses = await occurrences.doses_since(unit, [patient.id], unit.now - LOOK_BACK, medication_id)
    gap = gap_now(doses[patient.id], unit.now, hold.at if hold is not None else None)
    if gap is None:
        return False
    if judge_gap(rule, gap) == "within":
        # No dose need come due for it to become too long.
        again = unit.now + (rule.within_below - gap) + timedelta(minutes=1)
        await unit.plan_work(
            GAP_CHECK, str(medication_id), again, key=patient.id, clinic_id=patient.clinic_id, data={"patient": str(patient.id)}
        )
        return False
    version = 1 + (await version_base(unit.conn, unit.service) if hold is None else hold.version)
    await _hold(unit, patient, Hold(medication_id, patient.id, patient.clinic_id, version, True, rule.id, unit.now), because)
    return True


async def _hold(unit: Unit, patient: Patient, hold: Hold, because: Because) -> None:
    await people.put_hold(unit, hold)
    said = await say(unit, AskingHeldV1(**hold_fields(hold)), because=because)
    await raise_alert(unit, patient, Cause("dose-gap", f"dose-gap:{hold.medication_id}", once=True), said)


def hold_fields(hold: Hold) -> dict[str, object]:
    """The fields of asking-held and asking-resumed."""
    return {
        "clinic_id": hold.clinic_id,
        "patient_id": hold.patient_id,
        "medication_id": hold.medication_id,
        "hold_version": hold.version,
        "rule_set": hold.rule_set,
        "at": hold.at,
    }


async def resume_asking(unit: Unit, clinic_id: UUID, medication_id: UUID) -> Hold:
    """A prescriber has decided: asking goes on, and the gap is counted afresh. DomainError 404 or 409 (nothing is held)."""
    found = await people.hold(unit, medication_id)
    if found is None or found.clinic_id != clinic_id:
        raise DomainError("medication", "asking was never held for this medicine", accepted="a medication id", status=404)
    await unit.lock(found.patient_id)
    hold = await people.hold(unit, medication_id)
    if hold is None or not hold.held:
        raise DomainError("medication", "asking is not held for this medicine", accepted="a held medicine", status=409)
    resumed = Hold(medication_id, hold.patient_id, clinic_id, hold.version + 1, False, hold.rule_set, unit.now)
    await people.put_hold(unit, resumed)
    said = await say(unit, AskingResumedV1(**hold_fields(resumed)))
    await resolve_cause(unit, clinic_id, f"dose-gap:{medication_id}", "answered", said)
    return resumed

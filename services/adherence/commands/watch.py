"""What is watched over many doses: adherence as a range, rows of doses not taken, and gaps that need a prescriber.

A gap never leads to advice: asking to take that medicine is held, and the prescriber hears (DESIGN.md rule 4).
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from services.adherence.commands.alerts import Cause, raise_alert, resolve_cause
from services.adherence.commands.voice import Because, say
from services.adherence.data import DEFAULT_PATTERN, gap_rules, pattern_rules
from services.adherence.domain.measure import adherence, worth_saying
from services.adherence.domain.rules import GapRule, gap_now, judge_gap, pattern_holds
from services.adherence.storage import occurrences, people
from services.adherence.storage.occurrences import Occurrence
from services.adherence.storage.people import Hold, Patient
from shared.defaults import default
from shared.errors import DomainError
from shared.events.adherence import AdherenceChangedV1, AskingHeldV1, AskingResumedV1
from shared.messaging.unit import Unit
from shared.restore.mode import version_base

GAP_CHECK = "gap-check"
#: Longer than the longest gap rule (352 h) and any run of doses that a rule looks at.
_LOOK_BACK = timedelta(days=60)


async def dose_settled(unit: Unit, one: Occurrence, because: Because) -> None:
    """After each change of a dose's outcome."""
    patient = await people.patient(unit, one.clinic_id, one.patient_id)
    await measure(unit, patient, because)
    held = [await check_gap(unit, patient, medication, because) for medication in one.medication_ids]
    if not any(held):
        await check_pattern(unit, patient, because)


async def measure(unit: Unit, patient: Patient, because: Because) -> None:
    days = default("adherence", "measure_days")
    doses = await occurrences.doses_since(unit, patient.id, unit.now - timedelta(days=days))
    new = adherence(dose.state for dose in doses)
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


async def check_pattern(unit: Unit, patient: Patient, because: Because) -> None:
    """A row of doses not taken is one alert, until a dose is taken again; acknowledged, it is not raised anew each day."""
    key = f"{DEFAULT_PATTERN}:{patient.id}"
    doses = await occurrences.doses_since(unit, patient.id, unit.now - _LOOK_BACK)
    if pattern_holds(pattern_rules()[DEFAULT_PATTERN], doses):
        await raise_alert(unit, patient, Cause("missed-doses", key, once=True), because)
    else:
        await resolve_cause(unit, patient.clinic_id, key, "answered", because)


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
    doses = await occurrences.doses_since(unit, patient.id, unit.now - _LOOK_BACK, medication_id)
    gap = gap_now(doses, unit.now, hold.at if hold is not None else None)
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

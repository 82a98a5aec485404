"""Risk wording, and whether a patient can be reached: what the care team must know beyond single questions.

Texts paused by a crisis are resumed by a named clinician only (DESIGN.md rule 6): until then somebody is reminded every day.
"""

from __future__ import annotations

from uuid import UUID, uuid4

from services.adherence.commands.alerts import Cause, raise_alert, remind, resolve_cause
from services.adherence.commands.voice import Because, say
from services.adherence.storage import alerts as alert_rows
from services.adherence.storage import people
from services.adherence.storage.people import Patient
from shared.defaults import default
from shared.events.adherence import CrisisFlaggedV1
from shared.events.base import stable_id
from shared.events.messages import ContactEvent, ContactSnapshot, NumberSuspectV1, PatientOptedOutV1, RiskHeardV1
from shared.messaging.unit import Unit
from shared.messaging.work import KEY_PARKED
from shared.ops import ops_say

REMINDER = "crisis-reminder"


def crisis_key(patient_id: UUID) -> str:
    """The notifier alerts under the same key where it hears no crisis-flagged within two minutes."""
    return f"crisis:{patient_id}"


async def risk_heard(unit: Unit, event: RiskHeardV1) -> None:
    """Takes it over: the alert exists and escalates in minutes."""
    if event.patient_id is None:
        # Nobody's record can hold it; the notifier has answered with the crisis line.
        await ops_say(unit, "risk-from-unknown-number", dedup=str(event.reply_id), clinic_id=event.clinic_id)
        return
    patient = await people.patient(unit, event.clinic_id, event.patient_id)
    await people.put_risk(unit, event.clinic_id, patient.id, event.reply_id)
    no_text = event.safe_reply == "no-text-possible"
    flagged = stable_id(event.reply_id, "crisis-flagged")
    key = crisis_key(patient.id)
    known = await alert_rows.unresolved(unit, patient.clinic_id, key)
    alert_id = known[0].id if known and known[0].state == "open" else uuid4()
    crisis = CrisisFlaggedV1(
        clinic_id=patient.clinic_id, patient_id=patient.id, reply_id=event.reply_id, alert_id=alert_id, at=unit.now
    )
    await say(unit, crisis, event_id=flagged)
    await raise_alert(unit, patient, Cause("crisis", key, no_text_possible=no_text, alert_id=alert_id), flagged)


async def safe_reply_did_not_go(unit: Unit, clinic_id: UUID, patient_id: UUID, because: Because) -> None:
    """The gate or the provider kept back what the patient was to get at once: whoever is asked must call. Somebody who has taken
    it over already is not asked again."""
    patient = await people.patient(unit, clinic_id, patient_id)
    await raise_alert(unit, patient, Cause("crisis", crisis_key(patient.id), no_text_possible=True, once=True), because)


async def record_incomplete(unit: Unit, clinic_id: UUID, patient_id: UUID, because: Because) -> None:
    """Something about this patient waits for an operator: what the record says may not be all (DESIGN.md rule 10)."""
    patient = await people.patient(unit, clinic_id, patient_id)
    await raise_alert(unit, patient, Cause("record-incomplete", f"record-incomplete:{patient.id}", once=True), because)


async def key_still_parked(unit: Unit, clinic_id: UUID, key: UUID) -> None:
    """Half an hour after it was parked. A key that is the clinic's own is nobody's record."""
    if key != clinic_id and await unit.is_parked(key):
        await record_incomplete(unit, clinic_id, key, KEY_PARKED)


async def contact_changed(unit: Unit, event: ContactEvent, patient_id: UUID) -> None:
    """An older version changes nothing."""
    patient = await people.patient(unit, event.clinic_id, patient_id)
    if event.contact_version <= patient.contact_version:
        return
    await people.put_contact(unit, patient, event.contact_version, event.contact)
    await _crisis_pause(unit, patient, event.contact)
    await _reachability(unit, patient, event)


async def _crisis_pause(unit: Unit, patient: Patient, contact: ContactSnapshot) -> None:
    was = patient.contact is not None and patient.contact.texts_paused == "crisis"
    paused = contact.texts_paused == "crisis"
    if paused and not was:
        await _plan_reminder(unit, patient)
    if was and not paused:
        await unit.drop_work(REMINDER, str(patient.id))
        await resolve_cause(unit, patient.clinic_id, _paused_key(patient), "corrected")


def _paused_key(patient: Patient) -> str:
    return f"texts-paused-by-crisis:{patient.id}"


async def _plan_reminder(unit: Unit, patient: Patient) -> None:
    at = unit.now + default("adherence", "crisis_reminder")
    await unit.plan_work(REMINDER, str(patient.id), at, key=patient.id, clinic_id=patient.clinic_id)


async def remind_of_pause(unit: Unit, clinic_id: UUID, patient_id: UUID) -> None:
    """A day more without texts: whoever is responsible hears again, acknowledged or not, until a clinician resumes them."""
    patient = await people.patient(unit, clinic_id, patient_id)
    if patient.contact is None or patient.contact.texts_paused != "crisis":
        return
    await _plan_reminder(unit, patient)
    known = await alert_rows.unresolved(unit, clinic_id, _paused_key(patient))
    if known and known[0].state == "open":
        await remind(unit, patient, known[0], because=REMINDER)
        return
    await resolve_cause(unit, clinic_id, _paused_key(patient), "corrected", REMINDER)
    await raise_alert(unit, patient, Cause("texts-paused-by-crisis", _paused_key(patient)), REMINDER)


def _unreachable(contact: ContactSnapshot | None) -> bool:
    return contact is not None and (contact.opted_out or contact.number_suspect)


async def _reachability(unit: Unit, patient: Patient, event: ContactEvent) -> None:
    """Opted out or a suspect number: follow-ups go on by phone, so a person must know. What staff did themselves, they know."""
    key = f"not-reachable:{patient.id}"
    if _unreachable(event.contact):
        if _unreachable(patient.contact):
            return  # said again, or another of the same: the team knows
        by_staff = isinstance(event, PatientOptedOutV1) and event.how == "staff"
        by_staff = by_staff or (isinstance(event, NumberSuspectV1) and event.why == "staff")
        if not by_staff:
            await raise_alert(unit, patient, Cause("not-reachable", key, once=True))
    else:
        await resolve_cause(unit, patient.clinic_id, key, "corrected")

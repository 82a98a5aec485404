"""One inbound text, from the provider's door to its one disposition and all its effects, in one transaction.

Patients and care team come in by the same number of ours; who wrote is found by the number's blind index. Everybody with that
number is locked first (a number may belong to two patients: then STOP and risk wording count for both, and an answer for the one
whose question it fits).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from services.notifier import patient_effects, staff_effects, strangers
from services.notifier.domain.conversation import Binding, OpenQuestion, Windows, bind
from services.notifier.domain.disposition import Disposition, judge
from services.notifier.domain.message import MAY_HAVE_LEFT
from services.notifier.domain.parse import Words, words
from services.notifier.storage import contact_rows, conversations, heard, messages, plans
from services.notifier.storage.clinics import Clinic, clinic, clinics_of_sender
from services.notifier.storage.contact_rows import Contact
from services.notifier.storage.heard import Inbound
from services.notifier.storage.strangers import number_id
from shared.defaults import default
from shared.messaging.unit import Unit
from shared.ops import ops_say


@dataclass(frozen=True)
class Hearing:
    """What came of one text. `stop_for`: whom it was an opt-out of, whose texts under way the answer waits for."""

    new: bool
    disposition: Disposition | None = None
    stop_for: Sequence[UUID] = ()


async def hear(unit: Unit, text: Inbound, home_clinic: UUID) -> Hearing:
    """Stores the text and does all that follows from it; a repetition changes nothing. `home_clinic` is whose rows a text is that
    came to a number which no clinic has."""
    ours = await clinics_of_sender(unit, text.to)
    index = contact_rows.number_index(unit, text.sender)
    people = await _locked(unit, index, ours, home_clinic)
    clinic_id = people[0].clinic_id if people else ours[0].clinic_id if ours else home_clinic
    if not await heard.store(unit, text, clinic_id, [known.id for known in people]):
        return Hearing(new=False, stop_for=[known.id for known in people if known.opted_out])
    await contact_rows.heard_from(unit, [known.id for known in people], text.written_at(unit.now))
    if not people:
        disposition = await strangers.heard(unit, text, words(text.body), clinic_id, await clinic(unit, clinic_id))
        return Hearing(True, disposition, [number_id(clinic_id, index)] if disposition == "opt-out" else ())
    disposition = await _dispose(unit, text, people, await clinic(unit, clinic_id))
    stopped = disposition in ("opt-out", "wrong-number") or await _ended_by(unit, text, people)
    return Hearing(True, disposition, [known.id for known in people] if stopped else ())


async def keep_for_a_person(unit: Unit, text: Inbound, home_clinic: UUID) -> Hearing:
    """The way out where our own code fails on a text: it is stored, a person reads it, and ops hears."""
    people = await _locked(
        unit, contact_rows.number_index(unit, text.sender), await clinics_of_sender(unit, text.to), home_clinic
    )
    clinic_id = people[0].clinic_id if people else home_clinic
    if not await heard.store(unit, text, clinic_id, [known.id for known in people]):
        return Hearing(new=False)
    await ops_say(unit, "inbound-not-handled", {"reply": str(text.id)}, dedup=str(text.id), clinic_id=clinic_id)
    patients = [known for known in people if known.is_patient]
    if not patients:
        return Hearing(True, "unknown-number")
    await heard.settle(unit, text.id, "not-understood", contact_id=patients[0].id)
    await patient_effects.to_a_person(unit, text, patients[0])
    return Hearing(True, "not-understood")


async def _locked(unit: Unit, index: bytes, ours: Sequence[Clinic], home_clinic: UUID) -> list[Contact]:
    """Everybody with that number, under their locks. The number itself is locked too: two texts of a stranger come one by one,
    and an opt-out of theirs and a safe reply to them see each other."""
    in_clinics = [each.clinic_id for each in ours]
    seen = await contact_rows.by_number(unit, index, in_clinics)
    strangers_ids = [number_id(each, index) for each in in_clinics or [home_clinic]]
    await unit.lock(contact_rows.number_key(index), *strangers_ids, *(known.id for known in seen))
    return await contact_rows.by_number(unit, index, in_clinics)


async def _ended_by(unit: Unit, text: Inbound, people: Sequence[Contact]) -> bool:
    now = await contact_rows.some(unit, [known.id for known in people])
    return any(known.opted_out_by == text.id for known in now.values())


async def _dispose(unit: Unit, text: Inbound, people: Sequence[Contact], of_clinic: Clinic | None) -> Disposition:
    said = words(text.body)
    staff = [known for known in people if not known.is_patient]
    patients = [known for known in people if known.is_patient]
    if staff and (not patients or await staff_effects.is_about_alert(unit, said, staff)):
        return await staff_effects.heard(unit, text, said, staff[0], of_clinic)
    binding = await _binding(unit, said, patients, text.written_at(unit.now))
    pause = default("notifier", "pause_unless_said")
    judged = judge(said, text.opt_out_type, binding, pause)
    await patient_effects.carry_out(unit, text, judged, patients, staff)
    return judged.disposition


async def _binding(unit: Unit, said: Words, patients: Sequence[Contact], at: datetime) -> Binding | None:
    windows = Windows(default("notifier", "late_answer_within"), default("notifier", "repeat_within"))
    asked = await open_questions(unit, patients, windows.late_within)
    zones = await plans.states(unit, [known.id for known in patients])
    zone = next((state.zone for state in zones.values() if state.zone), None)
    return bind(said, asked, at, zone, windows)


async def open_questions(unit: Unit, patients: Sequence[Contact], within: timedelta) -> list[OpenQuestion]:
    """What these patients were asked; a text still under way counts, for its reply may be quicker than its SID (R44)."""
    for known in patients:
        for text in await messages.last_texts(unit, known.id):
            if not text.asked and text.state in MAY_HAVE_LEFT:
                await conversations.asked(unit, text)
    return await conversations.questions(unit, [known.id for known in patients], within)

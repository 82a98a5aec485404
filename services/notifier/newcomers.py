"""New contacts, however many: their rows, the event of each, an opt-out that their number already has, and the one welcome.

A statement each for all of them, so that a clinic's whole list goes in as fast as one. Call under the locks of all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from services.notifier import replies
from services.notifier.domain.facts import Role
from services.notifier.http.bodies import Outcome
from services.notifier.storage import contact_rows, messages, wishes
from services.notifier.storage.contact_rows import Contact, number_index, seal
from shared.events.messages import ContactChangedV1
from shared.messaging.unit import Unit

Missing = Literal["phone", "consent"]
_SEALED = ("name", "alias", "number")


@dataclass(frozen=True)
class Newcomer:
    """Who is not on file yet. `wanted` as `enrolment.wanted_of_patient` makes it; `consent`: given_on, how, to_whom."""

    id: UUID
    wanted: Mapping[str, Any]
    consent: Mapping[str, Any] | None = None


async def create(unit: Unit, clinic_id: UUID, role: Role, new: Sequence[Newcomer]) -> dict[UUID, Outcome]:
    """Puts them on file and says so; what became of each."""
    of_clinic = {"clinic_id": clinic_id, "role": role}
    await contact_rows.insert_contacts(unit, {one.id: sealed(unit, one.id, one.wanted) | of_clinic for one in new})
    await contact_rows.insert_consents(unit, clinic_id, {one.id: one.consent for one in new if one.consent is not None})
    known = await contact_rows.some(unit, [one.id for one in new])
    said = {contact_rows.say(unit, ContactChangedV1, known[one.id]): known[one.id] for one in new}
    opted_out = await share_opt_out(unit, list(known.values()))
    await welcome(unit, said)
    if opted_out:
        known = await contact_rows.some(unit, list(known))
    return {one.id: outcome(known[one.id], "created") for one in new}


def sealed(unit: Unit, contact_id: UUID, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that hold `wanted`."""
    values = {name: value for name, value in wanted.items() if name not in _SEALED}
    for name in _SEALED:
        if name in wanted:
            values[f"{name}_sealed"] = None if wanted[name] is None else seal(unit, contact_id, name, wanted[name])
    if "number" in wanted:
        values["number_index"] = None if wanted["number"] is None else number_index(unit, wanted["number"])
    return values


async def share_opt_out(unit: Unit, fresh: Sequence[Contact]) -> bool:
    """A STOP counts for the number: who is put on it later is opted out as well (the provider would refuse the text anyway).
    Whether that is so for any of them."""
    found = False
    numbers = {one.number_index for one in fresh if one.number_index is not None and not one.opted_out}
    others = await contact_rows.opted_out_by_number(unit, numbers, {one.clinic_id for one in fresh})
    for one in fresh:
        same = [other for other in others if other.number_index == one.number_index and other.id != one.id]
        if not one.opted_out and any([await wishes.by_keyword(unit, other.id) for other in same]):
            await wishes.opt_out(unit, one.id, "provider")
            found = True
    return found


async def welcome(unit: Unit, said: Mapping[UUID, Contact]) -> None:
    """The one welcome of every patient who can be reached and has not had theirs; `said`: the event that makes it so."""
    due = {
        event: one
        for event, one in said.items()
        if one.is_patient and one.consent and one.number_on_file and one.welcomed_at is None
    }
    if due:
        drafts = [replies.welcome(unit, one, event) for event, one in due.items()]
        await unit.conn.execute(messages.QUEUE, [messages.values_of(unit, draft) for draft in drafts])
        await contact_rows.welcomed(unit, [one.id for one in due.values()])
        unit.after_commit("sender")


def outcome(known: Contact, what: Literal["created", "changed", "unchanged"]) -> Outcome:
    """The answer to whoever put the contact."""
    return Outcome(id=known.id, outcome=what, contact_version=known.version, missing=missing(known))


def missing(known: Contact) -> list[Missing]:
    """What must be on record before a text may go."""
    found: list[Missing] = []
    if not known.number_on_file:
        found.append("phone")
    if known.is_patient and not known.consent:
        found.append("consent")
    return found

"""Numbers that nobody on file has: what the gate knows of one whose text is answered with the crisis line, and what is unread.

Nothing is kept of such a number but its texts. The number itself, sealed, stands in the text that is answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, func, select, update

from services.notifier.domain.facts import ContactFacts
from services.notifier.domain.risk import crisis_line
from services.notifier.storage.clinics import Clinic, clinics
from services.notifier.storage.hearing_tables import inbound
from services.notifier.storage.messages import Message
from shared.events.base import stable_id
from shared.messaging.unit import Unit


class OptOut(NamedTuple):
    """The inbound text that said it, and when it came in (clinical, UTC)."""

    text: UUID
    at: datetime


def number_id(clinic_id: UUID, index: bytes) -> UUID:
    """Whom a text to such a number is for, in one clinic. It is also its lock: an opt-out from there and a text to it wait for
    each other."""
    return stable_id(clinic_id, "number", index.hex())


async def gate_facts(unit: Unit, texts: Sequence[Message]) -> dict[UUID, ContactFacts]:
    """As `contacts.gate_facts`, of those texts that answer a number which nobody on file has."""
    answers = {text.reply_id: text.contact_id for text in texts if text.patient_id is None and text.person_id is None}
    if not answers:
        return {}
    rows = (await unit.conn.execute(select(inbound).where(inbound.c.id.in_(tuple(answers))))).all()
    settings = await clinics(unit, {row.clinic_id for row in rows})
    return {
        answers[row.id]: _facts(
            unit, answers[row.id], row, settings[row.clinic_id], await opt_out_of(unit, row.clinic_id, row.number_index)
        )
        for row in rows
        if row.clinic_id in settings
    }


def _facts(unit: Unit, contact_id: UUID, row: Row[Any], of_clinic: Clinic, ended: OptOut | None) -> ContactFacts:
    """Country and language are the clinic's: nothing is guessed from a number (DESIGN.md rule 6)."""
    return ContactFacts(
        id=contact_id,
        role="patient",
        clinic_id=of_clinic.clinic_id,
        number=unit.cipher.open(row.number_sealed, table="inbound", column="number", row=row.id),
        name="",
        language=of_clinic.language,
        privacy="discreet",
        country=of_clinic.country,
        zone=None,
        consent=False,
        opted_out=ended is not None,
        number_suspect=False,
        texts_paused="no",
        paused_until=None,
        verified=True,
        last_inbound_at=row.received_at,
        welcome_sent=False,
        contact_version=0,
        crisis_line=crisis_line(of_clinic.country, of_clinic.language),
        opted_out_at=ended.at if ended is not None else None,
        opted_out_by=ended.text if ended is not None else None,
        **of_clinic.facts(),
    )


async def opt_out_of(unit: Unit, clinic_id: UUID, index: bytes) -> OptOut | None:
    """The text by which a number has ended the texts of a clinic, unless a later one began them again."""
    wishes = select(inbound.c.id, inbound.c.received_at, inbound.c.disposition).where(
        inbound.c.number_index == index,
        inbound.c.clinic_id == clinic_id,
        inbound.c.disposition.in_(("opt-out", "opt-in")),
    )
    last = (await unit.conn.execute(wishes.order_by(inbound.c.seq.desc()).limit(1))).one_or_none()
    return OptOut(last.id, last.received_at) if last is not None and last.disposition == "opt-out" else None


#: Risk wording of somebody who is not on file and which nobody has read.
_UNREAD = inbound.c.risk.is_not(None) & inbound.c.read_at.is_(None) & (func.cardinality(inbound.c.contact_ids) == 0)


async def unread_risk(unit: Unit, clinic_id: UUID, index: bytes) -> int:
    """How many texts with risk wording of that number nobody has read."""
    mine = _UNREAD & (inbound.c.clinic_id == clinic_id) & (inbound.c.number_index == index)
    return int((await unit.conn.execute(select(func.count()).select_from(inbound).where(mine))).scalar_one())


async def mark_risk_read(unit: Unit, clinic_id: UUID) -> int:
    """Somebody has taken over whatever unknown numbers wrote to the clinic; how many texts that were."""
    mine = update(inbound).where(_UNREAD & (inbound.c.clinic_id == clinic_id))
    return int((await unit.conn.execute(mine.values(read_at=unit.now))).rowcount)

"""A welcome that the gate kept back goes once its reason is gone: it is the one text that says what the number is not for, how
private it is, and how to end it (decision 0133). The same row under the same key, so it can never go twice.
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, or_, select, update

from services.notifier.storage.hearing_tables import consent, contact
from services.notifier.storage.tables import message
from shared.defaults import default
from shared.messaging.unit import Unit


async def ask_again(unit: Unit, contact_ids: Collection[UUID]) -> int:
    """Queues the welcome of those whom nothing but the hour keeps from it now; how many. Call under their locks, whenever
    consent, number, opt-out, pause or plan have changed; the gate decides as ever."""
    return await _ask_again(unit, message.c.contact_id.in_(tuple(contact_ids)))


async def ask_again_in(unit: Unit, clinic_id: UUID) -> int:
    """As `ask_again`, for all whose welcome the clinic's switch kept back."""
    return await _ask_again(unit, and_(message.c.clinic_id == clinic_id, message.c.why == "switched-off"))


async def _ask_again(unit: Unit, whose: ColumnElement[bool]) -> int:
    kept_back = and_(message.c.kind == "welcome", message.c.state.in_(("withheld", "expired")))
    again = update(message).where(whose, kept_back, exists(select(contact.c.id).where(_may_go(unit))))
    fresh = {"not_before": unit.now, "useful_until": unit.now + default("notifier", "welcome_useful_for")}
    values = {"state": "queued", "epoch": message.c.epoch + 1, "why": None, "waits_for": None, "changed_at": unit.now}
    found = await unit.conn.execute(again.values(**values, **fresh))
    if found.rowcount:
        unit.after_commit("sender")
    return int(found.rowcount)


def _may_go(unit: Unit) -> ColumnElement[bool]:
    """The cells of the gate's row "welcome" that withhold. A suspect number is none: this row passes it once."""
    in_force = exists(select(consent.c.id).where(consent.c.contact_id == contact.c.id, consent.c.ended_at.is_(None)))
    return and_(
        contact.c.id == message.c.contact_id,
        contact.c.clinic_id == message.c.clinic_id,
        contact.c.number_index.is_not(None),
        ~contact.c.suspended,
        ~contact.c.opted_out,
        or_(contact.c.texts_paused == "no", contact.c.paused_until <= unit.now),
        or_(in_force, contact.c.number_given),
    )

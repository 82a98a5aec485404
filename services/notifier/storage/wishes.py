"""What a person wishes of the texts, and what we learn of their number, as changes of the contact: opt-out and opt-in, pauses, a
suspect number. Call under the patient's lock; each says its event, or returns None where nothing changed.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID, uuid4

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from services.notifier.domain.standing import How, Signal, opt_out_in_force
from services.notifier.storage import welcomes
from services.notifier.storage.contact_rows import Contact, change, needed, one, say
from services.notifier.storage.hearing_tables import opt_signal
from shared.events.messages import NumberSuspectV1, PatientOptedInV1, PatientOptedOutV1, TextsPausedV1, TextsResumedV1
from shared.messaging.unit import Unit

PAUSE_OVER = "texts-pause-over"
SuspectWhy = Literal["undelivered", "invalid", "wrong-number", "reassigned", "staff"]


async def opt_out(
    unit: Unit, contact_id: UUID, how: How, *, reply_id: UUID | None = None, at: datetime | None = None
) -> UUID | None:
    """Ends the texts to a contact. `at` is the provider's time where known; `reply_id` the inbound text that said it.

    The id of the event, or None where nothing changed (opted out before, or an opt-in that is certainly later stands).
    """
    told_at = at if reply_id is not None else at or unit.now
    return await _signal(unit, contact_id, "out", how, reply_id, told_at)


async def opt_in(
    unit: Unit, contact_id: UUID, how: Literal["keyword", "staff"], *, reply_id: UUID | None = None, at: datetime | None = None
) -> UUID | None:
    """Begins the texts again, where the wish is certainly later than every opt-out. The id of the event, or None."""
    told_at = at if reply_id is not None else at or unit.now
    return await _signal(unit, contact_id, "in", how, reply_id, told_at)


async def _signal(
    unit: Unit, contact_id: UUID, way: Literal["out", "in"], how: How, reply_id: UUID | None, at: datetime | None
) -> UUID | None:
    known = await one(unit, contact_id)
    if known is None:
        return None
    await unit.conn.execute(
        insert(opt_signal)
        .values(
            id=reply_id or uuid4(),
            clinic_id=known.clinic_id,
            contact_id=contact_id,
            way=way,
            how=how,
            at=at,
            recorded_at=unit.now,
        )
        .on_conflict_do_nothing()
    )
    return await settle_standing(unit, known)


async def settle_standing(unit: Unit, known: Contact) -> UUID | None:
    """Makes the contact what its signals say, and says so where that changes anything."""
    rows = (await unit.conn.execute(select(opt_signal).where(opt_signal.c.contact_id == known.id))).all()
    signals = {row.id: row for row in rows}
    force = opt_out_in_force(Signal(row.id, row.way, row.how, row.at, row.seq) for row in rows)
    if force is not None and not known.opted_out:
        recorded = signals[force.id].recorded_at
        now = await change(unit, known.id, opted_out=True, opted_out_at=recorded, opted_out_by=force.id)
        return say(unit, PatientOptedOutV1, now, how=force.how)
    if force is None and known.opted_out:
        last = max((row for row in rows if row.way == "in"), key=lambda row: row.seq)
        now = await change(unit, known.id, opted_out=False, opted_out_at=None, opted_out_by=None)
        await welcomes.ask_again(unit, [known.id])
        return say(unit, PatientOptedInV1, now, how=last.how)
    return None


async def time_signals(unit: Unit, signal_id: UUID, at: datetime) -> None:
    """The provider's time of an inbound STOP or START has been looked up: the standing of everybody it was from is settled."""
    rows = await unit.conn.execute(
        update(opt_signal)
        .where(opt_signal.c.id == signal_id, opt_signal.c.at.is_(None))
        .values(at=at)
        .returning(opt_signal.c.contact_id)
    )
    for row in rows.all():
        await settle_standing(unit, await needed(unit, row.contact_id))


async def by_keyword(unit: Unit, contact_id: UUID) -> bool:
    """Whether the opt-out in force is one that the provider blocks the number for."""
    rows = (await unit.conn.execute(select(opt_signal).where(opt_signal.c.contact_id == contact_id))).all()
    force = opt_out_in_force(Signal(row.id, row.way, row.how, row.at, row.seq) for row in rows)
    return force is not None and force.how in ("keyword", "provider")


async def mark_suspect(unit: Unit, contact_id: UUID, why: SuspectWhy) -> UUID | None:
    """The number may not be theirs any more. The id of the event, or None where that was known."""
    known = await one(unit, contact_id)
    if known is None or known.number_suspect:
        return None
    now = await change(unit, contact_id, number_suspect=True, suspect_why=why, verified=False)
    return say(unit, NumberSuspectV1, now, why=why)


async def pause(
    unit: Unit, contact_id: UUID, by: Literal["by-patient", "by-staff", "crisis"], until: datetime | None
) -> UUID | None:
    """Pauses the texts, never the prescription. A crisis pause has no end but a clinician's, and no other pause replaces it; a
    pause by staff is not shortened by the patient's."""
    known = await one(unit, contact_id)
    if known is None or (known.texts_paused == "crisis" and by != "crisis"):
        return None
    if by == "by-patient" and known.pause_at(unit.now) == "by-staff" and _ends_sooner(until, known.paused_until):
        return None
    if known.texts_paused == by and known.paused_until == until:
        return None
    now = await change(unit, contact_id, texts_paused=by, paused_until=until)
    if until is not None:
        await unit.plan_work(PAUSE_OVER, str(contact_id), until, key=contact_id, clinic_id=known.clinic_id)
    else:
        await unit.drop_work(PAUSE_OVER, str(contact_id))
    return say(unit, TextsPausedV1, now)


def _ends_sooner(one: datetime | None, other: datetime | None) -> bool:
    """Of two ends of a pause; None is no end."""
    return one is not None and (other is None or one < other)


async def resume(unit: Unit, contact_id: UUID, *, of_crisis: bool = False) -> UUID | None:
    """Ends a pause; one for a crisis only where a clinician says so (`of_crisis`). The id of the event, or None."""
    known = await one(unit, contact_id)
    if known is None or known.texts_paused == "no" or (known.texts_paused == "crisis" and not of_crisis):
        return None
    now = await change(unit, contact_id, texts_paused="no", paused_until=None)
    await welcomes.ask_again(unit, [contact_id])
    await unit.drop_work(PAUSE_OVER, str(contact_id))
    unit.after_commit("sender")
    return say(unit, TextsResumedV1, now)

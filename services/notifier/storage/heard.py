"""Inbound texts as rows: stored once by the provider's SID, counted by number, read by staff."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Row, func, select, update
from sqlalchemy.dialects.postgresql import insert

from services.notifier.domain.disposition import Disposition
from services.notifier.storage.contact_rows import number_index
from services.notifier.storage.hearing_tables import inbound, opt_signal
from shared.events.base import stable_id
from shared.messaging.unit import Unit

CameBy = Literal["webhook", "poll"]
Answered = Literal["safe_reply", "other_answer"]


@dataclass(frozen=True)
class Inbound:
    """One text as the provider handed it over. `sent_at` is the provider's own time, where it told one. repr() shows nothing."""

    sid: str
    sender: str
    to: str
    body: str
    came_by: CameBy
    opt_out_type: str | None = None
    sent_at: datetime | None = None

    @property
    def id(self) -> UUID:
        """The reply's id in events: the same for every repetition of the webhook."""
        return stable_id("inbound", self.sid)

    def written_at(self, now: datetime) -> datetime:
        """When the person wrote it: the provider's time where it told one (whole seconds: the end of that one, so that no answer
        precedes its question), else `now`, when it came in."""
        return now if self.sent_at is None else min(now, self.sent_at.replace(microsecond=999_999))

    def __repr__(self) -> str:
        return f"Inbound(id={self.id})"


async def store(unit: Unit, text: Inbound, clinic_id: UUID, contact_ids: Collection[UUID]) -> bool:
    """Stores the text; False where its SID is known: then it has had its effect."""
    statement = insert(inbound).values(
        id=text.id,
        sid=text.sid,
        clinic_id=clinic_id,
        number_sealed=unit.cipher.seal(text.sender, table="inbound", column="number", row=text.id),
        number_index=number_index(unit, text.sender),
        body_sealed=unit.cipher.seal(text.body, table="inbound", column="body", row=text.id),
        came_by=text.came_by,
        received_at=unit.now,
        sent_at=text.sent_at,
        disposition="unknown-number",
        contact_ids=list(contact_ids),
    )
    found = await unit.conn.execute(statement.on_conflict_do_nothing(index_elements=["sid"]).returning(inbound.c.id))
    return found.first() is not None


async def settle(
    unit: Unit, reply_id: UUID, disposition: Disposition, *, contact_id: UUID | None = None, risk: str | None = None
) -> None:
    """The one disposition of a text, and whom it was bound to."""
    await unit.conn.execute(
        update(inbound).where(inbound.c.id == reply_id).values(disposition=disposition, contact_id=contact_id, risk=risk)
    )


async def answered(unit: Unit, reply_id: UUID, how: Answered) -> None:
    """Counts our answer to this text against its number's bound."""
    await unit.conn.execute(update(inbound).where(inbound.c.id == reply_id).values({how: True}))


async def answers_since(unit: Unit, index: bytes, how: Answered, since: datetime) -> int:
    """How many of the texts of that number we have answered so since an instant."""
    statement = select(func.count()).where(inbound.c.number_index == index, inbound.c.received_at > since, inbound.c[how])
    return int((await unit.conn.execute(statement)).scalar_one())


async def known_sids(unit: Unit, sids: Collection[str]) -> set[str]:
    return set((await unit.conn.execute(select(inbound.c.sid).where(inbound.c.sid.in_(tuple(sids))))).scalars())


async def look_up_order(unit: Unit, contact_id: UUID) -> None:
    """A STOP and a START stand against each other: their times are asked of the provider as soon as this has committed."""
    ways = (
        (await unit.conn.execute(select(opt_signal.c.way).where(opt_signal.c.contact_id == contact_id).distinct()))
        .scalars()
        .all()
    )
    if len(ways) < 2:
        return
    untimed = select(opt_signal.c.id).where(opt_signal.c.contact_id == contact_id, opt_signal.c.at.is_(None))
    await unit.conn.execute(
        update(inbound).where(inbound.c.id.in_(untimed), inbound.c.look_at.is_(None)).values(look_at=unit.now)
    )
    unit.after_commit("inbound")


async def to_look_up(unit: Unit, limit: int) -> Sequence[tuple[UUID, str, int, Sequence[UUID]]]:
    """Texts whose time is to be asked for now: (id, SID, how often asked, whom it was from)."""
    rows = await unit.conn.execute(
        select(inbound.c.id, inbound.c.sid, inbound.c.looks, inbound.c.contact_ids)
        .where(inbound.c.look_at <= unit.now)
        .order_by(inbound.c.look_at)
        .limit(limit)
    )
    return [(row.id, row.sid, row.looks, row.contact_ids) for row in rows]


async def looked_up(unit: Unit, reply_id: UUID, sent_at: datetime | None, again_after: timedelta | None) -> None:
    """What asking gave: the provider's time, or when to ask again (None: never; the opt-out stands)."""
    look_at = unit.now + again_after if sent_at is None and again_after is not None else None
    values: dict[str, Any] = {"look_at": look_at, "looks": inbound.c.looks + 1}
    await unit.conn.execute(
        update(inbound).where(inbound.c.id == reply_id).values(values if sent_at is None else {**values, "sent_at": sent_at})
    )


_NEXT_LOOK = select(func.min(inbound.c.look_at))


async def next_look(unit: Unit) -> datetime | None:
    found: datetime | None = (await unit.conn.execute(_NEXT_LOOK)).scalar_one()
    return found


async def one(unit: Unit, reply_id: UUID, clinic_id: UUID) -> Row[Any] | None:
    return (
        await unit.conn.execute(select(inbound).where(inbound.c.id == reply_id, inbound.c.clinic_id == clinic_id))
    ).one_or_none()


async def listed(unit: Unit, clinic_id: UUID, *, contact_id: UUID | None, unread: bool, limit: int = 200) -> Sequence[Row[Any]]:
    """Texts of a clinic, or of one contact in it, latest first."""
    statement = select(inbound).where(inbound.c.clinic_id == clinic_id)
    if contact_id is not None:
        statement = statement.where(inbound.c.contact_ids.contains([contact_id]))
    if unread:
        statement = statement.where(inbound.c.read_at.is_(None))
    return (await unit.conn.execute(statement.order_by(inbound.c.received_at.desc(), inbound.c.seq.desc()).limit(limit))).all()


def body_of(unit: Unit, row: Row[Any]) -> str:
    return unit.cipher.open(row.body_sealed, table="inbound", column="body", row=row.id)


async def mark_read(unit: Unit, reply_id: UUID) -> None:
    await unit.conn.execute(update(inbound).where(inbound.c.id == reply_id, inbound.c.read_at.is_(None)).values(read_at=unit.now))

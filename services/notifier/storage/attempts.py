"""Attempts to send a text as rows: begun before the first byte leaves, ended by proof or by doubt.

The lease is the one thing here that runs on the database's machine clock: an attempt whose owner has not ended it within 12 s has
no owner any more, and what it came to is not known.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import any_, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from services.notifier.domain.facts import ContactFacts
from services.notifier.domain.message import MessageKind
from services.notifier.storage import lock_keys
from services.notifier.storage.messages import Message
from services.notifier.storage.tables import attempt, message
from shared.db import spelt_out
from shared.defaults import default
from shared.messaging.unit import Unit

_LEASE: timedelta = default("notifier", "attempt_lease")


@dataclass(frozen=True)
class Letter:
    """A text that has passed the gate, ready to leave. Plain text in memory only; repr() shows ids."""

    attempt_id: UUID
    message_id: UUID
    epoch: int
    clinic_id: UUID
    lock_keys: tuple[UUID, ...]
    to: str
    sender: str
    body: str
    validity_seconds: int
    kind: str
    cause_id: UUID
    correlation_id: UUID | None

    def __repr__(self) -> str:
        return f"Letter(attempt_id={self.attempt_id})"


@dataclass(frozen=True)
class Attempt:
    """An attempt as it was read. Instants are clinical, UTC."""

    id: UUID
    message_id: UUID
    clinic_id: UUID
    contact_id: UUID
    epoch: int
    outcome: str
    started_at: datetime
    valid_until: datetime
    sid: str | None
    look_at: datetime | None
    looks: int


#: In the order of `Attempt`.
COLUMNS = [attempt.c[field.name] for field in fields(Attempt)]
#: Statements that every text meets are made once: making one costs as much as running it.
_GET = select(*COLUMNS).where(attempt.c.id == bindparam("wanted"))
_BEGIN = attempt.insert().values(lease_until_machine=func.clock_timestamp() + _LEASE)
_END = update(attempt).where(attempt.c.id == bindparam("wanted"), attempt.c.outcome == bindparam("was"))
_TAKEN_SIDS = select(attempt.c.sid).where(attempt.c.sid == any_(bindparam("sids", type_=ARRAY(attempt.c.sid.type))))
_ORPHANED = (attempt.c.lease_until_machine < func.clock_timestamp()).label("orphaned")
_OPEN = select(attempt.c.id, _ORPHANED).where(attempt.c.outcome == spelt_out("open")).order_by(attempt.c.started_at, attempt.c.id)
_NEXT_LOOK = select(func.min(attempt.c.look_at))

_RECENT = (
    select(attempt.c.contact_id, message.c.kind, attempt.c.started_at)
    .join(message, message.c.id == attempt.c.message_id)
    .where(
        attempt.c.contact_id == any_(bindparam("contacts", type_=ARRAY(attempt.c.contact_id.type))),
        attempt.c.started_at >= bindparam("since"),
        attempt.c.outcome.not_in(("not-begun", "not-sent", "rejected")),
    )
)


def attempt_of(row: Sequence[Any]) -> Attempt:
    return Attempt(*row)


def draft(
    unit: Unit, text: Message, facts: ContactFacts, body: str, *, owner: UUID, valid_until: datetime
) -> tuple[dict[str, Any], Letter]:
    """The row of an attempt, for `begin`, and its letter. `text` has just moved to `attempting`; `facts.number` is there (the
    gate saw to it)."""
    if facts.number is None:
        raise ValueError("no number: the gate withholds such a text")
    new = uuid4()
    seal = {"number": facts.number, "sender": facts.sender, "body": body}
    values: dict[str, Any] = {
        f"{name}_sealed": unit.cipher.seal(value, table="attempt", column=name, row=new) for name, value in seal.items()
    }
    values |= {f"{name}_index": unit.cipher.blind_index(seal[name], purpose=f"attempt.{name}") for name in ("number", "body")}
    values |= {"id": new, "message_id": text.id, "clinic_id": text.clinic_id, "contact_id": text.contact_id, "epoch": text.epoch}
    values |= {"started_at": unit.now, "valid_until": valid_until, "owner": owner}
    validity = max(1, int((valid_until - unit.now).total_seconds()))
    said = (text.kind, text.cause_id, text.correlation_id)
    letter = Letter(new, text.id, text.epoch, text.clinic_id, text.lock_keys, facts.number, facts.sender, body, validity, *said)
    return values, letter


async def begin(unit: Unit, drafts: Sequence[tuple[dict[str, Any], Letter]]) -> list[Letter]:
    """Puts the attempts down; their letters may leave once this transaction has committed."""
    if drafts:
        await unit.conn.execute(_BEGIN, [values for values, _ in drafts])
    for _, letter in drafts:
        lock_keys.remember(letter.attempt_id, letter.lock_keys)
    return [letter for _, letter in drafts]


async def get(unit: Unit, wanted: UUID) -> Attempt | None:
    row = (await unit.conn.execute(_GET, {"wanted": wanted})).one_or_none()
    return None if row is None else attempt_of(row)


async def end(unit: Unit, known: Attempt, outcome: str, **values: Any) -> bool:
    """Ends or advances an attempt from the outcome in which it was read; False where somebody else was quicker."""
    as_read = {"wanted": known.id, "was": known.outcome}
    return bool((await unit.conn.execute(_END, as_read | {"outcome": outcome} | values)).rowcount)


async def look_again(unit: Unit, known: Attempt, at: datetime | None, *, looked: bool = True) -> None:
    """When the provider is asked next about this attempt; None: never again."""
    looks = attempt.c.looks + 1 if looked else attempt.c.looks
    await unit.conn.execute(update(attempt).where(attempt.c.id == known.id).values(look_at=at, looks=looks))


async def opened(unit: Unit, wanted: UUID) -> tuple[str, str, str] | None:
    """Number, sender and body of an attempt, in memory."""
    columns = (attempt.c.number_sealed, attempt.c.sender_sealed, attempt.c.body_sealed)
    row = (await unit.conn.execute(select(*columns).where(attempt.c.id == wanted))).one_or_none()
    if row is None:
        return None
    opened = [
        unit.cipher.open(blob, table="attempt", column=column, row=wanted)
        for column, blob in zip(("number", "sender", "body"), row, strict=True)
    ]
    return opened[0], opened[1], opened[2]


async def open_ids(unit: Unit) -> Mapping[UUID, bool]:
    """Attempts that somebody has under way, or had when it died, oldest first; whether its lease has run out: then it died."""
    return {row.id: row.orphaned for row in await unit.conn.execute(_OPEN)}


async def to_look_at(unit: Unit, limit: int) -> Sequence[Attempt]:
    statement = select(*COLUMNS).where(attempt.c.look_at <= unit.now).order_by(attempt.c.look_at, attempt.c.id)
    return [attempt_of(row) for row in await unit.conn.execute(statement.limit(limit))]


async def next_look(unit: Unit) -> datetime | None:
    found: datetime | None = (await unit.conn.execute(_NEXT_LOOK)).scalar_one()
    return found


async def taken_sids(unit: Unit, sids: Collection[str]) -> frozenset[str]:
    """Which of these SIDs are already some attempt's."""
    if not sids:
        return frozenset()
    return frozenset((await unit.conn.execute(_TAKEN_SIDS, {"sids": list(sids)})).scalars())


async def lookalikes(unit: Unit, known: Attempt, within: timedelta) -> int:
    """Other attempts in doubt that the provider's list could not tell from this one: same number, same body, about the time."""
    this = attempt.alias("this")
    statement = (
        select(func.count())
        .select_from(attempt.join(this, this.c.id == known.id))
        .where(
            attempt.c.id != known.id,
            attempt.c.outcome.in_(("open", "unconfirmed", "given-up")),
            attempt.c.number_index == this.c.number_index,
            attempt.c.body_index == this.c.body_index,
            attempt.c.started_at.between(known.started_at - within, known.started_at + within),
        )
    )
    return int((await unit.conn.execute(statement)).scalar_one())


async def recent(unit: Unit, contacts: Collection[UUID], since: datetime) -> Sequence[tuple[UUID, MessageKind, datetime]]:
    """(contact, kind, when) of every text that went or may have gone to these people since: what caps are counted from."""
    rows = await unit.conn.execute(_RECENT, {"contacts": list(contacts), "since": since})
    return [(row.contact_id, row.kind, row.started_at) for row in rows]

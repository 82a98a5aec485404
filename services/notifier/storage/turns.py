"""Whose turn it is: which queued texts are due for the gate, which of them go, and when the next one is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, DateTime, Select, and_, any_, bindparam, case, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from services.notifier.domain.message import MessageKind
from services.notifier.storage import SERVICE
from services.notifier.storage.messages import COLUMNS, Message, message_of
from services.notifier.storage.tables import channel_incident, message
from shared.db import spelt_out, typed_sql
from shared.messaging.unit import Unit

#: Which goes first when more are due than can go at once.
_URGENCY: Mapping[MessageKind, int] = {"safe-reply": 0, "alert": 1, "opt-out-confirmation": 2, "help": 2, "dose": 4}


_QUEUED = message.c.state == spelt_out("queued")


def _is_due(*, channel_open: bool) -> ColumnElement[bool]:
    """With the channel down nothing is consumed; what has become useless is still said so."""
    turn = message.c.not_before if channel_open else message.c.useful_until
    return and_(_QUEUED, turn <= bindparam("now"))


def _most_urgent(*more: ColumnElement[Any], channel_open: bool) -> Select[Any]:
    urgency = case(_URGENCY, value=message.c.kind, else_=3)
    urgency = case((message.c.kind.in_(("check-in", "education", "welcome", "verification")), 5), else_=urgency)
    statement = select(*COLUMNS, *more).where(_is_due(channel_open=channel_open))
    return statement.order_by(urgency, message.c.not_before, message.c.id).limit(bindparam("limit"))


def _still_due(*, channel_open: bool) -> Select[Any]:
    wanted = message.c.id == any_(bindparam("wanted", type_=ARRAY(message.c.id.type)))
    statement = select(*COLUMNS).where(wanted, _is_due(channel_open=channel_open))
    return statement.order_by(message.c.id).with_for_update(skip_locked=True)


_PROBE = select(channel_incident.c.probe_at).where(channel_incident.c.cleared_at.is_(None)).scalar_subquery()
#: Made once: making one costs as much as running it.
_DUE, _USELESS = _most_urgent(_PROBE.label("probe_at"), channel_open=True), _most_urgent(channel_open=False)
#: By whether the channel is open.
_AGAIN = {way: _still_due(channel_open=way) for way in (True, False)}
_NEXT = select(
    select(func.min(message.c.not_before)).where(_QUEUED).scalar_subquery(),
    select(func.min(message.c.useful_until)).where(_QUEUED).scalar_subquery(),
    _PROBE,
)
_BEGIN = typed_sql(
    SERVICE,
    "UPDATE ~message AS m SET state = 'attempting', waits_for = NULL, epoch = m.epoch + 1, changed_at = :now"
    " FROM unnest(:ids, :epochs) AS v(id, epoch)"
    " WHERE m.id = v.id AND m.state = 'queued' AND m.epoch = v.epoch RETURNING m.id",
    binds=(
        ("now", DateTime(timezone=True)),
        ("ids", ARRAY(message.c.id.type)),
        ("epochs", ARRAY(message.c.epoch.type)),
    ),
)


async def due(unit: Unit, limit: int) -> tuple[Sequence[Message], datetime | None]:
    """Texts for the gate while the channel is open, the most urgent first; with them, as it costs no statement more, from when on
    one may try where it is down (None: it is well, or nothing is due). Read without locks: read them `again` under them."""
    rows = (await unit.conn.execute(_DUE, {"now": unit.now, "limit": limit})).all()
    return [message_of(row) for row in rows], rows[0].probe_at if rows else None


async def useless(unit: Unit, limit: int) -> Sequence[Message]:
    """As `due`, while nothing may be consumed: what has become useless is still said so."""
    return [message_of(row) for row in await unit.conn.execute(_USELESS, {"now": unit.now, "limit": limit})]


async def again(unit: Unit, texts: Sequence[Message], *, channel_open: bool) -> Sequence[Message]:
    """Those of the texts that are still due, in the same order, their rows held until the end of the transaction."""
    wanted = [text.id for text in texts]
    rows = await unit.conn.execute(_AGAIN[channel_open], {"now": unit.now, "wanted": wanted})
    found = {row.id: message_of(row) for row in rows}
    return [found[each] for each in wanted if each in found]


async def begin(unit: Unit, known: Collection[Message]) -> dict[UUID, Message]:
    """Moves queued texts to `attempting`, each from the epoch in which it was read; by id, those that nobody else was quicker
    with."""
    if not known:
        return {}
    values = {"ids": [each.id for each in known], "epochs": [each.epoch for each in known], "now": unit.now}
    moved = frozenset((await unit.conn.execute(_BEGIN, values)).scalars())
    return {
        each.id: replace(each, state="attempting", epoch=each.epoch + 1, waits_for=None, changed_at=unit.now)
        for each in known
        if each.id in moved
    }


async def next_due(unit: Unit) -> tuple[datetime | None, datetime | None, datetime | None]:
    """When the next queued text is to go to the gate, when the next is of no use any more, and from when on one text may try
    while the channel is down (None: it is well)."""
    queued, useless, probe = (await unit.conn.execute(_NEXT)).one()
    return queued, useless, probe

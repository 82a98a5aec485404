"""Attempts with their texts: read together under the locks, moved on in memory, and written back together. One read and one
write, however many fates a transaction learns and however much it learns of each.

With the read, as it costs no statement more: statuses that the provider calls back are put down, each once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, DateTime, Integer, Select, Text, Uuid, any_, bindparam, column, func, select
from sqlalchemy.dialects.postgresql import ARRAY, insert

from services.notifier.domain.message import MessageState, may_move
from services.notifier.storage import SERVICE, attempts, messages
from services.notifier.storage.attempts import Attempt, attempt_of
from services.notifier.storage.messages import Message, message_of
from services.notifier.storage.tables import attempt, channel_incident, message, status_callback
from shared.db import typed_sql
from shared.messaging.unit import Unit

_IDS, _WORDS, _NUMBERS = ARRAY(Uuid()), ARRAY(Text()), ARRAY(Integer())
_INSTANTS = ARRAY(DateTime(timezone=True))
#: A status as it is told: of two that are the same the second changes nothing.
_KEY = (status_callback.c.sid, status_callback.c.status, status_callback.c.error_code)


def _put_down() -> CTE:
    """Statuses of attempts that there are, each as it was told first. In one order: two transactions that put the same down wait
    for each other in turn."""
    columns = (column("attempt_id", Uuid()), column("sid", Text()), column("status", Text()), column("error_code", Integer()))
    binds = (bindparam("of", type_=_IDS), bindparam("sids", type_=_WORDS), bindparam("statuses", type_=_WORDS))
    said = (
        func.unnest(*binds, bindparam("codes", type_=_NUMBERS))
        .table_valued(*columns, with_ordinality="nth")
        .render_derived("said")
    )
    rows = select(said.c.attempt_id, attempt.c.clinic_id, said.c.sid, said.c.status, said.c.error_code, bindparam("now"))
    rows = rows.join_from(said, attempt, attempt.c.id == said.c.attempt_id)
    rows = rows.order_by(said.c.sid, said.c.status, said.c.error_code, said.c.nth)
    names = ["attempt_id", "clinic_id", *(each.name for each in _KEY), "received_at"]
    return insert(status_callback).from_select(names, rows).on_conflict_do_nothing().returning(*_KEY).cte("put_down")


def _read() -> Select[Any]:
    other, down = attempt.alias("other"), _put_down()
    kept = select(func.jsonb_agg(func.jsonb_build_array(*down.c))).select_from(down).scalar_subquery()
    taken = select(func.jsonb_agg(other.c.sid)).where(other.c.sid == any_(bindparam("claimed", type_=_WORDS))).scalar_subquery()
    incident = select(channel_incident.c.id).where(channel_incident.c.cleared_at.is_(None)).exists()
    around = (kept.label("kept"), taken.label("taken"), incident.label("incident"))
    return (
        select(*attempts.COLUMNS, *messages.COLUMNS, *around)
        .join(message, message.c.id == attempt.c.message_id)
        .where(attempt.c.id == any_(bindparam("wanted", type_=_IDS)))
        .order_by(attempt.c.id)
        .with_for_update(of=(attempt, message))
    )


_READ = _read()
_WIDTH, _BOTH = len(attempts.COLUMNS), len(attempts.COLUMNS) + len(messages.COLUMNS)
_WRITE = typed_sql(
    SERVICE,
    "WITH ended AS (UPDATE ~attempt AS a"
    " SET outcome = v.outcome, sid = v.sid, sid_from = coalesce(v.sid_from, a.sid_from), look_at = v.look_at"
    " FROM unnest(:attempts, :were, :outcomes, :sids, :sids_from, :look_at) AS v(id, was, outcome, sid, sid_from, look_at)"
    " WHERE a.id = v.id AND a.outcome = v.was RETURNING a.id),"
    " moved AS (UPDATE ~message AS m SET state = v.state, epoch = v.epoch, why = NULL, waits_for = NULL, changed_at = :now,"
    " accepted_at = v.accepted_at, asked = v.asked"
    " FROM unnest(:texts, :was, :was_epoch, :states, :epochs, :accepted_at, :asked)"
    " AS v(id, was, was_epoch, state, epoch, accepted_at, asked)"
    " WHERE m.id = v.id AND m.state = v.was AND m.epoch = v.was_epoch RETURNING m.id)"
    " SELECT (SELECT count(*) FROM ended) AS ended, (SELECT count(*) FROM moved) AS moved",
    binds=(
        ("now", DateTime(timezone=True)),
        *((name, _IDS) for name in ("attempts", "texts")),
        *((name, _WORDS) for name in ("were", "outcomes", "sids", "sids_from", "was", "states")),
        *((name, _NUMBERS) for name in ("was_epoch", "epochs")),
        *((name, _INSTANTS) for name in ("look_at", "accepted_at")),
        ("asked", ARRAY(message.c.asked.type)),
    ),
)


@dataclass(frozen=True)
class Told:
    """What somebody says of an attempt: the provider has it under `sid`, with Twilio's `status`. `learnt_from` is the answer, a
    callback, a fetch or the list."""

    attempt_id: UUID
    sid: str
    status: str
    learnt_from: str
    error_code: int | None = None

    @property
    def key(self) -> tuple[str, str, int]:
        """Of two callbacks that have the same, one is a repetition."""
        return self.sid, self.status, self.error_code or 0


@dataclass
class Pair:
    """An attempt and its text as they are by now. `write` compares with what was read."""

    attempt: Attempt
    text: Message
    as_read: tuple[Attempt, Message]
    sid_from: str | None = None

    def take(self, sid: str, learnt_from: str) -> None:
        """The provider has the attempt, under its one SID."""
        self.attempt, self.sid_from = replace(self.attempt, outcome="taken", sid=sid, look_at=None), learnt_from

    def look_at(self, at: datetime | None) -> None:
        self.attempt = replace(self.attempt, look_at=at)

    def move(self, to: MessageState, now: datetime) -> None:
        """The text rises to what the provider says. Raises ValueError for a move that the state machine has not."""
        if not may_move(self.text.state, to):
            raise ValueError(f"no move from {self.text.state} to {to}")
        first, epoch = self.text.accepted_at or now, self.text.epoch + 1
        self.text = replace(self.text, state=to, epoch=epoch, why=None, waits_for=None, changed_at=now, accepted_at=first)

    def ask(self) -> None:
        self.text = replace(self.text, asked=True)


@dataclass(frozen=True)
class Known:
    """What is known of the attempts that something is told of."""

    pairs: Mapping[UUID, Pair]
    #: What is told of them and was not said before, in its order.
    news: Sequence[Told] = ()
    #: SIDs that are some attempt's already.
    taken: frozenset[str] = frozenset()
    #: The channel is said to be down.
    incident: bool = False


async def read(unit: Unit, attempt_ids: Collection[UUID]) -> Mapping[UUID, Pair]:
    """By attempt; their rows stay as they are until the transaction ends. An attempt that is not there is absent."""
    return (await _known(unit, attempt_ids)).pairs


async def told(unit: Unit, said: Sequence[Told]) -> Known:
    """As `read`, for what is told; callbacks are put down."""
    return await _known(unit, {each.attempt_id for each in said}, said)


async def _known(unit: Unit, attempt_ids: Collection[UUID], said: Sequence[Told] = ()) -> Known:
    back = [each for each in said if each.learnt_from == "callback"]
    values = {
        "now": unit.now,
        "wanted": list(attempt_ids),
        "claimed": [each.sid for each in said],
        "of": [each.attempt_id for each in back],
        "sids": [each.sid for each in back],
        "statuses": [each.status for each in back],
        "codes": [each.error_code or 0 for each in back],
    }
    found = (await unit.conn.execute(_READ, values)).all()
    if not found:
        return Known({})
    pairs = {pair.attempt.id: pair for pair in map(_pair, found)}
    kept = {(sid, status, code) for sid, status, code in found[0].kept or ()}
    about = [each for each in said if each.attempt_id in pairs]
    return Known(pairs, _news(about, kept), frozenset(found[0].taken or ()), found[0].incident)


def _news(said: Sequence[Told], kept: Collection[tuple[str, str, int]]) -> list[Told]:
    """All but the callbacks that were said before, earlier or in this very group."""
    first = {each.key: each for each in reversed(said) if each.learnt_from == "callback"}
    return [each for each in said if each.learnt_from != "callback" or (each.key in kept and first[each.key] is each)]


def _pair(row: Sequence[Any]) -> Pair:
    known, text = attempt_of(row[:_WIDTH]), message_of(row[_WIDTH:_BOTH])
    return Pair(known, text, (known, text))


async def write(unit: Unit, pairs: Collection[Pair]) -> None:
    """Writes those that are not what they were. Raises RuntimeError where a row is not as it was read: it was held."""
    ended = [pair for pair in pairs if pair.attempt != pair.as_read[0]]
    moved = [pair for pair in pairs if pair.text != pair.as_read[1]]
    if not ended and not moved:
        return
    written = (await unit.conn.execute(_WRITE, {"now": unit.now, **_ended(ended), **_moved(moved)})).one()
    if (written.ended, written.moved) != (len(ended), len(moved)):
        raise RuntimeError("a row that was held has changed")


def _ended(pairs: Collection[Pair]) -> Mapping[str, Any]:
    return {
        "attempts": [pair.attempt.id for pair in pairs],
        "were": [pair.as_read[0].outcome for pair in pairs],
        "outcomes": [pair.attempt.outcome for pair in pairs],
        "sids": [pair.attempt.sid for pair in pairs],
        "sids_from": [pair.sid_from for pair in pairs],
        "look_at": [pair.attempt.look_at for pair in pairs],
    }


def _moved(pairs: Collection[Pair]) -> Mapping[str, Any]:
    return {
        "texts": [pair.text.id for pair in pairs],
        "was": [pair.as_read[1].state for pair in pairs],
        "was_epoch": [pair.as_read[1].epoch for pair in pairs],
        "states": [pair.text.state for pair in pairs],
        "epochs": [pair.text.epoch for pair in pairs],
        "accepted_at": [pair.text.accepted_at for pair in pairs],
        "asked": [pair.text.asked for pair in pairs],
    }

"""Attempts with their texts: read together under the locks, moved on in memory, and written back together. One read and one
write, however many fates a transaction learns and however much it learns of each."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Integer, Text, Uuid, any_, bindparam, select
from sqlalchemy.dialects.postgresql import ARRAY

from services.notifier.domain.message import MessageState, may_move
from services.notifier.storage import SERVICE, attempts, messages
from services.notifier.storage.attempts import Attempt, attempt_of
from services.notifier.storage.messages import Message, message_of
from services.notifier.storage.tables import attempt, message
from shared.db import typed_sql
from shared.messaging.unit import Unit

_IDS, _WORDS, _NUMBERS = ARRAY(Uuid()), ARRAY(Text()), ARRAY(Integer())
_INSTANTS = ARRAY(DateTime(timezone=True))
_READ = (
    select(*attempts.COLUMNS, *messages.COLUMNS)
    .join(message, message.c.id == attempt.c.message_id)
    .where(attempt.c.id == any_(bindparam("wanted", type_=_IDS)))
    .order_by(attempt.c.id)
    .with_for_update()
)
_WIDTH = len(attempts.COLUMNS)
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


async def read(unit: Unit, attempt_ids: Collection[UUID]) -> dict[UUID, Pair]:
    """By attempt; their rows stay as they are until the transaction ends. An attempt that is not there is absent."""
    found: dict[UUID, Pair] = {}
    for row in await unit.conn.execute(_READ, {"wanted": list(attempt_ids)}):
        known, text = attempt_of(row[:_WIDTH]), message_of(row[_WIDTH:])
        found[known.id] = Pair(known, text, (known, text))
    return found


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

"""Texts as rows: queueing, moving from state to state, and what others ask of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, any_, bindparam, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import ARRAY, insert

from services.notifier.domain.message import MAY_HAVE_LEFT, MessageDraft, MessageKind, MessageState, may_move
from services.notifier.storage.tables import attempt, message
from shared.events.base import stable_id
from shared.messaging.unit import Unit

#: Nothing left and nothing will by itself: a reissue under a newer plan version may ask again.
_REISSUABLE: tuple[MessageState, ...] = ("queued", "withheld", "expired")
#: In a text's params: it was taken back while its request was under way.
WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class Message:
    """One text, as it stood when it was read. Instants are UTC."""

    id: UUID
    key: str
    clinic_id: UUID
    contact_id: UUID
    patient_id: UUID | None
    person_id: UUID | None
    kind: MessageKind
    template: str
    params: Mapping[str, Any]
    occurrence_id: UUID | None
    request_id: UUID | None
    alert_id: UUID | None
    reply_id: UUID | None
    plan_version: int | None
    cause_id: UUID
    cause_type: str
    correlation_id: UUID | None
    state: MessageState
    why: str | None
    waits_for: str | None
    epoch: int
    tries: int
    due_at: datetime
    not_before: datetime
    useful_until: datetime
    created_at: datetime
    changed_at: datetime
    accepted_at: datetime | None
    carried_by: UUID | None
    asked: bool

    @property
    def lock_keys(self) -> tuple[UUID, ...]:
        """Whom a transaction that moves this text locks: who gets it and whom it is about."""
        both = (self.contact_id, self.patient_id)
        return tuple(sorted({key for key in both if key is not None}))


#: In the order of `Message`; a statement that returns a text begins with them.
COLUMNS = [message.c[field.name] for field in fields(Message)]
_WIDTH = len(COLUMNS)
#: Statements that every text meets are made once: making one costs as much as running it.
_ONE = select(*COLUMNS).where(message.c.id == bindparam("wanted"))
_ONE_LOCKED = _ONE.with_for_update()
_AS_READ = (message.c.id == bindparam("wanted"), message.c.state == bindparam("was"), message.c.epoch == bindparam("was_epoch"))
_MOVE = update(message).where(*_AS_READ).values(epoch=message.c.epoch + 1).returning(*COLUMNS)
_POSTPONE = update(message).where(*_AS_READ)
_LAST_OF_KINDS = (
    select(message.c.contact_id, message.c.kind, func.max(message.c.created_at))
    .where(
        message.c.contact_id == any_(bindparam("people", type_=ARRAY(message.c.contact_id.type))),
        message.c.kind == any_(bindparam("kinds", type_=ARRAY(message.c.kind.type))),
        message.c.state.in_(tuple(MAY_HAVE_LEFT)),
    )
    .group_by(message.c.contact_id, message.c.kind)
)
_CARRIER = bindparam("carriers", type_=ARRAY(message.c.id.type))
_CARRIED_WITH = select(*COLUMNS).where(message.c.carried_by == any_(_CARRIER)).order_by(message.c.id)


def message_of(row: Sequence[Any]) -> Message:
    return Message(*row[:_WIDTH])


def message_id(key: str) -> UUID:
    """The id that a key always has."""
    return stable_id("message", key)


#: By key, or by id: of a text of a forgotten time only that may be known (restored_texts.py).
QUEUE = insert(message).on_conflict_do_nothing()
_QUEUED = QUEUE.returning(message.c.id)


async def queue(unit: Unit, draft: MessageDraft) -> UUID | None:
    """Queues the text in this transaction; its id, or None where its key has been said before (then nothing changes)."""
    found = await unit.conn.execute(_QUEUED, values_of(unit, draft))
    unit.after_commit("sender")
    queued: UUID | None = found.scalar_one_or_none()
    return queued


def queue_or_reissue(unit: Unit, draft: MessageDraft) -> None:
    """As `queue`, with the others that this transaction asks for; a text that has not left is asked for again where the draft's
    plan version is newer. Never a second text: it is the same row. One whose request is under way only takes the newer facts
    along: should it prove that nothing left, the gate finds them, and the scheduler will not say them again."""
    unit.later(_queue_or_reissue, (draft, values_of(unit, draft)))


async def _queue_or_reissue(unit: Unit, asked: Sequence[tuple[MessageDraft, dict[str, Any]]]) -> None:
    queued = set((await unit.conn.execute(_QUEUED, [values for _, values in asked])).scalars())
    unit.after_commit("sender")
    for draft, values in asked:
        if values["id"] in queued:
            queued.discard(values["id"])  # said twice in one transaction, the second is a reissue
        elif draft.plan_version is not None:
            await _reissue(unit, draft.plan_version, values)


async def _reissue(unit: Unit, version: int, fresh: Mapping[str, Any]) -> None:
    known = await one(unit, fresh["id"], lock=True)
    if known is None or (known.plan_version or 0) >= version:
        return
    names = ("template", "params", "plan_version", "cause_id", "cause_type", "correlation_id", "due_at", "useful_until")
    same = update(message).where(message.c.id == known.id).values({name: fresh[name] for name in names})
    if known.state == "attempting":
        await unit.conn.execute(same)
    elif known.state in _REISSUABLE:
        again = {"not_before": fresh["not_before"], "changed_at": unit.now, "why": None, "waits_for": None}
        await unit.conn.execute(same.values(state="queued", epoch=message.c.epoch + 1, **again))


async def tombstone(unit: Unit, draft: MessageDraft, why: str) -> Message | None:
    """Withdraws the text whether or not it is there yet: a text that has not left is withheld, an absent one is put down as
    withheld, so that its due event, heard later, finds it so. One whose request is under way remembers it for the gate, should
    nothing have left. The row as withheld now, or None where it is not."""
    values = values_of(unit, draft) | {"state": "withheld", "why": why}
    await unit.write_left()
    row = (await unit.conn.execute(QUEUE.values(values).returning(*COLUMNS))).one_or_none()
    if row is not None:
        return message_of(row)
    known = await one(unit, message_id(draft.key), lock=True)
    if known is None or (known.plan_version or 0) > (draft.plan_version or 0):
        return None
    if known.state == "attempting":
        taken_back = {**known.params, WITHDRAWN: True}
        mine = update(message).where(message.c.id == known.id)
        await unit.conn.execute(mine.values(params=taken_back, plan_version=draft.plan_version))
    if known.state != "queued":
        return None
    return await move(unit, known, "withheld", why=why, waits_for=None, plan_version=draft.plan_version)


def values_of(unit: Unit, draft: MessageDraft) -> dict[str, Any]:
    """The row of a draft, for QUEUE."""
    same = ("key", "kind", "clinic_id", "patient_id", "person_id", "template", "plan_version", "not_before", "useful_until")
    about = ("occurrence_id", "request_id", "alert_id", "reply_id", "cause_type")
    return {name: getattr(draft, name) for name in (*same, *about)} | {
        "id": message_id(draft.key),
        "contact_id": draft.contact_id,
        "params": dict(draft.params),
        "cause_id": draft.cause,
        "correlation_id": unit.correlation_of(draft.contact_id),
        "due_at": draft.not_before,
        "created_at": unit.now,
        "changed_at": unit.now,
    }


async def move(unit: Unit, known: Message, to: MessageState, **values: Any) -> Message | None:
    """Moves a text from the state and epoch in which it was read; None where somebody else was quicker (then nothing changed).

    Raises ValueError for a move that the state machine has not; the database refuses it as well.
    """
    if not may_move(known.state, to):
        raise ValueError(f"no move from {known.state} to {to}")
    as_read = {"wanted": known.id, "was": known.state, "was_epoch": known.epoch}
    row = (await unit.conn.execute(_MOVE, as_read | {"state": to, "changed_at": unit.now} | values)).one_or_none()
    return None if row is None else message_of(row)


async def postpone(unit: Unit, known: Message, until: datetime, waits_for: str, **values: Any) -> None:
    """A queued text waits: for the window, the cap, a digest, the plan's next version, or a retry."""
    as_read = {"wanted": known.id, "was": "queued", "was_epoch": known.epoch}
    wait = {"not_before": until, "waits_for": waits_for, "changed_at": unit.now}
    await unit.conn.execute(_POSTPONE, as_read | wait | values)


async def one(unit: Unit, wanted: UUID, *, lock: bool = False) -> Message | None:
    """The text of an id. `lock`: its row stays as it is until the transaction ends."""
    await unit.write_left()
    row = (await unit.conn.execute(_ONE_LOCKED if lock else _ONE, {"wanted": wanted})).one_or_none()
    return None if row is None else message_of(row)


async def release_waiting_for_plan(unit: Unit, patient_id: UUID, version: int) -> int:
    """The plan has been heard up to `version`: what waited for it may go to the gate now. How many."""
    waited = and_(message.c.patient_id == patient_id, message.c.state == "queued", message.c.waits_for == "plan")
    seen = message.c.plan_version.is_(None) | (message.c.plan_version <= version)
    found = await unit.conn.execute(update(message).where(waited, seen).values(not_before=unit.now, waits_for=None))
    if found.rowcount:
        unit.after_commit("sender")
    return int(found.rowcount)


async def carried_with(unit: Unit, carriers: Collection[UUID]) -> Mapping[UUID, Sequence[Message]]:
    """The alerts that digests go for, in id order; who carries none is absent."""
    found: dict[UUID, list[Message]] = {}
    for each in map(message_of, await unit.conn.execute(_CARRIED_WITH, {"carriers": list(carriers)})):
        if each.carried_by is not None:
            found.setdefault(each.carried_by, []).append(each)
    return found


async def attempting(unit: Unit, contact_ids: Collection[UUID]) -> int:
    """How many texts to these people are under way: what STOP waits for, after its commit."""
    statement = select(func.count()).where(message.c.contact_id.in_(contact_ids), message.c.state == "attempting")
    return int((await unit.conn.execute(statement)).scalar_one())


async def listed(
    unit: Unit,
    clinic_id: UUID,
    *,
    patient_id: UUID | None = None,
    sid: str | None = None,
    before: UUID | None = None,
    limit: int = 500,
) -> Sequence[tuple[Message, str | None, datetime | None]]:
    """Texts of a patient or of a SID in one clinic, each with its SID and when its attempt began: the last ones (those before the
    text `before`, where given), oldest first."""
    live = and_(attempt.c.message_id == message.c.id, attempt.c.outcome.not_in(("not-begun", "not-sent")))
    statement = select(*COLUMNS, attempt.c.sid.label("provider_sid"), attempt.c.started_at).outerjoin(attempt, live)
    statement = statement.where(message.c.clinic_id == clinic_id)
    if patient_id is not None:
        statement = statement.where(message.c.patient_id == patient_id)
    if sid is not None:
        statement = statement.where(attempt.c.sid == sid)
    if before is not None:
        place = select(message.c.created_at).where(message.c.id == before).scalar_subquery()
        statement = statement.where(tuple_(message.c.created_at, message.c.id) < tuple_(place, before))
    rows = await unit.conn.execute(statement.order_by(message.c.created_at.desc(), message.c.id.desc()).limit(limit))
    return [(message_of(row), row.provider_sid, row.started_at) for row in reversed(rows.all())]


async def last_texts(unit: Unit, contact_id: UUID, limit: int = 5) -> Sequence[Message]:
    """The last texts that went or may have gone to a person, newest first: what a reply may be about."""
    statement = select(*COLUMNS).where(message.c.contact_id == contact_id, message.c.state.in_(tuple(MAY_HAVE_LEFT)))
    rows = await unit.conn.execute(statement.order_by(message.c.changed_at.desc(), message.c.id).limit(limit))
    return [message_of(row) for row in rows]


async def mark_asked(unit: Unit, wanted: UUID) -> None:
    await unit.conn.execute(update(message).where(message.c.id == wanted).values(asked=True))


async def last_of_kinds(
    unit: Unit, people: Collection[UUID], kinds: Collection[MessageKind]
) -> Mapping[tuple[UUID, MessageKind], datetime]:
    """(person, kind) -> when the last text of that kind went, or may have gone."""
    if not kinds:
        return {}
    rows = await unit.conn.execute(_LAST_OF_KINDS, {"people": list(people), "kinds": list(kinds)})
    return {(row[0], row[1]): row[2] for row in rows}


async def waiting_for_digest(unit: Unit, contact_id: UUID) -> Sequence[Message]:
    """Alerts of a person that wait to go together."""
    waiting = and_(message.c.contact_id == contact_id, message.c.state == "queued", message.c.waits_for == "digest")
    return [message_of(row) for row in await unit.conn.execute(select(*COLUMNS).where(waiting).order_by(message.c.id))]


async def tries(unit: Unit, wanted: UUID) -> int:
    """How often this text provably did not leave."""
    found = await unit.conn.execute(select(message.c.tries).where(message.c.id == wanted))
    return int(found.scalar_one_or_none() or 0)


async def queued_for_alert(unit: Unit, alert_id: UUID) -> Sequence[Message]:
    """Pages of an alert that have not left, their rows held."""
    wanted = and_(message.c.alert_id == alert_id, message.c.state == "queued")
    rows = await unit.conn.execute(select(*COLUMNS).where(wanted).order_by(message.c.id).with_for_update())
    return [message_of(row) for row in rows]

"""Texts of a forgotten time: which have left, as our own topic and the provider's list say, and which nobody can tell.

Our own message-sent events are the best memory: each text has the id that its key always has. A message of the provider's list
that none of them explains was sent in the moments before the end (or our topics are gone): then nobody can tell which text it
was, and everything that still waits for that number is in doubt. It is never sent; it says `unconfirmed`, as every doubt does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, insert, select

from services.notifier import said
from services.notifier.domain.message import RANK, MessageKind, MessageState
from services.notifier.storage import attempts, contact_rows, conversations, messages
from services.notifier.storage.clinics import clinics_of_sender
from services.notifier.storage.messages import Message
from services.notifier.storage.tables import attempt, message
from services.notifier.twilio_list import Listed
from shared.events.messages import (
    MessageDeliveredV1,
    MessageEvent,
    MessageSentV1,
    MessageUnconfirmedV1,
    MessageUndeliveredV1,
    MessageWithheldV1,
)
from shared.messaging.unit import Unit
from shared.restore.own import Said
from shared.restore.words import Words

#: Between the provider's time of a text and our word that it took it (two clocks, a slow answer).
_ABOUT_THEN = timedelta(minutes=2)
_STATES: Mapping[type[MessageEvent], MessageState] = {
    MessageSentV1: "accepted",
    MessageDeliveredV1: "delivered",
    MessageUndeliveredV1: "undelivered",
    MessageUnconfirmedV1: "unconfirmed",
}


@dataclass(frozen=True)
class Fate:
    """What our own words say of one text: the last state, when it left (None: it did not), and the event that names it."""

    state: MessageState
    event: MessageEvent
    at: datetime
    why: str | None = None
    cause_id: UUID | None = None

    @property
    def left(self) -> bool:
        return self.state in RANK

    @property
    def contact_id(self) -> UUID | None:
        return self.event.person_id or self.event.patient_id


def fates(words: Words) -> dict[UUID, Fate]:
    """By text: what became of it since the backup."""
    found: dict[UUID, Fate] = {}
    for one in words.all:
        if isinstance(one.event, MessageEvent):
            known, fresh = found.get(one.event.message_id), _fate(one)
            if known is None or _rank(fresh) >= _rank(known):
                # When it left is when it was first said to have.
                found[one.event.message_id] = replace(fresh, at=known.at) if known is not None and known.left else fresh
    return found


def _fate(said_: Said) -> Fate:
    event: Any = said_.event
    if isinstance(event, MessageWithheldV1):
        return Fate("withheld", event, event.at, event.why, said_.envelope.causation_id)
    return Fate(_STATES[type(event)], event, event.at, None, said_.envelope.causation_id)


def _rank(fate: Fate) -> int:
    return RANK.get(fate.state, 0)


async def record(unit: Unit, fate: Fate, listed: Listed | None) -> None:
    """Makes the text's row what became of it. The caller holds the locks of everybody concerned."""
    known = await messages.one(unit, fate.event.message_id, lock=True)
    if known is None:
        known = await _put(unit, fate)
    if known is None or known.state in {"attempting", "unconfirmed"}:
        return  # reconciliation knows what to do with those
    moved = await _brought(unit, known, fate)
    if listed is not None and not await _has_sid(unit, moved.id):
        await _attempt(unit, moved, listed)
    if fate.left and not moved.asked:
        then = copy(unit)
        then.now = fate.at
        await messages.mark_asked(then, moved.id)
        await conversations.asked(then, moved)


async def _put(unit: Unit, fate: Fate) -> Message | None:
    """A row for a text whose cause nobody says any more: its id keeps it from being made anew. None for a number's own (the safe
    reply to a stranger, which may go twice)."""
    event = fate.event
    if fate.contact_id is None:
        return None
    same = ("clinic_id", "patient_id", "person_id", "kind", "occurrence_id", "request_id", "alert_id", "reply_id", "plan_version")
    times = dict.fromkeys(("due_at", "not_before", "useful_until", "created_at"), fate.at)
    state = {"state": fate.state, "why": fate.why, "accepted_at": fate.at if fate.left else None}
    values = {name: getattr(event, name) for name in same} | times | state
    values |= {"id": event.message_id, "key": f"restored/{event.message_id}", "contact_id": fate.contact_id}
    values |= {
        "template": event.kind,
        "changed_at": unit.now,
        "cause_id": fate.cause_id or event.message_id,
        "cause_type": event.type,
    }
    await unit.conn.execute(insert(message).values(values))
    return await messages.one(unit, event.message_id)


async def _brought(unit: Unit, known: Message, fate: Fate) -> Message:
    """The text moved to its fate, by the moves that there are."""
    way: list[MessageState] = []  # a digest's part and a refusal have come to their end
    if fate.state == "withheld":
        way = ["withheld"] if known.state == "queued" else []
    elif known.state in RANK:
        way = [fate.state] if RANK.get(fate.state, 0) > RANK[known.state] else []
    elif known.state in {"queued", "withheld", "expired"}:
        way = [*(("queued",) if known.state != "queued" else ()), "attempting", fate.state]
    for state in way:
        more: dict[str, Any] = {"why": fate.why if state == "withheld" else None, "waits_for": None}
        if state in RANK and known.accepted_at is None:
            more["accepted_at"] = fate.at
        known = await messages.move(unit, known, state, **more) or known
    return known


async def _has_sid(unit: Unit, message_id: UUID) -> bool:
    found = select(attempt.c.id).where(attempt.c.message_id == message_id, attempt.c.outcome.not_in(("not-begun", "not-sent")))
    return (await unit.conn.execute(found)).first() is not None


async def _attempt(unit: Unit, text: Message, listed: Listed) -> None:
    """The attempt that it was: it counts against the caps, and has the SID that nobody else may have."""
    new = uuid4()
    words = {"number": listed.to, "sender": listed.sender, "body": listed.body}
    values: dict[str, Any] = {
        f"{name}_sealed": unit.cipher.seal(value, table="attempt", column=name, row=new) for name, value in words.items()
    }
    values |= {f"{name}_index": unit.cipher.blind_index(words[name], purpose=f"attempt.{name}") for name in ("number", "body")}
    values |= {"id": new, "message_id": text.id, "clinic_id": text.clinic_id, "contact_id": text.contact_id, "epoch": text.epoch}
    values |= {"started_at": listed.created_at, "valid_until": listed.created_at, "owner": new}
    # Looked at at once where it has not come to its end: nobody will call back under this id.
    look = None if text.state in {"delivered", "undelivered", "failed"} else unit.now
    values |= {"outcome": "taken", "sid": listed.sid, "sid_from": "list", "look_at": look}
    await unit.conn.execute(insert(attempt).values(**values, lease_until_machine=func.clock_timestamp()))


@dataclass
class Explained:
    """The provider's messages that are nobody's SID yet, and what they are: a text of our own words, or nobody knows what."""

    of_texts: dict[UUID, Listed]
    #: By contact.
    unknown: dict[UUID, list[Listed]]


async def explain(unit: Unit, listed: Sequence[Listed], known: Mapping[UUID, Fate]) -> Explained:
    """Each message of the list to the text that our own words say left for that contact about then; in the order of time."""
    taken = await attempts.taken_sids(unit, [each.sid for each in listed])
    open_texts: dict[UUID, list[Fate]] = defaultdict(list)
    for fate in sorted(known.values(), key=lambda one: one.at):
        if fate.left and fate.contact_id is not None and not await _has_sid(unit, fate.event.message_id):
            open_texts[fate.contact_id].append(fate)
    result = Explained({}, defaultdict(list))
    for each in sorted((one for one in listed if one.sid not in taken), key=lambda one: (one.created_at, one.sid)):
        if await _in_doubt_already(unit, each):
            continue
        people = await _people(unit, each)
        about_then = [fate for person in people for fate in open_texts[person] if abs(fate.at - each.created_at) <= _ABOUT_THEN]
        fate_of = about_then[0] if about_then else None
        if fate_of is None or fate_of.contact_id is None:
            for person in people:
                result.unknown[person].append(each)
        else:
            open_texts[fate_of.contact_id].remove(fate_of)
            result.of_texts[fate_of.event.message_id] = each
    return result


async def _people(unit: Unit, each: Listed) -> list[UUID]:
    ours = [one.clinic_id for one in await clinics_of_sender(unit, each.sender)]
    return [one.id for one in await contact_rows.by_number(unit, contact_rows.number_index(unit, each.to), ours)]


async def _in_doubt_already(unit: Unit, each: Listed) -> bool:
    """Whether an attempt that the backup knows of, and not the end of, can be it: reconciliation attaches it."""
    indexes = [
        unit.cipher.blind_index(word, purpose=f"attempt.{name}") for name, word in (("number", each.to), ("body", each.body))
    ]
    same = (attempt.c.number_index == indexes[0]) & (attempt.c.body_index == indexes[1])
    found = select(attempt.c.id).where(same, attempt.c.outcome.in_(("open", "unconfirmed", "given-up")))
    return (await unit.conn.execute(found)).first() is not None


#: Whose turn these were is known to nobody who would tell: made again on the way back, they may be what left.
_AT_ONCE: tuple[MessageKind, ...] = (
    "alert",
    "question",
    "acknowledgement",
    "clarification",
    "help",
    "opt-out-confirmation",
    "opt-in-confirmation",
)


async def doubted(unit: Unit, people: Collection[UUID], until: datetime) -> list[Message]:
    """What waits for these contacts and may be what left: due before the service was taken up again, or of a kind that goes as
    soon as it is asked for."""
    before = (message.c.due_at <= until) | message.c.kind.in_(_AT_ONCE)
    waiting = select(*messages.COLUMNS).where(message.c.contact_id.in_(tuple(people)), message.c.state == "queued", before)
    return [messages.message_of(row) for row in await unit.conn.execute(waiting.order_by(message.c.id))]


async def give_up(unit: Unit, texts: Iterable[Message]) -> int:
    """Nobody can tell whether these have left: they never leave (again), and say so."""
    count = 0
    for text in texts:
        known = await messages.one(unit, text.id, lock=True)
        if known is None or known.state != "queued":
            continue
        begun = await messages.move(unit, known, "attempting", waits_for=None)
        unconfirmed = None if begun is None else await messages.move(unit, begun, "unconfirmed")
        if unconfirmed is not None:
            await said.unconfirmed(unit, unconfirmed, final=True)
            count += 1
    return count

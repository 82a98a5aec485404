"""What becomes of a text, whoever learns it: the answer to the request, a callback, a look at the provider, or nobody.

Each function runs in a transaction that holds the locks of everybody concerned, reads the attempt again and moves attempt and
text together. Whoever comes second changes nothing, so the order in which the four learn it does not matter.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from services.notifier import said
from services.notifier.channel import failed
from services.notifier.domain.message import FINISHED, RANK, after_status
from services.notifier.domain.outcome import CHANNEL_CODES, CONFIGURATION_CODES, NUMBER_CODES, OPTED_OUT_CODE
from services.notifier.said import Carried
from services.notifier.storage import attempts, contacts, conversations, fates, messages
from services.notifier.storage.attempts import Attempt
from services.notifier.storage.fates import Known, Pair, Told
from services.notifier.storage.messages import Message
from shared.defaults import default
from shared.events.messages import WithheldReason
from shared.messaging.unit import Unit
from shared.ops import ops_say

_POLLS: tuple[timedelta, ...] = default("notifier", "poll_after")
_LOOKS: tuple[timedelta, ...] = default("notifier", "reconcile_after")
_GRACE: timedelta = default("notifier", "validity_grace")


async def _read(unit: Unit, attempt_id: UUID) -> tuple[Attempt, Message] | None:
    known = (await fates.read(unit, [attempt_id])).get(attempt_id)
    return None if known is None else known.as_read


async def heed(unit: Unit, *told: Told) -> Known:
    """Each of what is told, in this order; answers what is known by then. A callback that was heard before changes nothing.
    Where a SID cannot be that attempt's, nothing changes and ops hears."""
    known = await fates.told(unit, told)
    about = [(known.pairs[each.attempt_id], each) for each in known.news]
    taken = {each.sid for pair, each in about if pair.attempt.sid is None} & known.taken
    rising = [pair.text for pair, each in about if after_status(pair.text.state, each.status) != pair.text.state]
    carried = await said.carried_by(unit, rising)
    for pair, each in about:
        await _heed_one(unit, pair, each, taken, carried)
    await fates.write(unit, known.pairs.values())
    newly_asked = [pair.text for pair in known.pairs.values() if pair.text.asked and not pair.as_read[1].asked]
    await conversations.asked(unit, *newly_asked)
    return known


async def _heed_one(unit: Unit, pair: Pair, told: Told, taken: set[str], carried: Carried) -> None:
    attached = pair.attempt.sid is None
    if attached and not await _attach(unit, pair, told, taken):
        return
    if pair.attempt.sid != told.sid:
        # One attempt, two messages: somebody sent it twice on its way. Never silently.
        attempt_id = pair.attempt.id
        await ops_say(unit, "duplicate-sid", {"attempt": str(attempt_id)}, dedup=f"duplicate-sid/{attempt_id}")
        return
    _advance(unit, pair, told, carried)
    _plan_look(unit, pair, attached=attached)
    await _heed_code(unit, pair.text, told.error_code)


async def _attach(unit: Unit, pair: Pair, told: Told, taken: set[str]) -> bool:
    """Gives the attempt its one SID. A SID that is another attempt's, or an attempt that has ended otherwise, is refused."""
    doubtful = pair.attempt.outcome in {"open", "unconfirmed", "given-up"}
    if not doubtful or told.sid in taken:
        attempt_id = pair.attempt.id
        await ops_say(unit, "sid-without-attempt", {"attempt": str(attempt_id)}, dedup=f"sid-without-attempt/{attempt_id}")
        return False
    pair.take(told.sid, told.learnt_from)
    taken.add(told.sid)
    return True


def _advance(unit: Unit, pair: Pair, told: Told, carried: Carried) -> None:
    """Sent once, then each new ending once."""
    before, to = pair.text.state, after_status(pair.text.state, told.status)
    if to == before:
        return
    pair.move(to, unit.now)
    if before not in RANK:
        said.sent(unit, pair.text, carried)
        # The conversation learns what the person has in front of them, once. A text in doubt counted: it may be on the screen.
        pair.ask()
    if to == "delivered":
        said.delivered(unit, pair.text, carried)
    elif to in {"undelivered", "failed"}:
        said.undelivered(unit, pair.text, carried, told.error_code)


def _plan_look(unit: Unit, pair: Pair, *, attached: bool) -> None:
    """A lost callback is normal: what is not finished is looked at after 10 min, 1 h, 11 h."""
    if pair.text.state in FINISHED:
        pair.look_at(None)
    elif attached:
        pair.look_at(unit.now + _POLLS[0])


async def _asked(unit: Unit, text: Message) -> None:
    """As in `heed`, for a text in doubt."""
    if text.asked:
        return
    await messages.mark_asked(unit, text.id)
    await conversations.asked(unit, text)


async def _heed_code(unit: Unit, text: Message, code: int | None) -> None:
    """What the provider's code says about the number, the consent, our configuration or the whole channel."""
    if code is None:
        return
    if code in NUMBER_CODES:
        await contacts.mark_suspect(unit, text.contact_id, NUMBER_CODES[code])
    elif code == OPTED_OUT_CODE:
        await contacts.opt_out(unit, text.contact_id, how="provider")
    elif code in CHANNEL_CODES:
        await failed(unit, text.clinic_id, "account-refused", code)
    elif code in CONFIGURATION_CODES:
        await ops_say(unit, "provider-refuses-configuration", {"code": code}, dedup=f"provider-refuses/{code}")


async def in_doubt(unit: Unit, attempt_id: UUID) -> None:
    """Nobody knows whether it left. It is never sent again; reconciliation looks for it."""
    found = await _read(unit, attempt_id)
    if found is None or found[0].outcome != "open":
        return
    known, text = found
    if not await attempts.end(unit, known, "unconfirmed", look_at=max(known.started_at + _LOOKS[0], unit.now)):
        return
    moved = await messages.move(unit, text, "unconfirmed")
    if moved is not None:
        await said.unconfirmed(unit, moved, final=False)
        await _asked(unit, moved)
    unit.after_commit("reconciler")


async def given_up(unit: Unit, attempt_id: UUID, why: str) -> None:
    """Reconciliation has come to its end: the text stays unconfirmed for good, and says so."""
    found = await _read(unit, attempt_id)
    if found is None or found[0].outcome != "unconfirmed":
        return
    known, text = found
    if await attempts.end(unit, known, "given-up", look_at=None):
        await said.unconfirmed(unit, text, final=True)
        await ops_say(unit, "text-unconfirmed", {"reason": why, "attempt": str(known.id)}, dedup=f"unconfirmed/{known.id}")


async def nothing_left(unit: Unit, attempt_id: UUID, outcome: str, not_before: datetime) -> None:
    """Proof that nothing left (`not-begun`, `not-sent`): the text goes back to the queue and the next gate decides."""
    found = await _read(unit, attempt_id)
    if found is None or found[0].outcome != "open":
        return
    known, text = found
    if await attempts.end(unit, known, outcome):
        tries = text.tries + (outcome == "not-sent")
        await messages.move(unit, text, "queued", not_before=not_before, waits_for="retry", tries=tries)
        unit.after_commit("sender")


async def refused(unit: Unit, attempt_id: UUID, code: int | None) -> None:
    """The provider refused this text for good: nothing was sent, nothing will be."""
    found = await _read(unit, attempt_id)
    if found is None or found[0].outcome != "open":
        return
    known, text = found
    if not await attempts.end(unit, known, "rejected", error_code=code):
        return
    why: WithheldReason = "opted-out" if code == OPTED_OUT_CODE else "rejected-by-provider"
    moved = await messages.move(unit, text, "rejected", why=why)
    if moved is not None:
        await said.withheld(unit, moved, why)
    await _heed_code(unit, text, code)


def next_look(known: Attempt, now: datetime) -> datetime | None:
    """When reconciliation looks again for an attempt in doubt: 30 s, 2 min, 10 min after its start, then once its validity
    and five minutes have passed; None after that."""
    planned = [known.started_at + after for after in _LOOKS] + [known.valid_until + _GRACE]
    return next((at for at in planned if at > now), None)


def next_poll(known: Attempt, accepted_at: datetime, now: datetime) -> datetime | None:
    """When an accepted text that is not finished is looked at again; None once eleven hours have passed."""
    return next((accepted_at + after for after in _POLLS if accepted_at + after > now), None)

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
from services.notifier.storage import attempts, contacts, conversations, messages
from services.notifier.storage.attempts import Attempt
from services.notifier.storage.messages import Message
from shared.defaults import default
from shared.events.messages import WithheldReason
from shared.messaging.unit import Unit
from shared.ops import ops_say

_POLLS: tuple[timedelta, ...] = default("notifier", "poll_after")
_LOOKS: tuple[timedelta, ...] = default("notifier", "reconcile_after")
_GRACE: timedelta = default("notifier", "validity_grace")


async def _read(unit: Unit, attempt_id: UUID) -> tuple[Attempt, Message] | None:
    known = await attempts.get(unit, attempt_id, lock=True)
    text = None if known is None else await messages.one(unit, known.message_id, lock=True)
    return None if known is None or text is None else (known, text)


async def provider_has(
    unit: Unit, attempt_id: UUID, sid: str, status: str, *, learnt_from: str, error_code: int | None = None
) -> bool:
    """The provider has it under `sid`, with Twilio's `status`. False where that SID cannot be this attempt's: ops hears."""
    found = await _read(unit, attempt_id)
    if found is None:
        return False
    known, text = found
    if known.sid is None and not await _attach(unit, known, sid, learnt_from):
        return False
    if known.sid not in (None, sid):
        # One attempt, two messages: somebody sent it twice on its way. Never silently.
        await ops_say(unit, "duplicate-sid", {"attempt": str(known.id)}, dedup=f"duplicate-sid/{known.id}")
        return False
    moved = await _advance(unit, text, status)
    await _say_status(unit, text, moved or text, error_code)
    await _plan_look(unit, known, moved or text, attached=known.sid is None)
    await _heed_code(unit, text, error_code)
    return True


async def _attach(unit: Unit, known: Attempt, sid: str, learnt_from: str) -> bool:
    """Gives the attempt its one SID. A SID that is another attempt's, or an attempt that has ended otherwise, is refused."""
    doubtful = known.outcome in {"open", "unconfirmed", "given-up"}
    if not doubtful or await attempts.taken_sids(unit, [sid]):
        await ops_say(unit, "sid-without-attempt", {"attempt": str(known.id)}, dedup=f"sid-without-attempt/{known.id}")
        return False
    return await attempts.end(unit, known, "taken", sid=sid, sid_from=learnt_from, look_at=None)


async def _advance(unit: Unit, text: Message, status: str) -> Message | None:
    to = after_status(text.state, status)
    if to == text.state:
        return None
    first = text.accepted_at is None
    return await messages.move(unit, text, to, why=None, waits_for=None, **({"accepted_at": unit.now} if first else {}))


async def _say_status(unit: Unit, before: Message, after: Message, error_code: int | None) -> None:
    """Sent once, then each new ending once."""
    if before.state not in RANK and after.state in RANK:
        await said.sent(unit, after)
        await _asked(unit, after)
    if after.state == before.state:
        return
    if after.state == "delivered":
        await said.delivered(unit, after)
    elif after.state in {"undelivered", "failed"}:
        await said.undelivered(unit, after, error_code)


async def _asked(unit: Unit, text: Message) -> None:
    """The conversation learns what the person has in front of them, once. A text in doubt counts: it may be on the screen."""
    if text.asked:
        return
    await messages.mark_asked(unit, text.id)
    await conversations.asked(unit, text)


async def _plan_look(unit: Unit, known: Attempt, text: Message, *, attached: bool) -> None:
    """A lost callback is normal: what is not finished is looked at after 10 min, 1 h, 11 h."""
    if text.state in FINISHED:
        await attempts.look_again(unit, known, None, looked=False)
    elif attached:
        await attempts.look_again(unit, known, unit.now + _POLLS[0], looked=False)


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

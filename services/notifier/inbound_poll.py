"""The pass "inbound": what the webhook missed, and the provider's own time of texts whose order matters.

Every hour the list of texts to each of our numbers is read back a day, and whatever is not on file is heard as if its webhook
had come: a STOP sent during an outage counts (reliability.md R27). Where a STOP and a START stand against each other, both are
fetched for their time; until it is known, the opt-out stands (R25). Clinical time; nothing is ever sent.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import aiohttp
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from twilio.base.exceptions import TwilioException

from services.notifier.inbound import take
from services.notifier.storage import heard, wishes
from services.notifier.storage.clinics import senders
from services.notifier.storage.heard import Inbound
from services.notifier.storage.hearing_tables import inbound_poll
from services.notifier.twilio_client import Provider
from shared.defaults import default
from shared.logs import log
from shared.ops import ops_say
from shared.runtime import Runtime

_GROUP = 20
_PAGE = 100
_AT_MOST_LISTED = 5000
_FAILURES = (TwilioException, aiohttp.ClientError, TimeoutError, OSError, KeyError, ValueError)


class InboundPass:
    """One per process; two of them hear the same text once."""

    name = "inbound"
    #: The provider's list may hold what nobody told us of.
    roams = True

    def __init__(self, runtime: Runtime, provider: Provider) -> None:
        self._runtime = runtime
        self._provider = provider
        self._looking = 0

    def in_flight(self) -> int:
        return self._looking

    async def next_due(self) -> datetime | None:
        """The next look-up of a time. The hourly poll is not in it: it must not stop simulated time, so there it is made once a
        clinical day and at the end of an advance."""
        async with self._runtime.reading() as unit:
            return await heard.next_look(unit)

    async def run(self, now: datetime) -> int:
        self._looking = 1
        try:
            return await self._times() + await self._polls(now)
        finally:
            self._looking = 0

    async def _times(self) -> int:
        async with self._runtime.reading() as unit:
            due = await heard.to_look_up(unit, _GROUP)
        for reply_id, sid, looks, contact_ids in due:
            sent_at = await self._sent_at(sid)
            pauses = default("notifier", "order_look_after")
            again = pauses[looks] if looks < len(pauses) else None
            async with self._runtime.unit() as unit:
                await unit.lock(*contact_ids)
                await heard.looked_up(unit, reply_id, sent_at, again)
                if sent_at is not None:
                    await wishes.time_signals(unit, reply_id, sent_at)
                elif again is None:
                    # The opt-out stands; whoever wrote START may be waiting for texts.
                    await ops_say(unit, "opt-in-order-unknown", {"reply": str(reply_id)}, dedup=str(reply_id))
        return len(due)

    async def _sent_at(self, sid: str) -> datetime | None:
        try:
            return _instant(await self._provider.lookup().messages(sid).fetch_async())
        except _FAILURES as error:
            log.failure("time of an inbound text not known", error, level="warning")
            return None

    async def _polls(self, now: datetime) -> int:
        async with self._runtime.reading() as unit:
            ours = await senders(unit)
        done = 0
        for sender, clinic_id in ours:
            since = await self._begin(sender, clinic_id, now)
            if since is not None:
                done += await self._poll(sender, since, now)
        return done

    async def _begin(self, sender: str, clinic_id: UUID, now: datetime) -> datetime | None:
        """Claims the poll of a number where it is due; from when on the list is to be read."""
        every: timedelta = default("notifier", "inbound_poll")
        back: timedelta = default("notifier", "inbound_poll_back")
        fresh = {"sender": sender, "clinic_id": clinic_id, "read_until": now, "next_at": now + every}
        again = {"next_at": now + every}
        async with self._runtime.unit() as unit:
            known = (
                await unit.conn.execute(select(inbound_poll).where(inbound_poll.c.sender == sender).with_for_update())
            ).one_or_none()
            if known is not None and known.next_at > now:
                return None
            statement = insert(inbound_poll).values(fresh)
            await unit.conn.execute(statement.on_conflict_do_update(index_elements=["sender"], set_=again))
        read_until: datetime = now if known is None else known.read_until
        return read_until - back

    async def _poll(self, sender: str, since: datetime, now: datetime) -> int:
        """Hears what is on the provider's list and not on file, oldest first; how many. Where the list cannot be had, the next
        poll reads back further."""
        try:
            listed = await self._provider.lookup().messages.list_async(
                to=sender, date_sent_after=since, limit=_AT_MOST_LISTED, page_size=_PAGE
            )
            texts = [text for text in (inbound_of(each) for each in listed) if text is not None]
        except _FAILURES as error:
            log.failure("inbound texts not polled", error, level="warning")
            return 0
        async with self._runtime.unit() as unit:
            known = await heard.known_sids(unit, [text.sid for text in texts])
        missed = sorted((text for text in texts if text.sid not in known), key=lambda text: (text.sent_at or since, text.sid))
        for text in missed:
            await take(self._runtime, text)
        async with self._runtime.unit() as unit:
            await unit.conn.execute(update(inbound_poll).where(inbound_poll.c.sender == sender).values(read_until=now))
        if missed:
            log.warning("inbound texts found that no webhook brought", count=len(missed))
        return len(missed)


def _instant(message: Any) -> datetime | None:
    """The provider's time of a text: when it was sent, else when it was made; UTC, whole seconds."""
    at = message.date_sent or message.date_created
    if not isinstance(at, datetime):
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def inbound_of(message: Any) -> Inbound | None:
    """A listed message as an inbound text; None for one of ours. Twilio's own words on opt-out are not in the list."""
    if message.direction != "inbound":
        return None
    return Inbound(
        sid=str(message.sid),
        sender=str(message.from_),
        to=str(message.to),
        body=str(message.body or ""),
        came_by="poll",
        sent_at=_instant(message),
    )

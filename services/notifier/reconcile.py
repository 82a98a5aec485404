"""The pass "reconciler": asks the provider about texts whose fate is not known, and about accepted ones that nobody reported on.

In doubt: by list, 30 s, 2 min and 10 min after the attempt and once more when its validity is over. A SID is attached only where
exactly one message of the list can be it and no other attempt could claim it; else the text stays unconfirmed for good, and a
person hears. Accepted but not finished: by fetch, after 10 min, 1 h and 11 h. All of it in clinical time; nothing is ever sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from twilio.base.exceptions import TwilioException

from services.notifier import fate
from services.notifier.storage import attempts, lock_keys, messages
from services.notifier.storage.attempts import Attempt
from services.notifier.storage.fates import Told
from services.notifier.twilio_client import Provider
from shared.defaults import default
from shared.messaging.unit import Unit
from shared.runtime import Runtime

_BEFORE: timedelta = default("notifier", "match_before")
_AFTER: timedelta = default("notifier", "match_after")
#: The list is read back until messages are this much older than the attempt (reliability.md 2.1).
_READ_BACK = timedelta(minutes=5)
_AT_MOST_LISTED = 400
_PAGE = 100
_GROUP = 20
_TRY_AGAIN = timedelta(seconds=30)


@dataclass(frozen=True)
class Seen:
    """A message as the provider shows it. `created_at` is the provider's time, UTC, in whole seconds."""

    sid: str
    status: str
    error_code: int | None
    body: str
    created_at: datetime | None


class CannotLookError(Exception):
    """The provider could not be asked. Says the class of the failure only."""


def candidates(seen: Sequence[Seen], body: str, started_at: datetime) -> list[Seen]:
    """Which of the provider's messages to this number can be the attempt: same body, created about then."""
    earliest, latest = started_at - _BEFORE, started_at + _AFTER
    return [each for each in seen if each.body == body and each.created_at and earliest <= each.created_at <= latest]


class Reconciler:
    """One per process; two of them looking at the same attempt end the same."""

    name = "reconciler"

    def __init__(self, runtime: Runtime, provider: Provider) -> None:
        self._runtime = runtime
        self._provider = provider
        self._looking = 0

    def in_flight(self) -> int:
        return self._looking

    async def next_due(self) -> datetime | None:
        async with self._runtime.reading() as unit:
            return await attempts.next_look(unit)

    async def run(self, now: datetime) -> int:
        async with self._runtime.reading() as unit:
            due = await attempts.to_look_at(unit, _GROUP)
        self._looking = len(due)
        try:
            for each in due:
                await self._look(each)
                self._looking -= 1
        finally:
            self._looking = 0
        return len(due)

    async def _look(self, known: Attempt) -> None:
        """Asks without a transaction, then records under the locks."""
        try:
            seen = await self._seen(known)
        except CannotLookError as error:
            self._runtime.log.failure("provider not asked", error, level="warning", name=self.name)
            seen = None
        async with self._runtime.unit() as unit:
            await unit.lock(*await lock_keys.of(unit, known.id))
            fresh = await attempts.get(unit, known.id)
            if fresh is None or fresh.look_at is None or fresh.look_at > unit.now:
                return
            await self._record(unit, fresh, seen)

    async def _record(self, unit: Unit, known: Attempt, seen: Sequence[Seen] | None) -> None:
        if seen is None:
            await attempts.look_again(unit, known, unit.now + _TRY_AGAIN, looked=False)
        elif known.outcome == "taken":
            await self._polled(unit, known, seen)
        else:
            await self._doubted(unit, known, seen)

    async def _polled(self, unit: Unit, known: Attempt, seen: Sequence[Seen]) -> None:
        text = await messages.one(unit, known.message_id)
        if text is None or text.accepted_at is None:
            return
        await attempts.look_again(unit, known, fate.next_poll(known, text.accepted_at, unit.now))
        for each in seen:
            await fate.heed(unit, Told(known.id, each.sid, each.status, "fetch", each.error_code))

    async def _doubted(self, unit: Unit, known: Attempt, seen: Sequence[Seen]) -> None:
        """Attaches the one message that it must be; gives up where there are several or where none came in time."""
        taken = await attempts.taken_sids(unit, [each.sid for each in seen])
        free = [each for each in seen if each.sid not in taken]
        if len(free) > 1 or (free and await attempts.lookalikes(unit, known, _BEFORE + _AFTER)):
            await fate.given_up(unit, known.id, "ambiguous")
            return
        for each in free:
            await fate.heed(unit, Told(known.id, each.sid, each.status, "list", each.error_code))
            return
        again = fate.next_look(known, unit.now)
        if again is None:
            await fate.given_up(unit, known.id, "not-found")
        else:
            await attempts.look_again(unit, known, again)

    async def _seen(self, known: Attempt) -> Sequence[Seen]:
        """What the provider shows of this attempt: its own message by SID, or those of the list that can be it."""
        async with self._runtime.unit() as unit:
            opened = await attempts.opened(unit, known.id)
        if opened is None:
            return []
        number, sender, body = opened
        try:
            if known.sid is not None:
                return [_seen(await self._provider.lookup().messages(known.sid).fetch_async())]
            return candidates(await self._listed(number, sender, known.started_at), body, known.started_at)
        except (aiohttp.ClientError, TimeoutError, TwilioException, OSError) as error:
            # Never the error itself: its text holds the address that was asked for.
            raise CannotLookError(type(error).__name__) from None

    async def _listed(self, number: str, sender: str, started_at: datetime) -> Sequence[Seen]:
        """Newest first, until they are older than the attempt can be. DateSent is not asked for: it is not the creation."""
        found: list[Seen] = []
        stream = await self._provider.lookup().messages.stream_async(
            to=number, from_=sender, limit=_AT_MOST_LISTED, page_size=_PAGE
        )
        async for each in stream:
            one = _seen(each)
            if one.created_at is not None and one.created_at < started_at - _READ_BACK:
                break
            found.append(one)
        return found


def _seen(message: Any) -> Seen:
    """The SDK's message instance as ours."""
    created = message.date_created
    if isinstance(created, str):
        created = parsedate_to_datetime(created)
    code = message.error_code
    return Seen(
        sid=str(message.sid),
        status=str(getattr(message.status, "value", message.status) or ""),
        error_code=int(code) if code is not None else None,
        body=str(message.body or ""),
        created_at=created.astimezone(UTC) if created is not None else None,
    )

"""The provider's list of messages, read as a whole: what left and what came in while nobody here remembers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from twilio.base.exceptions import TwilioException

from services.notifier.twilio_client import Provider
from shared.restore.process import NotYet

_PAGE = 200
_FAILURES = (TwilioException, aiohttp.ClientError, TimeoutError, OSError, KeyError, ValueError)


@dataclass(frozen=True)
class Listed:
    """A message that the provider has. `created_at`: the provider's time, UTC, whole seconds. repr() shows nothing."""

    sid: str
    sender: str
    to: str
    body: str
    created_at: datetime

    def __repr__(self) -> str:
        return "Listed()"


async def outbound(provider: Provider, sender: str, since: datetime) -> list[Listed]:
    """Everything that left from a number of ours since then. Raises NotYet where the provider does not say. Newest first, until
    they are older: DateSent is not asked for, since what is accepted and not sent yet has none."""
    found: list[Listed] = []
    try:
        async for each in await provider.lookup().messages.stream_async(from_=sender, page_size=_PAGE):
            created = _instant(each.date_created)
            if created < since:
                break
            if each.direction != "inbound":
                found.append(Listed(str(each.sid), str(each.from_), str(each.to), str(each.body or ""), created))
    except _FAILURES:
        # Never the error itself: its text holds the address that was asked for.
        raise NotYet("provider") from None
    return found


async def inbound(provider: Provider, to: str, since: datetime) -> list[Any]:
    """Every text that came to a number of ours since then, as the SDK shows it. Raises NotYet as above."""
    try:
        return list(await provider.lookup().messages.list_async(to=to, date_sent_after=since, page_size=_PAGE))
    except _FAILURES:
        raise NotYet("provider") from None


def _instant(at: datetime | str | None) -> datetime:
    """A message without a time is as new as can be: it is looked at."""
    if at is None:
        return datetime.max.replace(tzinfo=UTC)
    known = parsedate_to_datetime(at) if isinstance(at, str) else at
    return known.astimezone(UTC) if known.tzinfo else known.replace(tzinfo=UTC)

"""The Message resource as JSON, and Twilio's list of them: filters, order, pages. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlencode

from steadypath.phone.state import Message
from steadypath.phone.wire import API_VERSION, refusal, segments

_ERROR_TEXT = {30003: "Unreachable destination handset", 30005: "Unknown destination handset", 30007: "Message filtered"}


def resource(message: Message, account: str) -> dict[str, Any]:
    """One message. Times are RFC 2822 in UTC, numbers are strings where Twilio's are."""
    uri = f"/{API_VERSION}/Accounts/{account}/Messages/{message.sid}"
    unassigned = message.status == "accepted"  # a messaging service has not chosen the sender yet
    return {
        "account_sid": account,
        "api_version": API_VERSION,
        "body": message.body,
        "date_created": _rfc2822(message.begun),
        "date_sent": _rfc2822(message.sent) if message.sent else None,
        "date_updated": _rfc2822(message.updated),
        "direction": message.direction,
        "error_code": message.code,
        "error_message": _ERROR_TEXT.get(message.code, "Unknown error") if message.code else None,
        "from": None if unassigned else message.sender,
        "messaging_service_sid": message.service_sid,
        "num_media": "0",
        "num_segments": "0" if unassigned else str(segments(message.body)),
        "price": None,
        "price_unit": "USD",
        "sid": message.sid,
        "status": message.status,
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": message.to,
        "uri": f"{uri}.json",
    }


def select(messages: Iterable[Message], query: Mapping[str, str], now: datetime) -> list[Message]:
    """Those that fit To, From and DateSent, the newest first; one that lags behind in the list is left out."""
    tests = [_span(name, value) for name, value in query.items() if name.startswith("DateSent") and value]
    found = [
        message
        for message in messages
        if query.get("To") in {None, "", message.to}
        and query.get("From") in {None, "", message.sender}
        and (message.hidden_until is None or message.hidden_until <= now)
        and all(message.sent is not None and first <= message.sent < end for first, end in tests)
    ]
    return sorted(found, key=lambda message: message.n, reverse=True)


def _span(name: str, value: str) -> tuple[datetime, datetime]:
    """The half-open span that a DateSent filter lets through: whole UTC days where a date is given, as documented.

    The SDK sends a date as its midnight, so a midnight counts as the date; `DateSent=` is always a day.
    """
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise refusal(20001, name) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    moment = midnight if name == "DateSent" else moment
    end = moment + (timedelta(days=1) if moment == midnight else timedelta(seconds=1))
    least, most = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    return {"DateSent": (moment, end), "DateSent<": (least, end), "DateSent>": (moment, most)}.get(name, (least, most))


def page(found: Sequence[Message], query: Mapping[str, str], account: str) -> dict[str, Any]:
    """One page. A PageToken names the last message of the page before, so new texts do not shift what follows."""
    size, number = _whole(query, "PageSize", 50, 1, 1000), _whole(query, "Page", 0, 0, 10**6)
    start = _start(found, query, size, number)
    shown = found[start : start + size]
    more = start + size < len(found)
    here = f"/{API_VERSION}/Accounts/{account}/Messages.json"

    def uri(at: int, token: str | None) -> str:
        kept = {name: value for name, value in query.items() if name not in {"Page", "PageSize", "PageToken"}}
        return f"{here}?{urlencode({**kept, 'PageSize': size, 'Page': at, **({'PageToken': token} if token else {})})}"

    before = found[start - size - 1].sid if start > size else None
    return {
        "messages": [resource(message, account) for message in shown],
        "page": number,
        "page_size": size,
        "start": start,
        "end": start + max(len(shown) - 1, 0),
        "uri": uri(number, query.get("PageToken")),
        "first_page_uri": uri(0, None),
        "previous_page_uri": uri(number - 1, f"PA{before}" if before else None) if number else None,
        "next_page_uri": uri(number + 1, f"PA{shown[-1].sid}") if more else None,
    }


def _start(found: Sequence[Message], query: Mapping[str, str], size: int, number: int) -> int:
    token = query.get("PageToken")
    if not token:
        return size * number
    places = [place for place, message in enumerate(found) if f"PA{message.sid}" == token]
    if not places:
        raise refusal(20001, "PageToken")
    return places[0] + 1


def _whole(query: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    raw = query.get(name, "")
    if not raw:
        return default
    if not raw.isascii() or not raw.isdigit() or int(raw) < least:
        raise refusal(20001, name)
    return min(int(raw), most)


def _rfc2822(moment: datetime) -> str:
    return format_datetime(moment.replace(microsecond=0))

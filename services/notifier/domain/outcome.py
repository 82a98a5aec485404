"""What one attempt to send came to, read from the provider's answer or from the way it failed. Pure.

Source of the classes: reliability.md 2.2, after Twilio's error dictionary. Only two kinds prove that nothing left (`not-begun`,
`not-sent`); whatever is not understood is `unknown`, and an unknown one is never sent again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

OutcomeKind = Literal["accepted", "rejected", "not-begun", "not-sent", "channel", "unknown"]

SID = re.compile(r"[A-Z]{2}[0-9a-fA-F]{32}")
#: 20003 wrong credentials, 20005 account not active, 30002 account suspended: every send would fare the same.
CHANNEL_CODES = frozenset({20003, 20005, 20006, 30002})
#: 20429 too many requests, 21611 sender's queue full, 63038 daily cap, 60728 hourly cap: documented as not processed.
LATER_CODES = frozenset({20429, 21611, 63038, 60728})
#: 21211 invalid, 21614 not a mobile, 21635 landline; by callback 30005 unknown or inactive, 30006 landline.
NUMBER_CODES: Mapping[int, Literal["invalid", "undelivered"]] = {
    21211: "invalid",
    21614: "invalid",
    21635: "invalid",
    30005: "undelivered",
    30006: "invalid",
}
OPTED_OUT_CODE = 21610
#: Ours to mend: permission, sender, body, callback address.
CONFIGURATION_CODES = frozenset({21408, 21603, 21606, 21609, 21612, 21617, 21911, 30034, 20001})


@dataclass(frozen=True)
class Outcome:
    """`accepted` has a SID and the provider's status; `rejected` and `channel` a code; `not-sent` perhaps how long to wait."""

    kind: OutcomeKind
    sid: str | None = None
    status: str = ""
    code: int | None = None
    retry_after: timedelta | None = None


NOT_BEGUN = Outcome("not-begun")
NOT_SENT = Outcome("not-sent")
UNKNOWN = Outcome("unknown")


def of_answer(status: int, answer: Mapping[str, Any], retry_after: str | None = None) -> Outcome:
    """The outcome of an HTTP answer: its status, its JSON (empty where it was none) and its Retry-After header (seconds)."""
    sid, code = answer.get("sid"), answer.get("code")
    code = code if isinstance(code, int) else None
    if 200 <= status < 300:
        known = isinstance(sid, str) and SID.fullmatch(sid) is not None
        return Outcome("accepted", sid=sid, status=str(answer.get("status") or "queued")) if known else UNKNOWN
    if status == 429 or code in LATER_CODES:
        return Outcome("not-sent", code=code, retry_after=_seconds(retry_after))
    if status in {401, 403} or code in CHANNEL_CODES:
        return Outcome("channel", code=code)
    # A 4xx without the provider's code may be a proxy's, which knows nothing of what happened behind it.
    return Outcome("rejected", code=code) if 400 <= status < 500 and status != 408 and code is not None else UNKNOWN


def _seconds(header: str | None) -> timedelta | None:
    return timedelta(seconds=int(header)) if header and header.isascii() and header.isdigit() and len(header) < 6 else None


def retry_in(tries: int, outcome: Outcome, first: timedelta, at_most: timedelta, spread: float) -> timedelta:
    """How long a provably unsent text waits: doubling from `first`, at most `at_most`, up to a quarter more by `spread` (0..1),
    and not less than the provider asked for."""
    doubled = min(first * (1 << min(tries, 16)), at_most)
    return max(doubled * (1 + spread / 4), outcome.retry_after or timedelta())

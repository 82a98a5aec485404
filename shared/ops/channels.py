"""The ways to a person that do not depend on Twilio: a webhook, e-mail, or both. Which ones is a matter of settings."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol
from uuid import UUID

import aiohttp

from shared.ops.kinds import runbook, words
from shared.ops.notice import Notice
from shared.settings import Settings

#: Machine seconds for everything that one call of `deliver` does: far below the minute after which a pass counts as stuck.
PATIENCE = 8.0

#: Why a channel did not take a notice. The doctor has a sentence for each.
Why = Literal[
    "unreachable",
    "no-answer",
    "certificate-refused",
    "no-encryption",
    "no-login",
    "login-refused",
    "sender-refused",
    "recipients-refused",
    "content-refused",
    "turned-away",
    "status",
    "redirect",
]


@dataclass(frozen=True)
class Outcome:
    """What became of one notice on one channel. `code` is the server's own: HTTP's or SMTP's."""

    state: Literal["delivered", "later", "refused"]
    why: Why | None = None
    code: int | None = None


DELIVERED = Outcome("delivered")
Outcomes = Mapping[UUID, Outcome]


class Channel(Protocol):
    """One way. `deliver` raises nothing that has to do with the other side: it says it."""

    name: str

    async def deliver(self, notices: Sequence[Notice]) -> Outcomes: ...


def as_json(notice: Notice) -> dict[str, object]:
    """The webhook's body. `text` is what chat services show."""
    return {
        "service": notice.service,
        "kind": notice.kind,
        "notice_id": str(notice.id),
        "at": notice.at.isoformat(),
        "details": dict(notice.details),
        "text": f"{words(notice.kind)} ({notice.service}; see {runbook(notice.kind)})",
    }


class Webhook:
    """A JSON POST for each notice, all that are due at once together."""

    name = "webhook"

    def __init__(self, url: str, patience: float = PATIENCE) -> None:
        self._url = url
        self._timeout = aiohttp.ClientTimeout(total=patience, connect=min(3.0, patience))

    async def deliver(self, notices: Sequence[Notice]) -> Outcomes:
        async with aiohttp.ClientSession(timeout=self._timeout) as session:
            posts = [self._post(session, notice) for notice in notices]
            return dict(zip((notice.id for notice in notices), await asyncio.gather(*posts), strict=True))

    async def _post(self, session: aiohttp.ClientSession, notice: Notice) -> Outcome:
        try:
            # A redirect would be followed with a GET, and a login page answers that with 200.
            async with session.post(self._url, json=as_json(notice), allow_redirects=False) as answer:
                return _judged(answer.status)
        except TimeoutError:
            return Outcome("later", "no-answer")
        except aiohttp.ClientConnectorCertificateError:
            return Outcome("later", "certificate-refused")
        except (aiohttp.ClientError, OSError):
            return Outcome("later", "unreachable")


def _judged(status: int) -> Outcome:
    if status < 300:
        return DELIVERED
    return Outcome("later", "redirect" if status < 400 else "status", status)


def channels_of(settings: Settings) -> tuple[Channel, ...]:
    """Those that are set; none: the log is the channel."""
    from shared.ops.mail import Mail  # noqa: PLC0415  it needs this module

    found: list[Channel] = []
    if settings.ops_webhook_url is not None:
        found.append(Webhook(settings.ops_webhook_url))
    if settings.ops_mail is not None:
        found.append(Mail(settings.ops_mail))
    return tuple(found)

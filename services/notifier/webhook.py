"""What the provider posts to us: the one door through which it comes in.

A webhook is believed for its signature alone, over the *configured* public address (never one rebuilt from forwarded headers),
the path, the query and every form field as it was sent. Two tokens are taken while one is being rotated out. What does not
pass is answered 403 without a word.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlparse

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from twilio.request_validator import RequestValidator, add_port, remove_port

from shared.settings import Settings

BODY_AT_MOST = 64 * 1024
_FIELDS_AT_MOST = 200
SIGNATURE = "X-Twilio-Signature"


class Refused(HTTPException):
    """Answered without a body: a stranger learns nothing."""

    def __init__(self, status: int) -> None:
        super().__init__(status_code=status)


def _fields(body: bytes) -> FormData:
    """A urlencoded form with every field as often as it came; blank values and white space count for the signature."""
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=_FIELDS_AT_MOST)
        return FormData([(name, value) for name, value in pairs])
    except ValueError:
        raise Refused(403) from None


class Webhooks:
    """Checks that a request is the provider's and about our account."""

    def __init__(self, *, public_base: str, account_sid: str, tokens: Sequence[str]) -> None:
        self._public_base = public_base.rstrip("/")
        self._account_sid = account_sid
        self._validators = [RequestValidator(token) for token in tokens]

    @classmethod
    def from_settings(cls, settings: Settings) -> Webhooks:
        tokens = (settings.twilio_auth_token, settings.twilio_auth_token_previous)
        return cls(
            public_base=settings.public_base_url or "",
            account_sid=settings.twilio_account_sid or "",
            tokens=[token for token in tokens if token],
        )

    async def form(self, request: Request) -> FormData:
        """The signed fields. Raises Refused: 413 for too long a body, 403 for everything else that is not right."""
        form = _fields(await self._body(request))
        if not self._signed(request, form):
            raise Refused(403)
        if not hmac.compare_digest(str(form.get("AccountSid", "")).encode(), self._account_sid.encode()):
            raise Refused(403)
        return form

    @staticmethod
    async def _body(request: Request) -> bytes:
        """Reads in pieces and stops at the limit; the length that a sender claims is not trusted."""
        pieces, length = list[bytes](), 0
        async for piece in request.stream():
            length += len(piece)
            if length > BODY_AT_MOST:
                raise Refused(413)
            pieces.append(piece)
        return b"".join(pieces)

    def _signed(self, request: Request, form: FormData) -> bool:
        given = request.headers.get(SIGNATURE, "")
        query = f"?{request.url.query}" if request.url.query else ""
        address = f"{self._public_base}{request.url.path}{query}"
        # The whole multi-dict: with dict(form) a repeated field would not validate.
        return any(self._matches(validator, address, form, given) for validator in self._validators)

    @staticmethod
    def _matches(validator: RequestValidator, address: str, form: FormData, given: str) -> bool:
        """The provider signs some addresses with their port and some without (see the SDK), mostly as they were told to it: the
        other way is only tried where that does not match. Compared in constant time."""
        parts = urlparse(address)
        ways = (remove_port, add_port) if parts.port is None else (add_port, remove_port)
        expected = (validator.compute_signature(way(parts), form) for way in ways)
        return bool(given) and any(hmac.compare_digest(each.encode(), given.encode("utf-8", "replace")) for each in expected)

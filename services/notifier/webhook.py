"""What the provider posts to us: the one door through which it comes in.

A webhook is believed for its signature alone, over the *configured* public address (never one rebuilt from forwarded headers),
the path, the query and every form field as it was sent. Two tokens are taken while one is being rotated out. What does not
pass is answered 403 without a word.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from twilio.request_validator import RequestValidator

from shared.settings import Settings

BODY_AT_MOST = 64 * 1024
SIGNATURE = "X-Twilio-Signature"


class Refused(HTTPException):
    """Answered without a body: a stranger learns nothing."""

    def __init__(self, status: int) -> None:
        super().__init__(status_code=status)


class Webhooks:
    """Checks that a request is the provider's and about our account."""

    def __init__(self, *, public_base: str, account_sid: str, tokens: Sequence[str]) -> None:
        self._public_base = public_base.rstrip("/")
        self._account_sid = account_sid
        self._validators = [RequestValidator(token) for token in tokens]

    @classmethod
    def from_settings(cls, settings: Settings) -> Webhooks:
        tokens = (settings.twilio_auth_token, getattr(settings, "twilio_auth_token_previous", None))
        return cls(
            public_base=settings.public_base_url or "",
            account_sid=settings.twilio_account_sid or "",
            tokens=[token for token in tokens if token],
        )

    async def form(self, request: Request) -> FormData:
        """The signed fields. Raises Refused: 413 for too long a body, 403 for everything else that is not right."""
        await self._limit(request)
        form = await request.form()
        if any(not isinstance(value, str) for value in form.values()) or not self._signed(request, form):
            raise Refused(403)
        if not hmac.compare_digest(str(form.get("AccountSid", "")).encode(), self._account_sid.encode()):
            raise Refused(403)
        return form

    async def _limit(self, request: Request) -> None:
        """Reads the body in pieces and stops at the limit; the length that a sender claims is not trusted."""
        pieces, length = [], 0
        async for piece in request.stream():
            length += len(piece)
            if length > BODY_AT_MOST:
                raise Refused(413)
            pieces.append(piece)
        # Starlette's own cache: form() below parses what has been read here.
        request._body = b"".join(pieces)  # noqa: SLF001

    def _signed(self, request: Request, form: FormData) -> bool:
        given = request.headers.get(SIGNATURE, "")
        query = f"?{request.url.query}" if request.url.query else ""
        address = f"{self._public_base}{request.url.path}{query}"
        # The whole multi-dict: with dict(form) a repeated field would not validate. Every token is tried, in constant time.
        return any([self._matches(validator, address, form, given) for validator in self._validators])

    @staticmethod
    def _matches(validator: RequestValidator, address: str, form: FormData, given: str) -> bool:
        expected = validator.compute_signature(address, form)
        return bool(given) and hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace"))

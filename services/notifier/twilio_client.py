"""Our own client of Twilio's Messages resource: one POST, never repeated, with an explicit limit on every wait.

The SDK's async client has neither time-outs nor a way to keep it from retrying (reliability.md 0.2, 0.3), so the hot path does
not use it. Fetch and list, which may be repeated, do, over a transport of ours. Neither follows redirects, reads proxies from the
environment, or logs an address or a body.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from datetime import timedelta
from time import monotonic
from typing import Any

import aiohttp
from twilio.http import AsyncHttpClient
from twilio.http.response import Response as TwilioResponse
from twilio.rest import Client

from services.notifier.domain import outcome
from services.notifier.domain.outcome import Outcome
from services.notifier.storage.attempts import Letter
from shared.defaults import default
from shared.settings import Settings

_TOTAL: timedelta = default("notifier", "http_total")
_BEGIN_WITHIN: timedelta = default("notifier", "begin_within")
_CONNECTIONS: int = default("notifier", "connections")
#: Shorter than any load balancer's: a connection that the other side is closing would turn a send into doubt.
_KEEP_ALIVE = 10.0
_ANSWER_AT_MOST = 256 * 1024
_SDK_HOST = "https://api.twilio.com"


class Provider:
    """One process's connection to the provider. Make it inside the running loop; `close` it at the end."""

    def __init__(self, settings: Settings) -> None:
        self._base = settings.twilio_api_base.rstrip("/")
        self._account = settings.twilio_account_sid or ""
        self._token = settings.twilio_auth_token or ""
        self._public_base = (settings.public_base_url or "").rstrip("/")
        self._headers = {"Authorization": aiohttp.encode_basic_auth(self._account, self._token)}
        self._made: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        if self._made is None or self._made.closed:
            connector = aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=_KEEP_ALIVE)
            self._made = aiohttp.ClientSession(connector=connector, headers=self._headers, trust_env=False)
        return self._made

    async def close(self) -> None:
        if self._made is not None:
            await self._made.close()

    async def send(self, letter: Letter, *, committed_at: float) -> Outcome:
        """One POST for one letter. `committed_at` is the monotonic time of the gate's commit: a request not begun (connected)
        within 2 s of it is not begun. Never raises for what the network or the provider does: that is the outcome."""
        left = committed_at + _BEGIN_WITHIN.total_seconds() - monotonic()
        if left <= 0:
            return outcome.NOT_BEGUN
        url = f"{self._base}/2010-04-01/Accounts/{self._account}/Messages.json"
        try:
            async with self.session.post(url, data=self._form(letter), timeout=_limits(left), allow_redirects=False) as response:
                answer = await _json(response)
                return outcome.of_answer(response.status, answer, response.headers.get("Retry-After"))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            # DNS, refused, TLS, no connection in time: not a byte of the request has left.
            return outcome.NOT_SENT
        except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError, OSError):
            # The request may have arrived. A text is never sent again on doubt.
            return outcome.UNKNOWN

    def _form(self, letter: Letter) -> Mapping[str, str]:
        return {
            "To": letter.to,
            "From": letter.sender,
            "Body": letter.body,
            "StatusCallback": f"{self._public_base}/notifier/twilio/status/{letter.attempt_id}",
            "ValidityPeriod": str(letter.validity_seconds),
        }

    def lookup(self) -> Client:
        """The SDK's client, for fetch and list, over this session."""
        return Client(self._account, self._token, account_sid=self._account, http_client=_Transport(self))

    async def get(self, url: str, params: Mapping[str, Any]) -> tuple[int, str]:
        """One GET under our limits, wherever the SDK thinks that the provider is."""
        address = self._base + url.removeprefix(_SDK_HOST) if url.startswith(_SDK_HOST) else url
        if not address.startswith(self._base + "/"):
            raise aiohttp.InvalidURL("an address that is not the provider's")
        plain = {name: str(value) for name, value in params.items() if value is not None}
        async with self.session.get(
            address, params=plain, timeout=_limits(_BEGIN_WITHIN.total_seconds()), allow_redirects=False
        ) as response:
            return response.status, await response.text()


def _limits(connect: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(
        total=_TOTAL.total_seconds(), connect=connect, sock_connect=connect, sock_read=_TOTAL.total_seconds()
    )


async def _json(response: aiohttp.ClientResponse) -> Mapping[str, Any]:
    """The answer's JSON object; empty where it is none. A read that fails is the caller's doubt, not an empty answer."""
    raw = await response.content.read(_ANSWER_AT_MOST)
    while not response.content.at_eof() and len(raw) < _ANSWER_AT_MOST:
        raw += await response.content.read(_ANSWER_AT_MOST - len(raw))
    try:
        parsed = json.loads(raw)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


class _Transport(AsyncHttpClient):  # type: ignore[misc]  # the SDK has no types
    """Lets the SDK read through our session. It can only GET: nothing that sends goes this way."""

    def __init__(self, provider: Provider) -> None:
        super().__init__(logging.getLogger("services.notifier.twilio"), is_async=True)
        self._provider = provider

    async def request(
        self,
        method: str,
        uri: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  the SDK's signature; ours decides
        allow_redirects: bool = False,
    ) -> TwilioResponse:
        if method.upper() != "GET":
            raise ValueError("only looking, never sending")
        status, text = await self._provider.get(uri, params or {})
        return TwilioResponse(status, text)

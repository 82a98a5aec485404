"""One webhook request as Twilio makes it: signed, form-encoded, 15 s at most, and what it makes of the answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from urllib.parse import parse_qs, urldefrag, urlencode
from uuid import NAMESPACE_URL, uuid5
from xml.etree import ElementTree as ET

import aiohttp
from twilio.request_validator import RequestValidator
from yarl import URL

from steadypath.phone.settings import PhoneSettings
from steadypath.phone.state import Message, Step
from steadypath.phone.wire import API_VERSION, segments

#: Machine time. Twilio waits 15 s for an answer and 5 s for a connection at most ("Webhooks: connection overrides").
TIMEOUT = aiohttp.ClientTimeout(total=15, sock_connect=5)
#: Clinical time until the one retry that Twilio makes by default.
RETRY_AFTER = timedelta(seconds=15)
INBOUND_PATH = "/notifier/twilio/inbound"


@dataclass(frozen=True, slots=True)
class Answer:
    """`http` is None where no answer came. `failure` is Twilio's retry class (ct, rt, 5xx, 4xx) or `twiml`; None is success."""

    http: int | None
    failure: str | None = None
    error: str | None = None
    texts: tuple[str, ...] = ()


def tells_when_it_left() -> aiohttp.TraceConfig:
    """For the session that `Webhooks` is given: sets a request's event as its body goes to the socket."""

    async def left(_: aiohttp.ClientSession, context: SimpleNamespace, __: aiohttp.TraceRequestChunkSentParams) -> None:
        if context.trace_request_ctx is not None:
            context.trace_request_ctx.set()

    config = aiohttp.TraceConfig()
    config.on_request_chunk_sent.append(left)
    return config


class Webhooks:
    """Signs with the account's token over the public URL, and sends there (or to the inner address of a container)."""

    def __init__(self, settings: PhoneSettings, session: aiohttp.ClientSession) -> None:
        self._settings = settings
        self._session = session
        self._signer = RequestValidator(settings.auth_token)

    def url_of(self, step: Step, message: Message) -> str:
        """The address as the client knows it, with Twilio's connection overrides (#rc=...) if it has any."""
        if step.kind == "inbound":
            return self._settings.public_base + INBOUND_PATH
        return message.status_callback or ""

    async def post(self, step: Step, message: Message, left: asyncio.Event) -> Answer:
        """One attempt; `left` is set once the request is out. Never raises for what the other side does."""
        url = urldefrag(self.url_of(step, message)).url
        form = self._form(step, message)
        headers = {
            "X-Twilio-Signature": self._signer.compute_signature(url, form),
            "I-Twilio-Idempotency-Token": str(uuid5(NAMESPACE_URL, f"{step.sid}/{step.seq}")),
            "User-Agent": "TwilioProxy/1.1",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        try:
            async with self._session.post(
                URL(self._route(url), encoded=True),
                data=urlencode(form).encode(),
                headers=headers,
                timeout=TIMEOUT,
                trace_request_ctx=left,
            ) as response:
                return _judge(step, response.status, response.content_type, await response.text())
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            return Answer(None, "ct", "could not connect (11205)")
        except TimeoutError:
            return Answer(None, "rt", "no answer within 15 s (11200)")
        except (aiohttp.ClientError, UnicodeDecodeError, ValueError) as error:
            return Answer(None, "ct", f"no usable answer: {type(error).__name__} (11200)")

    def _route(self, url: str) -> str:
        inner, public = self._settings.webhook_base, self._settings.public_base
        return inner.rstrip("/") + url.removeprefix(public) if inner and url.startswith(public) else url

    def _form(self, step: Step, message: Message) -> dict[str, str]:
        form = {
            "MessageSid": message.sid,
            "SmsSid": message.sid,
            "AccountSid": self._settings.account_sid,
            "From": message.sender,
            "To": message.to,
            "ApiVersion": API_VERSION,
        }
        if step.kind == "inbound":
            form |= {"SmsMessageSid": message.sid, "SmsStatus": "received", "Body": message.body, "NumMedia": "0"}
            form["NumSegments"] = str(segments(message.body))
            return form | ({"OptOutType": message.opt_out_type} if message.opt_out_type else {})
        form |= {"MessageStatus": step.status, "SmsStatus": step.status}
        if message.service_sid:
            form["MessagingServiceSid"] = message.service_sid
        if step.code is not None:
            form["ErrorCode"] = str(step.code)
        return form


def may_retry(url: str, failure: str, attempts_before: int) -> bool:
    """Twilio's default is one retry where it could not connect or got a 5xx; `#rc=0..5&rp=...` in the URL overrides it."""
    overrides = parse_qs(urldefrag(url).fragment)
    count = overrides.get("rc", ["1"])[0]
    allowed = min(int(count), 5) if count.isdecimal() else 1
    policy = ",".join(overrides.get("rp", ["ct,5xx"])).split(",")
    return attempts_before < allowed and (failure in policy or "all" in policy)


def _judge(step: Step, status: int, content_type: str, body: str) -> Answer:
    if not 200 <= status < 300:
        return Answer(status, "5xx" if status >= 500 else "4xx", f"answered {status} (11200)")
    if step.kind != "inbound" or not body.strip():
        return Answer(status)
    if content_type == "text/plain":
        return Answer(status, texts=(body,))
    if content_type not in {"text/xml", "application/xml", "text/html"}:
        return Answer(status, "twiml", "content type is not TwiML's (12300)")
    try:
        return Answer(status, texts=read_twiml(body))
    except ValueError as error:
        return Answer(status, "twiml", str(error))


def read_twiml(body: str) -> tuple[str, ...]:
    """The texts that a TwiML document asks for. Raises ValueError with Twilio's code for what it would not take."""
    try:
        root = ET.fromstring(body)  # noqa: S314  the clinic's own service on loopback; expat >= 2.4.1 bounds entity expansion
    except ET.ParseError:
        raise ValueError("TwiML could not be parsed (12100)") from None
    if root.tag != "Response":
        raise ValueError("TwiML must have <Response> at its root (12200)")
    unknown = [verb.tag for verb in root if verb.tag not in {"Message", "Redirect", "Sms"}]
    if unknown:
        raise ValueError("TwiML holds a verb that messages do not know (12200)")
    texts = ("".join(verb.itertext()).strip() for verb in root if verb.tag != "Redirect")
    return tuple(text for text in texts if text)

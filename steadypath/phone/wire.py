"""Twilio's Messages resource as it looks on the wire: field names, checks, error bodies, segments. Pure.

The list of form fields is that of twilio-oai's `CreateMessage` (and SDK 9.13); the codes are Twilio's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

API_VERSION = "2010-04-01"
_FIELDS = """
    To From MessagingServiceSid Body ContentSid ContentVariables MediaUrl StatusCallback ApplicationSid MaxPrice ProvideFeedback
    Attempt ValidityPeriod ForceDelivery ContentRetention AddressRetention SmartEncoded PersistentAction TrafficType ShortenUrls
    ScheduleType SendAt SendAsMms RiskCheck FallbackFrom MessageIntent
"""
FIELDS = frozenset(_FIELDS.split())
MAX_BODY = 1600
E164 = re.compile(r"\+[1-9]\d{6,14}")
SENDER = re.compile(r"\+[1-9]\d{6,14}|\d{5,6}")
SERVICE = re.compile(r"MG[0-9a-f]{32}")

#: Twilio's test numbers (magic): what each refuses, by whether it stands in To or in From.
MAGIC_TO = {"+15005550001": 21211, "+15005550002": 21612, "+15005550003": 21408, "+15005550004": 21610, "+15005550009": 21614}
MAGIC_FROM = {"+15005550001": 21212, "+15005550007": 21606, "+15005550008": 21611}

_STATUS = {20003: 401, 20005: 401, 20403: 403, 20404: 404, 20004: 405, 20429: 429, 20500: 500, 20503: 503}
_SAYS = {
    20001: "The parameter '{field}' is not a parameter of this resource.",
    20003: "Authentication Error - invalid username",
    20004: "Method not allowed",
    20404: "The requested resource {field} was not found",
    20429: "Too Many Requests",
    20500: "An internal server error has occurred",
    21211: "Invalid 'To' Phone Number: {field}",
    21212: "Invalid From Number (caller ID): {field}",
    21266: "'To' and 'From' number cannot be the same: {field}",
    21408: "Permission to send an SMS has not been enabled for the region indicated by the 'To' number: {field}",
    21602: "Message body is required.",
    21603: "A 'From' phone number is required.",
    21604: "A 'To' phone number is required.",
    21606: "The From phone number {field} is not a valid, SMS-capable inbound phone number or short code for your account.",
    21609: "The 'StatusCallback' URL {field} is not a valid URL.",
    21610: "Attempt to send to unsubscribed recipient",
    21611: "This 'From' number has exceeded the maximum number of queued messages",
    21612: "The 'To' phone number {field} is not currently reachable using the 'From' phone number",
    21614: "'To' number {field} is not a valid mobile number",
    21617: "The concatenated message body exceeds the 1600 character limit",
    21701: "The Messaging Service does not exist: {field}",
    21911: "ValidityPeriod {field} is not an integer from 1 to 36000",
}


class Refusal(Exception):
    """A request that Twilio would not take. `code` is Twilio's, `status` the HTTP status that goes with it."""

    def __init__(self, code: int, text: str, status: int) -> None:
        super().__init__(code)
        self.code = code
        self.text = text
        self.status = status

    def body(self) -> dict[str, Any]:
        """Twilio's error body."""
        return {
            "code": self.code,
            "message": self.text,
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.status,
        }


def refusal(code: int, field: str = "") -> Refusal:
    """Twilio's words and HTTP status for a code; a code without a sentence here gets the general one."""
    return Refusal(code, _SAYS.get(code, "The request was refused").format(field=field), _STATUS.get(code, 400))


@dataclass(frozen=True, slots=True)
class Create:
    """A checked request to send. `sender` is None where a messaging service is to choose it."""

    to: str
    sender: str | None
    service_sid: str | None
    body: str
    status_callback: str | None
    validity_seconds: int


def read_create(pairs: Iterable[tuple[str, str]]) -> Create:
    """Checks a form as Twilio does. Raises `Refusal` with Twilio's code, in Twilio's order: To, From, Body, the rest."""
    form: dict[str, str] = {}
    for name, value in pairs:
        if name not in FIELDS:
            raise refusal(20001, name)
        form.setdefault(name, value)
    to = _number(form, "To", missing=21604, wrong=21211)
    service = form.get("MessagingServiceSid") or None
    sender = form.get("From") or None
    _check_sender(sender, service, to)
    body = form.get("Body", "")
    if not body and not form.get("ContentSid") and not form.get("MediaUrl"):
        raise refusal(21602)
    if len(body) > MAX_BODY:
        raise refusal(21617)
    return Create(to, sender, service, body, _callback(form), _validity(form.get("ValidityPeriod", "36000")))


def _number(form: Mapping[str, str], name: str, *, missing: int, wrong: int) -> str:
    value = form.get(name, "")
    if not value:
        raise refusal(missing)
    if not is_number(value):
        raise refusal(wrong, value)
    if value in MAGIC_TO:
        raise refusal(MAGIC_TO[value], value)
    return value


def _check_sender(sender: str | None, service: str | None, to: str) -> None:
    if sender is None and service is None:
        raise refusal(21603)
    if service is not None and not SERVICE.fullmatch(service):
        raise refusal(21701, service)
    if sender is None:
        return
    if sender in MAGIC_FROM:
        raise refusal(MAGIC_FROM[sender], sender)
    if not SENDER.fullmatch(sender):
        raise refusal(21212, sender)
    if sender == to:
        raise refusal(21266, to)


def _callback(form: Mapping[str, str]) -> str | None:
    url = form.get("StatusCallback")
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise refusal(21609, url)
    return url


def _validity(raw: str) -> int:
    if not raw.isascii() or not raw.isdigit() or not 1 <= int(raw) <= 36000:
        raise refusal(21911, raw)
    return int(raw)


def is_number(text: str) -> bool:
    """E.164, and for country code 1 exactly ten digits after it."""
    return bool(E164.fullmatch(text)) and (not text.startswith("+1") or len(text) == 12)


_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_TWO = frozenset("^{}\\[~]|€\f")


def segments(body: str) -> int:
    """How many SMS parts a body takes: GSM-7 160 alone or 153 a part, else UCS-2 70 or 67 (3GPP TS 23.038, 23.040)."""
    if all(char in _GSM or char in _GSM_TWO for char in body):
        units, alone, part = len(body) + sum(char in _GSM_TWO for char in body), 160, 153
    else:
        units, alone, part = len(body.encode("utf-16-be")) // 2, 70, 67
    return 1 if units <= alone else -(-units // part)

"""Where ops mail goes. Without a host there is no mail; with one, a sender and recipients are needed."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeVar

T = TypeVar("T")
Encryption = Literal["starttls", "tls", "none"]
_PORTS: dict[Encryption, int] = {"starttls": 587, "tls": 465, "none": 25}
_ADDRESS = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")


class Reader(Protocol):
    """What reads one setting, as shared.settings does."""

    def optional(self, name: str, parse: Callable[[str], T]) -> T | None: ...

    def given(self, name: str, parse: Callable[[str], T], default: T) -> T: ...

    def needed(self, name: str, parse: Callable[[str], T]) -> T: ...


@dataclass(frozen=True)
class MailSettings:
    """One mail server. `repr` shows neither the password nor an address."""

    host: str
    port: int
    encryption: Encryption
    sender: str = field(repr=False)
    recipients: tuple[str, ...] = field(repr=False)
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    #: PEM of the authority to trust in place of the machine's own.
    authority: str | None = field(default=None, repr=False)


def mail_from(read: Reader, secret: Callable[[str], str], port: Callable[[str], int]) -> MailSettings | None:
    """None where no host is set. Raises what `read` raises for the first setting that is missing or bad."""
    host = read.optional("OPS_SMTP_HOST", _mail_host)
    if host is None:
        return None
    user = read.optional("OPS_SMTP_USER", secret)
    parse: Callable[[str], Encryption] = _encryption if user is None else _encrypted
    encryption = read.optional("OPS_SMTP_TLS", parse) or "starttls"
    return MailSettings(
        host=host,
        port=read.given("OPS_SMTP_PORT", port, _PORTS[encryption]),
        encryption=encryption,
        sender=read.needed("OPS_SMTP_FROM", _address),
        recipients=read.needed("OPS_SMTP_TO", _addresses),
        user=user,
        password=read.needed("OPS_SMTP_PASSWORD", _password) if user is not None else None,
        authority=read.optional("OPS_SMTP_CA", _authority),
    )


def _mail_host(raw: str) -> str:
    """a mail server's host name or address, without port"""
    if re.fullmatch(r"[A-Za-z0-9.-]{1,253}|[0-9a-fA-F:]{2,45}", raw) is None:
        raise ValueError
    return raw


def _encryption(raw: str) -> Encryption:
    """starttls, tls or none"""
    accepted: tuple[Encryption, ...] = ("starttls", "tls", "none")
    if raw not in accepted:
        raise ValueError
    return accepted[accepted.index(raw)]


def _encrypted(raw: str) -> Encryption:
    """starttls or tls: with STEADYPATH_OPS_SMTP_USER set there is a password, which never goes in the clear"""
    if raw == "none":
        raise ValueError
    return _encryption(raw)


def _address(raw: str) -> str:
    """one e-mail address such as steadypath@clinic.example"""
    if _ADDRESS.fullmatch(raw) is None:
        raise ValueError
    return raw


def _addresses(raw: str) -> tuple[str, ...]:
    """e-mail addresses, several with commas"""
    return tuple(_address(each.strip()) for each in raw.split(","))


def _password(raw: str) -> str:
    """the mail account's password in printable characters; best as a file, STEADYPATH_OPS_SMTP_PASSWORD_FILE"""
    if not raw.isprintable() or not 1 <= len(raw) <= 512:
        raise ValueError
    return raw


def _authority(raw: str) -> str:
    """certificates in PEM format; best given as a file, STEADYPATH_OPS_SMTP_CA_FILE"""
    try:
        ssl.create_default_context(cadata=raw)
    except ssl.SSLError:
        raise ValueError from None
    return raw

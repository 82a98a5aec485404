"""A real mail server in this process, with its own certificate: it keeps what it gets, and refuses what it is told to."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, Literal, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from shared.mail_settings import MailSettings

USER, PASSWORD = "ops-account", "correct horse"
SENDER, RECIPIENTS = "steadypath@clinic.example", ("ops@clinic.example", "on-call@clinic.example")


@dataclass
class Post:
    """The mail server's side: `answers` are given in place of "OK", one for each command that asks."""

    rcpt: list[str] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    got: list[EmailMessage] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd looks for this name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        answer = self.rcpt.pop(0) if self.rcpt else "250 OK"
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - likewise
        answer = self.data.pop(0) if self.data else "250 OK"
        if answer.startswith("2"):
            content = cast("bytes", envelope.content)
            self.got.append(message_from_bytes(content, policy=default))
            self.encrypted.append(session.ssl is not None)
        return answer


@dataclass(frozen=True)
class Papers:
    """A certificate for 127.0.0.1 and the PEM that vouches for it (itself)."""

    server: ssl.SSLContext
    authority: str


def papers(folder: Path) -> Papers:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail")])
    # Before the date on which a test may stand, and after it.
    begin, end = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC), datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    file = folder / "mail.pem"
    file.write_text(pem + secret)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    return Papers(context, pem)


def _authenticate(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
    right = isinstance(data, LoginPassword) and data == LoginPassword(USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=False)


@contextmanager
def serving(post: Post, port: int, offers: Literal["starttls", "tls", "none"], context: ssl.SSLContext) -> Iterator[None]:
    """A mail server on this port of loopback, as long as the block lasts."""
    more: dict[str, Any] = {"auth_require_tls": offers == "starttls", "authenticator": _authenticate}
    if offers == "starttls":
        more["tls_context"] = context
    controller = Controller(
        post, hostname="127.0.0.1", port=port, ssl_context=context if offers == "tls" else None, ready_timeout=10, **more
    )
    controller.start()
    try:
        yield
    finally:
        controller.stop()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


def settings_for(port: int, authority: str | None, **changes: Any) -> MailSettings:
    """Settings of that server: STARTTLS and no login, unless changed."""
    fields: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "encryption": "starttls",
        "sender": SENDER,
        "recipients": RECIPIENTS,
    }
    return MailSettings(**{**fields, "authority": authority, **changes})

"""The ops channel by e-mail: what is due at once goes in one message (docs/decisions/0200). Encrypted unless the settings say
otherwise: a server without STARTTLS, or with a certificate that is not good, gets nothing."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from contextlib import asynccontextmanager
from email.message import EmailMessage
from email.policy import SMTP as SMTP_LINES
from email.utils import format_datetime, make_msgid
from typing import TYPE_CHECKING

import aiosmtplib
from aiosmtplib import SMTP, SMTPException, SMTPRecipientRefused, SMTPRecipientsRefused, SMTPResponseException

from shared.clock import machine_now
from shared.logs import log
from shared.mail_settings import MailSettings
from shared.ops.channels import DELIVERED, PATIENCE, Outcome, Outcomes, Why
from shared.ops.kinds import runbook, words
from shared.ops.notice import Notice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_FINAL = 500
_BYE_WITHIN = 1.0
#: Whose 5xx is about this very message (RFC 5321, 4.2.1): the same again would be refused again.
_OF_THE_MESSAGE: tuple[tuple[type[SMTPResponseException], Why], ...] = (
    (aiosmtplib.SMTPSenderRefused, "sender-refused"),
    (SMTPRecipientRefused, "recipients-refused"),
    (aiosmtplib.SMTPDataError, "content-refused"),
)


class _LacksError(SMTPException):
    """The server does not have what our settings ask for."""

    def __init__(self, why: Why) -> None:
        super().__init__(why)
        self.why = why


class Mail:
    """One mail server."""

    name = "smtp"

    def __init__(self, settings: MailSettings, patience: float = PATIENCE) -> None:
        self._settings = settings
        self._patience = patience

    async def deliver(self, notices: Sequence[Notice]) -> Outcomes:
        outcome = await self._send(self._message(notices))
        return dict.fromkeys((notice.id for notice in notices), outcome)

    async def _send(self, message: EmailMessage) -> Outcome:
        try:
            async with asyncio.timeout(self._patience), self._line() as client:
                content = message.as_bytes(policy=SMTP_LINES)
                refused, _said = await client.sendmail(self._settings.sender, self._settings.recipients, content)
        except (SMTPException, OSError, TimeoutError) as error:
            return _outcome(error)
        if refused:
            log.warning("ops mail refused for some", count=len(refused))
        return DELIVERED

    @asynccontextmanager
    async def _line(self) -> AsyncIterator[SMTP]:
        client = SMTP(
            hostname=self._settings.host,
            port=self._settings.port,
            use_tls=self._settings.encryption == "tls",
            # We ask for STARTTLS ourselves, to tell a server that has none from one that is not there.
            start_tls=False,
            tls_context=ssl.create_default_context(cadata=self._settings.authority),
            # What the library would look up blocks; a sender's own domain is a name that servers accept.
            local_hostname=self._domain,
            timeout=self._patience,
        )
        try:
            await client.connect()
            await self._secure(client)
            await self._log_in(client)
            yield client
            await _bye(client)
        finally:
            client.close()

    async def _secure(self, client: SMTP) -> None:
        if self._settings.encryption != "starttls":
            return
        await client.ehlo()
        if not client.supports_extension("starttls"):
            raise _LacksError("no-encryption")
        await client.starttls()

    async def _log_in(self, client: SMTP) -> None:
        if self._settings.user is None or self._settings.password is None:
            return
        await client.ehlo()
        if not client.supports_extension("auth"):
            raise _LacksError("no-login")
        await client.login(self._settings.user, self._settings.password)

    @property
    def _domain(self) -> str:
        return self._settings.sender.rpartition("@")[2]

    def _message(self, notices: Sequence[Notice]) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._settings.sender
        message["To"] = ", ".join(self._settings.recipients)
        message["Subject"] = _subject(notices)
        message["Date"] = format_datetime(machine_now())
        message["Message-ID"] = make_msgid(domain=self._domain)
        # No out-of-office note may come back (RFC 3834).
        message["Auto-Submitted"] = "auto-generated"
        message.set_content("\n\n".join(_paragraph(notice) for notice in notices) + "\n")
        return message


async def _bye(client: SMTP) -> None:
    """The message is accepted: how the line ends changes nothing about that."""
    try:
        await client.quit(timeout=_BYE_WITHIN)
    except (SMTPException, OSError) as error:
        log.failure("mail server left without a word", error, level="debug")


def _subject(notices: Sequence[Notice]) -> str:
    first = notices[0]
    more = f" (and {len(notices) - 1} more)" if len(notices) > 1 else ""
    return f"[steadypath {first.service}] {first.kind}{more}"


def _paragraph(notice: Notice) -> str:
    lines = [words(notice.kind), f"  kind: {notice.kind}", f"  service: {notice.service}", f"  at: {notice.at.isoformat()}"]
    lines += [f"  {name}: {value}" for name, value in notice.details.items()]
    return "\n".join([*lines, f"  notice: {notice.id}", f"  what to do: {runbook(notice.kind)}"])


def _outcome(error: Exception) -> Outcome:
    if isinstance(error, SMTPRecipientsRefused):
        codes = [each.code for each in error.recipients]
        return Outcome("refused" if min(codes) >= _FINAL else "later", "recipients-refused", codes[0])
    if isinstance(error, SMTPResponseException):
        return _answered(error)
    if isinstance(error, _LacksError):
        return Outcome("later", error.why)
    broken = _of_encryption(error)
    if broken is not None:
        # Anything else than the certificate: one side speaks TLS and the other does not.
        certificate = isinstance(broken, ssl.SSLCertVerificationError)
        return Outcome("later", "certificate-refused" if certificate else "no-encryption")
    if isinstance(error, TimeoutError):
        return Outcome("later", "no-answer")
    return Outcome("later", "unreachable")


def _answered(error: SMTPResponseException) -> Outcome:
    for kind, why in _OF_THE_MESSAGE:
        if isinstance(error, kind):
            return Outcome("refused" if error.code >= _FINAL else "later", why, error.code)
    why_not: Why = "login-refused" if isinstance(error, aiosmtplib.SMTPAuthenticationError) else "turned-away"
    return Outcome("later", why_not, error.code)


def _of_encryption(error: BaseException | None) -> ssl.SSLError | None:
    """The library wraps it."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error

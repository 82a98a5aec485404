"""The doctor's test of the ops channels: a real notice through each, and in plain words what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from uuid import uuid4

from shared.clock import machine_now
from shared.ops.channels import Why, channels_of
from shared.ops.notice import Notice
from shared.settings import Settings
from steadypath.finding import Finding

NAMES = {"webhook": "ops webhook", "smtp": "ops mail"}
_MAIL = "STEADYPATH_OPS_SMTP_"
_WEBHOOK = "STEADYPATH_OPS_WEBHOOK_URL"
NONE_SET = Finding(
    False,
    "none is set: nobody hears within a minute that something is stuck",
    f"set {_WEBHOOK}, or {_MAIL}HOST with {_MAIL}FROM and {_MAIL}TO, or both",
)
_ARRIVED = {
    "webhook": "took the test (a 2xx answer): look whether it is where you read it",
    "smtp": "the mail server took the test: look whether it is in the mailbox",
}

#: By channel and reason: what was found, what to do.
_ADVICE: Mapping[tuple[str, Why], tuple[str, str]] = {
    ("webhook", "unreachable"): ("nobody answers there", f"check {_WEBHOOK}: name, port, and the firewall between"),
    ("webhook", "no-answer"): ("no answer within 8 s", f"check {_WEBHOOK} and what lies between"),
    ("webhook", "certificate-refused"): (
        "its certificate is not trusted here",
        f"check the name in {_WEBHOOK}, and that its certificate is valid and of a public authority",
    ),
    ("webhook", "status"): (
        "it answered {code} and did not take the test",
        f"check {_WEBHOOK}: it must answer a JSON POST with 2xx",
    ),
    ("webhook", "redirect"): ("it answered with a redirect ({code}), which is not followed", f"set {_WEBHOOK} to where it leads"),
    ("smtp", "unreachable"): ("nobody answers there", f"check {_MAIL}HOST, {_MAIL}PORT and the firewall between"),
    ("smtp", "no-answer"): (
        "no answer within 8 s",
        f"check {_MAIL}HOST and {_MAIL}PORT; a port that speaks TLS at once (mostly 465) needs {_MAIL}TLS=tls",
    ),
    ("smtp", "certificate-refused"): (
        "its certificate is not trusted here; nothing was sent",
        f"{_MAIL}HOST must be the name in the certificate; of a clinic's own authority, give its PEM as {_MAIL}CA_FILE",
    ),
    ("smtp", "no-encryption"): (
        "it does not encrypt the way the settings ask for; nothing was sent",
        f"mostly {_MAIL}TLS=starttls goes with port 587 and tls with 465; none only for a server on this machine",
    ),
    ("smtp", "no-login"): ("it offers no login", f"leave {_MAIL}USER empty, or check {_MAIL}PORT"),
    ("smtp", "login-refused"): ("it refuses the login ({code})", f"check {_MAIL}USER and {_MAIL}PASSWORD (or its _FILE)"),
    ("smtp", "sender-refused"): (
        "it refuses the sender ({code})",
        f"set {_MAIL}FROM to an address that this account may send from",
    ),
    ("smtp", "recipients-refused"): (
        "it refuses every recipient ({code})",
        f"check {_MAIL}TO, and that the server delivers there",
    ),
    ("smtp", "content-refused"): ("it refuses the message ({code})", "its log says why: mostly a spam or size rule"),
    ("smtp", "turned-away"): ("it turned us away ({code})", "its log says why: mostly this machine's address, or it is busy"),
}


def judged(channel: str, *, delivered: bool, why: Why | None, code: int | None) -> Finding:
    """The finding on one channel."""
    if delivered or why is None:
        return Finding(delivered, _ARRIVED[channel])
    said, fix = _ADVICE[channel, why]
    return Finding(False, said.format(code=code), fix)


async def try_here(settings: Settings) -> dict[str, Finding]:
    """By the name of the check: a test sent from this machine by these settings."""
    channels = channels_of(settings)
    if not channels:
        return {"ops channel": NONE_SET}
    notice = Notice(uuid4(), "doctor", "test", machine_now(), {})
    found = {}
    for channel in channels:
        outcome = (await channel.deliver([notice]))[notice.id]
        found[NAMES[channel.name]] = judged(
            channel.name, delivered=outcome.state == "delivered", why=outcome.why, code=outcome.code
        )
    return found


def judged_there(answer: list[dict[str, object]]) -> dict[str, Finding]:
    """The same, of a test that a running service has sent: the answer of `POST /<service>/ops/test`. None set is no fault of a
    system that runs, as a demo does; it is to be seen."""
    if not answer:
        return {"ops channel": replace(NONE_SET, passed=True, note=True)}
    return {NAMES[str(each["channel"])]: _of_answer(each) for each in answer}


def _of_answer(each: Mapping[str, object]) -> Finding:
    channel, why, code = str(each["channel"]), each["why"], each["code"]
    known: dict[str, Why] = {name: name for of, name in _ADVICE if of == channel}
    return judged(
        channel,
        delivered=each["delivered"] is True,
        why=known.get(str(why)) if why is not None else None,
        code=code if isinstance(code, int) else None,
    )

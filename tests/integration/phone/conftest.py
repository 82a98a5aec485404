"""The simulator as a real process on simulated time, and a stand-in clinic that verifies every signature it gets."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from shared.clock import ClockPage
from tests.support.phone import Phone, start_phone

ACCOUNT, TOKEN = "AC" + "a" * 32, "a-token-of-this-test"
API_KEY, API_SECRET = "SK" + "b" * 32, "a-secret-of-this-test"
KEY = "launchers-key"
START = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)


@dataclass
class Hook:
    """One webhook as the clinic got it."""

    path: str
    form: dict[str, str]
    signed: bool
    token: str


class _OneByOne(HTTPServer):
    request_queue_size = 64  # a connection that finds no room comes a second later, and out of its order


class _SideBySide(ThreadingHTTPServer):
    request_queue_size = 64


@dataclass
class Clinic:
    """What the notifier is to the simulator: webhooks in, contacts and causes out. One request at a time, in the order in which
    they came, or (`side_by_side`) many. Port kept over a stop and start."""

    port: int
    hooks: list[Hook] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)  # answers to come; then 200
    twiml: str = "<Response/>"
    sender: str | None = None
    contacts: list[dict[str, Any]] = field(default_factory=list)
    causes: dict[str, dict[str, Any]] = field(default_factory=dict)
    side_by_side: bool = False
    #: A status is not answered before so many are here.
    together: threading.Barrier | None = None
    _server: HTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._server = (_SideBySide if self.side_by_side else _OneByOne)(("127.0.0.1", self.port), handler_for(self))
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def callbacks(self, sid: str) -> list[str]:
        return [hook.form["MessageStatus"] for hook in self.hooks if hook.form["MessageSid"] == sid and "/status/" in hook.path]

    def inbounds(self) -> list[dict[str, str]]:
        return [hook.form for hook in self.hooks if hook.path == "/notifier/twilio/inbound"]


def handler_for(clinic: Clinic) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = dict(parse_qsl(body, keep_blank_values=True))
            signed = RequestValidator(TOKEN).validate(clinic.url + self.path, form, self.headers["X-Twilio-Signature"])
            clinic.hooks.append(Hook(self.path, form, bool(signed), self.headers["I-Twilio-Idempotency-Token"]))
            if clinic.together is not None:
                clinic.together.wait(timeout=10)
            status = clinic.statuses.pop(0) if clinic.statuses else 200
            inbound = self.path.endswith("/inbound")
            self._answer(status, "text/xml", clinic.twiml if inbound and status == 200 else "")

        def do_GET(self) -> None:
            known = self.headers["Authorization"] == f"Bearer {KEY}"
            if known and self.path == "/notifier/contacts":
                return self._answer(200, "application/json", json.dumps(clinic.contacts))
            if known and self.path == "/notifier/clinic" and clinic.sender:
                return self._answer(200, "application/json", json.dumps({"sender": clinic.sender}))
            cause = clinic.causes.get(self.path.removeprefix("/notifier/messages/by-sid/"))
            return self._answer(200 if known and cause else 404, "application/json", json.dumps(cause))

        def _answer(self, status: int, kind: str, body: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    return Handler


class Loopback(TwilioHttpClient):  # type: ignore[misc]
    """The SDK's own client, with Twilio's host replaced; nothing leaves the machine."""

    def __init__(self, base: str) -> None:
        super().__init__(pool_connections=False, timeout=5)
        self._base = base

    def request(self, method: str, url: str, *rest: Any, **more: Any) -> Any:
        return super().request(method, url.replace("https://api.twilio.com", self._base), *rest, **more)


@dataclass
class Simulator:
    """The process, and what a test does to it."""

    port: int
    folder: Path
    clinic: Clinic
    clock: ClockPage
    process: Phone | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        env = {
            "PATH": os.environ["PATH"],
            "STEADYPATH_TWILIO_ACCOUNT_SID": ACCOUNT,
            "STEADYPATH_TWILIO_AUTH_TOKEN": TOKEN,
            "STEADYPATH_TWILIO_API_KEY_SID": API_KEY,
            "STEADYPATH_TWILIO_API_KEY_SECRET": API_SECRET,
            "STEADYPATH_PUBLIC_BASE_URL": self.clinic.url,
            "STEADYPATH_ORIGIN": self.clinic.url,
            "STEADYPATH_KEY": KEY,
            "STEADYPATH_PHONE_LEDGER": str(self.folder / "ledger.sqlite"),
            "STEADYPATH_CLOCK_PAGE": str(self.clock.path),
        }
        self.process = start_phone(self.port, env, self.folder / "phone.log")
        until(lambda: answers(self.url + "/readyz"), "the simulator is up")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def twilio(self, user: str = ACCOUNT, secret: str = TOKEN) -> Client:
        return Client(user, secret, ACCOUNT, http_client=Loopback(self.url))

    def send(self, to: str, body: str = "Time for your 8:00 reminder.", **more: Any) -> Any:
        """As the notifier: with a callback address of its own for each attempt."""
        number = len(self.ledger()) + 1
        callback = f"{self.clinic.url}/notifier/twilio/status/attempt-{number}"
        return self.twilio().messages.create(**{"to": to, "from_": LINE, "body": body, "status_callback": callback, **more})

    def get(self, path: str) -> Any:
        return httpx.get(self.url + path, timeout=20).raise_for_status().json()

    def reply(self, sender: str, body: str, to: str | None = None) -> Any:
        answer = httpx.post(self.url + "/phone/replies", json={"from": sender, "body": body, "to": to}, timeout=20)
        assert answer.status_code == 202, answer.text
        return answer.json()

    def faults(self, *faults: dict[str, Any]) -> Any:
        return httpx.put(self.url + "/phone/faults", json={"faults": list(faults)}).raise_for_status().json()["faults"]

    def step(self) -> Any:
        return httpx.post(self.url + "/phone/simulation/step", timeout=20).raise_for_status().json()

    def quiet(self) -> Any:
        """Steps until nothing is due now, as the driver does; gives the last snapshot."""
        until(lambda: self.step()["due"] == 0, "the simulator is quiet")
        return self.step()

    def forward(self, by: timedelta) -> Any:
        self.clock.set(self.clock.now() + by)
        return self.quiet()

    def thread(self, number: str) -> list[dict[str, Any]]:
        return next((t["messages"] for t in self.get("/phone/threads") if t["number"] == number), [])

    def ledger(self, after: int = 0) -> list[dict[str, Any]]:
        text = httpx.get(f"{self.url}/phone/ledger", params={"after": after}).raise_for_status().text
        return [json.loads(line) for line in text.splitlines()]


LINE, ANNA, BEN = "+14155550100", "+14155550101", "+14155550102"


def until(check: Callable[[], bool], what: str, seconds: float = 40) -> None:
    """Waits for a condition; a test that never sees it fails with its name."""
    deadline = monotonic() + seconds
    turn = threading.Event()
    while not check():
        assert monotonic() < deadline, f"not within {seconds} s: {what}"
        turn.wait(0.02)


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def clinic() -> Iterator[Clinic]:
    clinic = Clinic(free_port())
    clinic.start()
    yield clinic
    clinic.stop()


@pytest.fixture
def phone(clinic: Clinic, tmp_path: Path) -> Iterator[Simulator]:
    clock = ClockPage(tmp_path / "clock", start=START)
    simulator = Simulator(free_port(), tmp_path, clinic, clock)
    simulator.start()
    yield simulator
    simulator.kill()
    clock.close()

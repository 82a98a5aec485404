"""The operator at the command line of a running system on real time, with a pager and a mailbox: a poison record at the desk,
the switch everywhere that it shows, the doctor. Exit codes: 0 done, 1 refused or found wrong, 2 wrong usage."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer

from shared.clock import machine_now
from shared.events.base import stable_id
from shared.events.due import DueExpiredV1
from shared.identity import clinic_id_of
from shared.messaging import codec
from tests.integration.messaging.records import headers
from tests.support.mail import Post, free_port, papers, serving
from tests.support.pager import Pager, paging
from tests.support.stack import ROOT, Up, up
from tests.support.waiting import wait_until

CLINIC = clinic_id_of("clinic")
ROSA = stable_id(CLINIC, "patient", "rosa")


@dataclass
class Said:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class Desk:
    """The running system, its pager and mailbox, and the command line."""

    running: Up
    pager: Pager
    post: Post

    def run(self, *arguments: str, env: dict[str, str] | None = None) -> Said:
        state = {"XDG_STATE_HOME": str(self.running.data.parent / "state"), "STEADYPATH_URL": self.running.origin}
        done = subprocess.run(
            [sys.executable, "-m", "steadypath", *arguments],
            cwd=ROOT,
            env={**os.environ, **state, **(env or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def heard(self, kind: str) -> list[dict[str, Any]]:
        return [said for said in list(self.pager.got) if said["kind"] == kind]

    def mailed(self) -> str:
        return "".join(str(message.get_content()) for message in list(self.post.got))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("operator")
    paper, post, port = papers(folder), Post(), free_port()
    authority = folder / "authority.pem"
    authority.write_text(paper.authority)
    with paging() as pager, serving(post, port, "starttls", paper.server):
        env = {
            "STEADYPATH_OPS_WEBHOOK_URL": pager.url,
            "STEADYPATH_OPS_SMTP_HOST": "127.0.0.1",
            "STEADYPATH_OPS_SMTP_PORT": str(port),
            "STEADYPATH_OPS_SMTP_FROM": "steadypath@clinic.example",
            "STEADYPATH_OPS_SMTP_TO": "ops@clinic.example",
            "STEADYPATH_OPS_SMTP_CA_FILE": str(authority),
        }
        with up(folder / "data", "--sample", env=env) as running:
            yield Desk(running, pager, post)


def poison(desk: Desk) -> None:
    """Two records of one patient: one that nobody can read, and a good one that has to wait behind it."""
    ids = {"clinic_id": CLINIC, "patient_id": ROSA, "occurrence_id": uuid4(), "plan_version": 1}
    event = DueExpiredV1(**ids, kind="check-in-due", due_at=machine_now(), reason="outage")

    async def produce() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=desk.running.facts["kafka"])
        await producer.start()
        try:
            for value in (b'{"zebrafinch": 1}', codec.body_of(event)):
                await producer.send_and_wait("due.v1", value, key=str(ROSA).encode(), headers=headers(event), partition=0)
        finally:
            await producer.stop()

    asyncio.run(produce())


def test_the_desk_from_the_first_notice_to_the_last_decision(desk: Desk) -> None:
    empty = desk.run("parked", "list")
    assert (empty.code, empty.out, empty.err) == (0, "", "nothing is parked\n")
    poison(desk)
    wait_until(lambda: len(desk.heard("key-parked")) == 2, within=60, what="ops hears from both readers")
    wait_until(lambda: desk.mailed().count("kind: key-parked") == 2, within=60, what="and by mail")
    listed = desk.run("parked", "list").rows
    assert sorted((row["service"], row["state"]) for row in listed) == [
        ("adherence", "behind"), ("adherence", "parked"), ("notifier", "behind"), ("notifier", "parked"),
    ]  # fmt: skip
    [head] = [row for row in listed if (row["service"], row["state"]) == ("notifier", "parked")]
    assert head["event_id"] in {said["details"]["id"] for said in desk.heard("key-parked")}
    shown = desk.run("parked", "show", "notifier", head["event_id"])
    assert (shown.code, json.loads(shown.out)["behind"]) == (0, 1)
    again = desk.run("parked", "replay", "notifier", head["event_id"], "--reason", "just to see")
    assert (again.code, again.out) == (1, "")
    assert "it failed again and stays parked" in again.err
    gone = desk.run("parked", "discard", "notifier", head["event_id"], "--reason", "made by a test")
    assert (gone.code, gone.out, gone.err) == (0, "discarded; 1 behind it handled\n", "")
    twice = desk.run("parked", "discard", "notifier", head["event_id"], "--reason", "made by a test")
    assert (twice.code, twice.err) == (1, "steadypath: it has been replayed or discarded already\n")
    assert desk.run("parked", "list", "notifier").err == "nothing is parked in the notifier\n"
    [other] = [row for row in listed if (row["service"], row["state"]) == ("adherence", "parked")]
    assert desk.run("parked", "discard", "adherence", other["event_id"], "--reason", "made by a test").code == 0
    everything = "".join(each.out + each.err for each in (shown, again, gone)) + json.dumps(desk.pager.got) + desk.mailed()
    assert "zebrafinch" not in everything
    assert str(ROSA) not in everything
    notices = desk.run("notices").rows
    assert {(row["kind"], row["state"], tuple(row["delivered_by"])) for row in notices if row["kind"] == "key-parked"} == {
        ("key-parked", "delivered", ("smtp", "webhook"))
    }
    assert desk.run("notices", "--undelivered").err == "nothing is undelivered\n"


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (("parked", "show", "notifier", "abc"), 2, "the event_id that `parked list` shows is needed"),
        (("parked", "show", "notifier", str(uuid4())), 1, "nothing is parked in the notifier under this id"),
        (("parked", "replay", "notifier", str(uuid4()), "--reason", "x"), 2, "3 to 500 characters are needed"),
        (("parked", "discard", "notifier", str(uuid4())), 2, "--reason"),
        (("parked", "list", "--key", "wrong"), 1, "A valid key is needed."),
        (("switch", "off"), 2, "--reason"),
        (("switch", "on", "--everything", "--reason", "because"), 2, "--everything goes with off"),
        (("switch", "--all"), 2, "go with off and on"),
        (("switch", "sideways"), 2, "invalid choice"),
        (("switch", "--url", "http://127.0.0.1:1", "--key", "k"), 1, "does not answer"),
    ],
)
def test_what_cannot_be_is_one_line_and_the_right_code(desk: Desk, arguments: tuple[str, ...], code: int, line: str) -> None:
    said = desk.run(*arguments)
    assert (said.code, said.out, len(said.err.splitlines())) == (code, "", 1), said
    assert line in said.err


def test_the_switch_shows_everywhere_while_it_is_off(desk: Desk) -> None:
    def shown() -> tuple[bool, bool]:
        page = desk.running.call("GET", "/").body
        return "Texts are switched off" in page, bool(desk.running.call("GET", "/phone/state").body["switched_off"])

    assert desk.run("switch").out == "texts go: the switch is on\n"
    assert shown() == (False, False)
    off = desk.run("switch", "off", "--all", "--reason", "Wrong texts went out!")
    assert off.code == 0
    assert off.out.startswith("texts are OFF since ")
    assert off.out.endswith("by every clinic's switch; safe replies, opt-out confirmations and crisis alerts still go\n")
    assert desk.run("switch").out == off.out
    wait_until(lambda: shown() == (True, True), within=20, what="start page and phones show it")
    doctor = desk.run("doctor")
    assert (doctor.code, "NOTE switch: texts are OFF since" in doctor.out) == (0, True)
    wait_until(lambda: len(desk.heard("switch-turned")) == 1, within=30, what="ops hears of it")
    on = desk.run("switch", "on", "--reason", "mended")
    assert "by every clinic's switch" in on.out, "the clinic's own was never off: everybody's still is, and it says so"
    assert desk.run("switch", "on", "--all", "--reason", "mended").out == "texts go: the switch is on\n"
    wait_until(lambda: shown() == (False, False), within=20, what="and nowhere any more")
    wait_until(lambda: len(desk.heard("switch-turned")) == 2, within=30, what="ops hears of that too")


def test_the_doctor_sends_a_test_that_arrives(desk: Desk) -> None:
    before = len(desk.heard("test"))
    doctor = desk.run("doctor")
    assert (doctor.code, doctor.err) == (0, ""), doctor
    assert "ok   ops webhook: took the test" in doctor.out
    assert "ok   ops mail: the mail server took the test" in doctor.out
    assert len(desk.heard("test")) == before + 1
    assert "A test of the ops channel. Nothing is wrong." in desk.mailed()


def test_the_doctor_says_what_to_mend(desk: Desk) -> None:
    desk.pager.answers = [404]
    doctor = desk.run("doctor")
    assert doctor.code == 1
    assert "FIX  ops webhook: it answered 404 and did not take the test" in doctor.out
    assert "ops webhook: check STEADYPATH_OPS_WEBHOOK_URL: it must answer a JSON POST with 2xx" in doctor.err


def test_a_key_without_the_role_sees_the_switch_and_turns_nothing(desk: Desk) -> None:
    key = desk.run("keys", "add", "front-desk", "--role", "coordinator", "--reason", "a new desk").out.strip()
    assert desk.run("switch", "--key", key).code == 0
    refused = desk.run("switch", "off", "--key", key, "--reason", "let me try")
    assert (refused.code, "a key with the role ops is needed; nothing was changed" in refused.err) == (1, True)
    doctor = desk.run("doctor", "--key", key)
    assert (doctor.code, doctor.out.count("not looked at: this key has not the role ops")) == (0, 2)
    ops = desk.run("keys", "add", "ops-desk", "--role", "ops", "--reason", "a new desk").out.strip()
    refused = desk.run("switch", "off", "--all", "--key", ops, "--reason", "let me try")
    assert (refused.code, "the installation's first key" in refused.err) == (1, True)
    assert desk.run("switch").out == "texts go: the switch is on\n"

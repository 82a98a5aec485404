"""`rehearse` on the whole system: what it says is what the provider's ledger holds, byte for byte, and a killed service makes it
recover or fail, never invent."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
from datetime import date
from pathlib import Path
from typing import IO

import pytest

from steadypath.enrol import sources
from steadypath.enrol.intake import Setting
from steadypath.phone.ledger import Ledger
from steadypath.rehearse import replies, system
from steadypath.rehearse.cast import cast
from steadypath.rehearse.replies import Script
from steadypath.rehearse.run import Order, Rehearsal, carry_through

ROOT = Path(__file__).parents[2]
PLAN, REPLIES = ROOT / "examples" / "titration.yaml", ROOT / "examples" / "four-days-then-silence.yaml"
#: The week in which clocks go forward in New York, and the one after: the patient falls silent on its fifth day.
START, WEEKS = date(2027, 3, 8), 2


def order() -> Order:
    setting = Setting(today=START)
    found = cast(sources.read(sources.open_all([str(PLAN)]), setting, {}), START, "America/New_York", "US")
    return Order(found, Script(replies.read(str(REPLIES))), START, WEEKS, "America/New_York")


def test_what_a_rehearsal_says_is_the_ledger_byte_for_byte() -> None:
    rehearsal, carried = asyncio.run(rehearsed())
    sent = [text for text in rehearsal.story.texts if text.status == "sent"]
    assert sorted(text.text or "" for text in sent) == sorted(carried)
    assert {text.kind for text in sent} >= {"dose-due", "check-in-due", "contact-changed", "alert-raised", "message-requested"}
    assert [reply.text for reply in rehearsal.story.replies] == ["1", "1", "1", "3", "1"]


async def rehearsed() -> tuple[Rehearsal, list[str]]:
    """The rehearsal, and the bodies of all texts that the simulator took for delivery, from its own file."""
    wanted = order()
    async with system.running(wanted.begin, lambda _: None) as running:
        rehearsal = await carry_through(wanted, running)
        entries = [entry for entry in Ledger(running.recipes.folder.ledger).entries() if entry.kind == "accepted"]
    return rehearsal, [entry.data["body"] for entry in entries if entry.data["direction"] != "inbound"]


@pytest.fixture(scope="module")
def undisturbed() -> subprocess.CompletedProcess[str]:
    done = run_command()
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.slow
@pytest.mark.parametrize("service", ["scheduler", "notifier", "adherence"])
def test_a_service_killed_in_mid_run_makes_it_recover_or_fail_but_never_invent(
    service: str, undisturbed: subprocess.CompletedProcess[str]
) -> None:
    killed = run_command(kill=service)
    assert f"{service} was ended by SIGKILL" in killed.stderr
    if killed.returncode == 0:
        assert doses(killed.stdout) == doses(undisturbed.stdout)
    else:
        assert killed.returncode == 1
        assert not killed.stdout


def doses(lines: str) -> list[tuple[str, str]]:
    """When (to the minute) and in which words the patient was asked; those that did not go included."""
    texts = [json.loads(line) for line in lines.splitlines()]
    return [(text["at"][:16], text["text"]) for text in texts if text["kind"] == "dose-due"]


def run_command(kill: str | None = None) -> subprocess.CompletedProcess[str]:
    """The command as a user runs it; `kill` names the service that is ended (SIGKILL) as soon as patients are being rehearsed."""
    arguments = ["rehearse", str(PLAN), "--replies", str(REPLIES), "--start", START.isoformat(), "--weeks", str(WEEKS), "--json"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    said: list[str] = []
    with subprocess.Popen(
        [sys.executable, "-m", "steadypath", *arguments],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        listener = threading.Thread(target=listen, args=(process.stderr, said, kill))
        listener.start()
        out = process.stdout.read()
        listener.join()
    return subprocess.CompletedProcess(arguments, process.returncode, out, "".join(said))


def listen(errors: IO[str], said: list[str], kill: str | None) -> None:
    """Takes in what the command says; ends the named service once patients are in."""
    for line in errors:
        said.append(line)
        if kill and line == "rehearse: everybody is in\n":
            found = re.search(rf"{kill}=(\d+)", "".join(said))
            assert found is not None
            os.kill(int(found[1]), signal.SIGKILL)

"""`steadypath up` as a process that a test starts, watches from outside like anybody, and kills."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.embedded import spawn
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
#: What the command line of each part holds.
PARTS = {
    "scheduler": "services.scheduler",
    "notifier": "services.notifier",
    "adherence": "services.adherence",
    "phone": "steadypath.phone",
    "kafka": "shared.embedded.kafka",
    "postgres": "bin/postgres -D",
    "reaper": "reaper.py",
}


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; status 0 where nobody answered."""

    status: int
    body: Any


@dataclass
class Up:
    """A running `up`. `facts` is its line of JSON."""

    process: subprocess.Popen[str]
    facts: dict[str, Any]
    data: Path

    @property
    def origin(self) -> str:
        return str(self.facts["origin"])

    def call(self, method: str, path: str, body: object = None, *, keyed: bool = True, **headers: str) -> Answer:
        """One request to the origin, with the stack's key unless `keyed` is False."""
        if keyed:
            headers["Authorization"] = f"Bearer {self.facts['key']}"
        content = None if body is None else json.dumps(body).encode()
        if content is not None:
            headers.setdefault("Content-Type", "application/json")
        request = urllib.request.Request(self.origin + path, data=content, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=90) as response:
                return Answer(response.status, _parsed(response.read()))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, _parsed(error.read()))
        except OSError:
            return Answer(0, None)

    def advance(self, **how: object) -> Answer:
        return self.call("POST", "/clock/advance", how, keyed=False)

    def ready(self) -> bool:
        return self.call("GET", "/readyz", keyed=False).status == 200

    def pid_of(self, part: str) -> int | None:
        """The part's process, found as an operator would: a descendant with its name in its command line."""
        found = [pid for pid, command in descendants(self.process.pid).items() if PARTS[part] in command]
        return found[0] if found else None

    def kill(self, part: str) -> int:
        pid = self.pid_of(part)
        assert pid is not None, f"{part} is not running"
        os.kill(pid, signal.SIGKILL)
        return pid


@contextmanager
def up(data: Path, *options: str, env: dict[str, str] | None = None) -> Iterator[Up]:
    """Start it, wait for its line, hand it over; ended afterwards where the test has not done so."""
    command = [sys.executable, "-m", "steadypath", "up", "--data", str(data), "--port", str(free_port()), "--json", *options]
    command = spawn.tied(command)  # a worker of pytest may be ended without warning
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(data.parent / "state"), **(env or {})}
    with (data.parent / "up.stderr").open("a") as errors:
        process = subprocess.Popen(
            spawn.tied(command),
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    with process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, (data.parent / "up.stderr").read_text()
            yield Up(process, json.loads(line), data)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.wait(15)


def descendants(root: int) -> dict[int, str]:
    """Living descendants of a process: number -> command line."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, parent = (entry / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if state not in "ZX":
                parents[int(entry.name)] = int(parent)
    wanted, found = {root}, dict[int, str]()
    while fresh := {pid for pid, parent in parents.items() if parent in wanted and pid not in wanted}:
        wanted |= fresh
    for pid in wanted - {root}:
        try:
            found[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
    return found


def gone(pids: set[int]) -> bool:
    return not any(_running(pid) for pid in pids)


def wait_until_gone(pids: set[int], *, within: float) -> None:
    wait_until(lambda: gone(pids), within=within, what="every process that up had started has ended")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content.decode("utf-8", "replace")

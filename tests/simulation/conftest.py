"""The whole system for the tests of this folder: `steadypath up --fast-forward`, every process real, on a clinical clock.

One system for the folder, ended with its last test; each test brings its own patients. After the last test everything that the
run has written is searched for the canaries that the tests planted.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.embedded import spawn
from tests.simulation.canary import Canaries
from tests.simulation.clinic import Clinic
from tests.simulation.leaks import leaks_of_run

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Stack:
    origin: str
    key: str
    kafka: str
    database: str
    data: Path
    launcher: subprocess.Popen[str]


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The folder's system."""
    with running(tmp_path_factory) as stack:
        yield stack


@contextmanager
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A fresh system, stopped at the end."""
    data = tmp_path_factory.mktemp("stack")
    state = tmp_path_factory.mktemp("state")
    with (data / "up.stderr.log").open("w") as errors:
        command = [ROOT / "bin" / "steadypath", "up", "--data", data / "d", "--port", free_port(), "--fast-forward", "--json"]
        launcher = subprocess.Popen(
            spawn.tied([str(each) for each in command]),  # a worker of pytest may be ended without warning
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=os.environ | {"XDG_STATE_HOME": str(state)},
        )
        assert launcher.stdout
        line = launcher.stdout.readline()
        if not line:
            pytest.fail(f"up ended with {launcher.wait()}: {(data / 'up.stderr.log').read_text()[-2000:]}")
        ready = json.loads(line)
        try:
            yield Stack(ready["origin"], ready["key"], ready["kafka"], ready["database"], data, launcher)
        finally:
            if launcher.poll() is None:
                launcher.send_signal(signal.SIGTERM)
                launcher.wait(timeout=30)
            launcher.stdout.close()


@pytest.fixture(scope="package")
def clinic(stack: Stack) -> Iterator[Clinic]:
    """The clinic of the folder."""
    with searched(stack) as clinic:
        yield clinic


@pytest.fixture
def clinic_alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """A clinic on a system of its own: months pass quickly where nobody else has a plan."""
    with running(tmp_path_factory) as stack, searched(stack) as clinic:
        yield clinic


@contextmanager
def searched(stack: Stack) -> Iterator[Clinic]:
    """A clinic, with the search for canaries at its end: a hit is an error of the run."""
    canaries = Canaries()
    clinic = Clinic(stack.origin, stack.key, canaries)
    with clinic.http:
        yield clinic
        leaks = leaks_of_run(clinic, stack.kafka, stack.data)
    if leaks:
        pytest.fail("health data leaked:\n" + "\n".join(map(str, leaks[:40])), pytrace=False)

"""A whole running system of which one service's database is put back to an earlier state, as after a disaster.

Everything else runs on: the broker with all that was said, the other services, the phones. The schema is dumped with pg_dump and
read back with psql while the service's process stands still, as docs/operations/restore.md says it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from shared.embedded.postgres import programs
from tests.simulation.canary import Canaries
from tests.simulation.clinic import Clinic
from tests.simulation.conftest import ROOT, Stack, running
from tests.support.stack import descendants
from tests.support.waiting import wait_until

_READY_WITHIN = 120.0


@dataclass
class World:
    """A running system, its clinic, and the ways to lose a database."""

    stack: Stack
    clinic: Clinic

    def backup(self, service: str, at: str) -> Path:
        """A dump of the service's schema."""
        file = self.stack.data / f"{service}-{at}.sql"
        self._run("pg_dump", "--schema", service, "--file", str(file), "steadypath")
        return file

    def stop(self, service: str) -> int:
        """The service's process stands still, and holds no connection; its number."""
        [pid] = [pid for pid, command in descendants(self.stack.launcher.pid).items() if f"services.{service}" in command]
        os.kill(pid, signal.SIGSTOP)
        self.sql(f"select pg_terminate_backend(pid) from pg_stat_activity where usename = 'steadypath_{service}'")
        return pid

    def put_back(self, service: str, dump: Path) -> None:
        """What is there goes, what was there comes back, whole or not at all."""
        self.sql(f"drop schema {service} cascade;\n\\i {dump}")

    def begin(self, service: str, *options: str) -> str:
        """The operator's one command; what it says."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("STEADYPATH_")}
        done = subprocess.run(
            [sys.executable, "-m", "shared.restore", "begin", service, *options],
            env=env | {"STEADYPATH_DATABASE_URL": self._url(service), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def start_again(self, pid: int) -> None:
        """The launcher starts a service that was killed."""
        os.kill(pid, signal.SIGKILL)

    def restored(self, service: str, dump: Path) -> None:
        """A database lost, put back, its service on its way back and ready again."""
        pid = self.stop(service)
        self.put_back(service, dump)
        self.begin(service)
        self.start_again(pid)
        self.until_ready(pid, service)

    def new_broker(self) -> None:
        """The broker is lost with everything in it; the launcher starts another, and the services with its address."""
        [pid] = [pid for pid, command in descendants(self.stack.launcher.pid).items() if "shared.embedded.kafka" in command]
        before = set(self._services())
        os.kill(pid, signal.SIGKILL)

        def started_again() -> bool:
            return len(self._services()) == 3 and not before & set(self._services())

        wait_until(started_again, within=_READY_WITHIN, what="the services are started with the new broker")
        wait_until(self._ready, within=_READY_WITHIN, what="everything is ready with the new broker")

    def _services(self) -> list[int]:
        return [pid for pid, command in descendants(self.stack.launcher.pid).items() if "-m services." in command]

    def _ready(self) -> bool:
        return self.clinic.http.get("/readyz").status_code == 200

    def until_ready(self, pid: int, service: str) -> None:
        def ready() -> bool:
            running = [each for each, command in descendants(self.stack.launcher.pid).items() if f"services.{service}" in command]
            return bool(running) and pid not in running and self._ready()

        try:
            wait_until(ready, within=_READY_WITHIN, what=f"{service} is ready again")
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.log(service)[-4000:]}") from None

    def until_it_says(self, service: str, words: str) -> None:
        wait_until(lambda: words in self.log(service), within=_READY_WITHIN, what=f"the operator is told: {words}")

    def log(self, service: str) -> str:
        return (self.stack.data / "d" / "logs" / f"{service}.log").read_text("utf-8", "replace")

    def rows(self, query: str) -> list[str]:
        return self.sql(query).splitlines()

    def sql(self, script: str) -> str:
        return self._run("psql", "-XqAt", "--single-transaction", "-v", "ON_ERROR_STOP=1", "-d", "steadypath", script=script)

    def _run(self, program: str, *arguments: str, script: str | None = None) -> str:
        at = urlsplit(self.stack.database)
        env = {"PGHOST": str(at.hostname), "PGPORT": str(at.port), "PGUSER": str(at.username), "PGPASSWORD": str(at.password)}
        done = subprocess.run(
            [str(programs() / program), *arguments],
            input=script,
            env=os.environ | env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout.strip()

    def _url(self, service: str) -> str:
        at = urlsplit(self.stack.database)
        password = (self.stack.data / "d" / "keys" / f"{service}_password").read_text().strip()
        return f"postgresql://steadypath_{service}:{password}@{at.hostname}:{at.port}{at.path}"


@contextmanager
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(tmp_path_factory) as stack:
        clinic = Clinic(stack.origin, stack.key, Canaries())
        with clinic.http:
            yield World(stack, clinic)

"""A whole system of replicas for one proof: real processes of the real services, in consumer groups, on one broker.

Nothing is stepped. All processes share a clock page that stands still until the test sets it forward, and their own loops and
consumers do the rest, as in production; the test waits for what it wants to see (docs/architecture/cluster.md says why).
"""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from shared.clock import ClockPage
from shared.embedded import spawn
from shared.embedded.postgres import free_port
from shared.events.registry import SERVICES
from tests.support.cluster_broker import ClusterBroker
from tests.support.cluster_front import Front
from tests.support.cluster_kafka import Kafka
from tests.support.parts import Database
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
PHONE = "phone"
#: Machine seconds, generous: nobody waits longer than it takes, and a machine may be busy with other things.
READY_WITHIN = 300.0
_PARTITIONS = 6


@dataclass
class Replica:
    """One process. In rotation as long as it lives and is not frozen."""

    name: str
    module: str
    port: int
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    frozen: bool = False
    arguments: tuple[str, ...] = ()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                spawn.tied(spawn.python(self.module, *self.arguments)),
                cwd=ROOT,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.frozen = False

    def serving(self) -> bool:
        return self.process is not None and self.process.poll() is None and not self.frozen

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        assert self.process is not None
        self.process.wait(20)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.signal(signal.SIGTERM)
        assert self.process is not None
        return self.process.wait(20)

    def freeze(self) -> None:
        self.frozen = True
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)
        self.frozen = False

    def checks(self) -> dict[str, Any]:
        """What /readyz says, by check; empty where nobody answers."""
        return dict(self._readyz()[1].get("checks", {}))

    def ready(self) -> bool:
        return self._readyz()[0] == 200

    def partitions(self) -> int:
        """How many it has been given."""
        return int(self.checks().get("broker", {}).get("partitions", 0))

    def ended(self) -> int | None:
        """The exit code, None while it runs."""
        assert self.process is not None
        return self.process.poll()

    def metric(self, name: str) -> float:
        """The sum of a metric's samples; 0 where there is none yet."""
        key = {"Authorization": f"Bearer {self.environment['STEADYPATH_KEY']}"}
        with urllib.request.urlopen(urllib.request.Request(self.base + "/metrics", headers=key), timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if re.match(rf"{name}(\{{|\s)", line))

    def local_ports(self) -> set[int]:
        """Ports of this machine that its open TCP connections use (Linux)."""
        assert self.process is not None
        home = Path(f"/proc/{self.process.pid}")
        links = []
        for each in (home / "fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                links.append(str(each.readlink()))
        inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
        rows = [line.split() for line in (home / "net/tcp").read_text("ascii").splitlines()[1:]]
        return {int(row[1].rpartition(":")[2], 16) for row in rows if row[9] in inodes}

    def said(self, words: str) -> bool:
        return words in self.log.read_text("utf-8", "replace")

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def _readyz(self) -> tuple[int, dict[str, Any]]:
        if not self.serving():
            return 0, {}
        try:
            with urllib.request.urlopen(self.base + "/readyz", timeout=6) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)
        except OSError:
            return 0, {}


@dataclass
class World:
    """`start` brings it up; `close` ends every process of it. `folder` holds logs, ledger and clock page."""

    folder: Path
    broker: ClusterBroker
    database: Database
    begins: datetime
    replicas: dict[str, list[Replica]] = field(default_factory=lambda: {name: [] for name in (*SERVICES, PHONE)})
    clock: ClockPage = field(init=False)
    front: Front = field(init=False)
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.clock = ClockPage(self.folder / "clock", start=self.begins)
        self._turns = count()
        self._key = f"spk_cluster_{secrets.token_urlsafe(24)}"
        self._secrets = {
            "STEADYPATH_KEY": self._key,
            "STEADYPATH_DATA_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
            "STEADYPATH_TWILIO_ACCOUNT_SID": f"AC{secrets.token_hex(16)}",
            "STEADYPATH_TWILIO_AUTH_TOKEN": secrets.token_hex(16),
        }
        self.front = Front(self._base)
        self.http = httpx.Client(base_url=self.front.origin, headers={"Authorization": f"Bearer {self._key}"}, timeout=60)

    @property
    def ledger(self) -> Path:
        return self.folder / "phone.sqlite"

    @property
    def kafka(self) -> Kafka:
        return Kafka(self.broker.bootstrap)

    def start(self, **replicas: int) -> None:
        """Topics, simulator, and so many replicas of each service (1 where not said); all ready."""
        self.address()
        if self.broker.real:
            self.make_topics()
        self.front.start()
        self.add(PHONE)
        for service in SERVICES:
            for _ in range(replicas.get(service, 1)):
                self.add(service)
        self.wait_ready()

    def address(self) -> None:
        """Where the broker is today, for services that run and those to come."""
        (self.folder / "kafka").write_text(self.broker.bootstrap, "ascii")

    def make_topics(self) -> None:
        """The step of that name in docker-compose.yml."""
        own = {"STEADYPATH_KAFKA_BOOTSTRAP": self.broker.bootstrap, "STEADYPATH_TOPIC_PARTITIONS": str(_PARTITIONS)}
        command = spawn.tied(spawn.python("shared.messaging.topics"))
        done = subprocess.run(command, cwd=ROOT, env=_clean() | own, capture_output=True, text=True, check=False, timeout=90)
        assert done.returncode == 0, done.stderr

    def add(self, part: str) -> Replica:
        """One more replica, started and not waited for."""
        number = len(self.replicas[part]) + 1
        module = "steadypath.phone" if part == PHONE else f"services.{part}"
        log = self.folder / "logs" / f"{part}-{number}.log"
        log.parent.mkdir(exist_ok=True)
        port = free_port()
        replica = Replica(f"{part}-{number}", module, port, self._environment(part, port), log)
        self.replicas[part].append(replica)
        replica.start()
        return replica

    def all(self, *services: str) -> list[Replica]:
        return [replica for service in services or SERVICES for replica in self.replicas[service]]

    def wait_ready(self, *replicas: Replica, within: float = READY_WITHIN) -> None:
        for replica in replicas or (*self.replicas[PHONE], *self.all()):
            wait_until(lambda one=replica: _alive(one) and one.ready(), within=within, what=f"{replica.name} is ready")  # type: ignore[misc]

    def now(self) -> datetime:
        return self.clock.now()

    def to(self, instant: datetime) -> None:
        """Clinical time goes on; whatever has come due, the processes find by themselves."""
        self.clock.set(instant)

    def call(self, method: str, path: str, body: object = None) -> Any:
        answer = self.http.request(method, path, json=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text[:400]}"
        return answer.json() if answer.content else None

    def close(self) -> None:
        """Ends everything; a replica that was frozen is woken to die."""
        for replica in (*self.all(), *self.replicas[PHONE]):
            if replica.process is not None and replica.process.poll() is None:
                replica.process.send_signal(signal.SIGKILL)
                replica.process.wait(20)
        self.http.close()
        with suppress(RuntimeError):
            self.front.stop()
        self.clock.close()

    def _base(self, part: str) -> str:
        """The next replica in rotation; the first where none is: then the proxy says that nobody is there."""
        serving = [replica for replica in self.replicas[part] if replica.serving()] or self.replicas[part]
        return serving[next(self._turns) % len(serving)].base

    def _environment(self, part: str, port: int) -> dict[str, str]:
        own = {
            "STEADYPATH_HOST": "127.0.0.1",
            "STEADYPATH_PORT": str(port),
            "STEADYPATH_CLOCK_PAGE": str(self.clock.path),
            "STEADYPATH_PUBLIC_BASE_URL": self.front.origin,
        }
        if part == PHONE:
            own |= {"STEADYPATH_PHONE_LEDGER": str(self.ledger), "STEADYPATH_ORIGIN": self.front.origin}
        else:
            own |= {
                "STEADYPATH_DATABASE_URL": self.database.url(part),
                "STEADYPATH_KAFKA_BOOTSTRAP_FILE": str(self.folder / "kafka"),
                # Through the front, which can keep the provider's answers back.
                "STEADYPATH_TWILIO_API_BASE": self.front.origin,
            }
        return _clean() | self._secrets | own


def _alive(replica: Replica) -> bool:
    assert replica.ended() is None, f"{replica.name} ended with {replica.ended()}: {replica.log.read_text('utf-8')[-800:]}"
    return True


def _clean() -> dict[str, str]:
    """The test's environment without settings of whoever started it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STEADYPATH_")}
    return kept | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}

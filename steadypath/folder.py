"""A data folder: who owns it, its keys, where each part keeps its things. One folder, one owner."""

from __future__ import annotations

import base64
import fcntl
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from shared.events.registry import SERVICES
from steadypath.errors import CommandError

#: After a kill -9 of the launcher its reaper ends what it had started, within 15 s; the folder is free after that.
LAST_OWNER_ENDS_WITHIN_SECONDS = 20.0
#: By any of these a folder is known as one of ours: data never goes in among somebody's other files.
_OURS = ("keys", "lock", "clock", "postgres")


@dataclass
class DataFolder:
    """Everything that outlives an `up`. All of it is readable by its owner only."""

    path: Path
    _lock: TextIO | None = field(default=None, repr=False)

    @classmethod
    def at(cls, path: Path) -> DataFolder:
        """Made where missing. Raises CommandError where that cannot be."""
        whole = path.absolute()
        try:
            if whole.is_dir() and not any((whole / name).exists() for name in _OURS) and any(whole.iterdir()):
                raise CommandError(f"{path} holds other things: name an empty folder, a new one, or one that `up` has used")
            for part in (whole, whole / "keys", whole / "logs"):
                part.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise CommandError(f"{path} cannot be the data folder: {error.strerror}") from error
        return cls(whole)

    @property
    def clock_page(self) -> Path:
        return self.path / "clock"

    @property
    def postgres(self) -> Path:
        return self.path / "postgres"

    @property
    def ledger(self) -> Path:
        return self.path / "phone.sqlite"

    @property
    def data_key_file(self) -> Path:
        return self.path / "keys" / "data.key"

    def log_of(self, part: str) -> Path:
        return self.path / "logs" / f"{part}.log"

    def own(self) -> int:
        """Take the folder's lock. Its descriptor goes to the reaper too, so that the folder stays taken until all has ended.

        A living owner is a refusal (CommandError); one that was killed is waited for until what it started has ended.
        """
        lock = (self.path / "lock").open("a+", encoding="ascii")
        until = time.monotonic() + LAST_OWNER_ENDS_WITHIN_SECONDS
        while not _locked(lock):
            owner = _owner(lock)
            if owner is None or _alive(owner) or time.monotonic() > until:
                lock.close()
                raise CommandError(f"{self.path} is in use by another `steadypath up` (process {owner}): one folder, one owner")
            time.sleep(0.05)
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        self._lock = lock
        return lock.fileno()

    def give_up(self) -> None:
        """Lets the lock go; for an owner that lives on after its stack."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def secret(self, name: str, make: Callable[[], str]) -> str:
        """The secret of that name; made the first time."""
        path = self.path / "keys" / name
        if not path.exists():
            write_private(path, make())
        return path.read_text("ascii").strip()

    def keys(self, given_key: str | None) -> Keys:
        """All secrets of this stack. `given_key` (STEADYPATH_KEY) becomes its first key where it is set."""
        if given_key:
            write_private(self.path / "keys" / "key", given_key)
        self.secret(self.data_key_file.name, lambda: base64.b64encode(secrets.token_bytes(32)).decode("ascii"))
        return Keys(
            key=self.secret("key", lambda: f"sp_{secrets.token_urlsafe(24)}"),
            twilio_account_sid=self.secret("twilio.sid", lambda: f"AC{secrets.token_hex(16)}"),
            twilio_auth_token=self.secret("twilio.token", lambda: secrets.token_hex(16)),
            database={service: self.secret(f"{service}_password", lambda: secrets.token_urlsafe(24)) for service in SERVICES},
        )

    def done_once(self, what: str) -> bool:
        return (self.path / f"{what}.done").exists()

    def mark_done(self, what: str) -> None:
        (self.path / f"{what}.done").touch()


@dataclass(frozen=True)
class Keys:
    """The secrets that the parts of one stack share."""

    key: str = field(repr=False)
    twilio_account_sid: str
    twilio_auth_token: str = field(repr=False)
    #: One per service, in the file `SERVICE_password` beside the others: `shared.db migrate` gives them to the roles.
    database: dict[str, str] = field(repr=False)


def write_private(path: Path, content: str) -> None:
    """Whole or not at all, readable by its owner only from its first byte."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(content)
    scratch.replace(path)


def _locked(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _owner(lock: TextIO) -> int | None:
    lock.seek(0)
    written = lock.read().strip()
    return int(written) if written.isdigit() else None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

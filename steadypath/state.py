"""Where `up` writes its origin and key, readable by its user only, so that any command given that origin finds the key."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from steadypath.errors import CommandError
from steadypath.folder import write_private

DEFAULT_PORT = 8470
DEFAULT_ORIGIN = f"http://127.0.0.1:{DEFAULT_PORT}"
_LOOPBACK = {"localhost": "127.0.0.1", "::1": "127.0.0.1"}


@dataclass(frozen=True)
class Running:
    """A system that a command talks to."""

    origin: str
    key: str = field(repr=False)


def state_folder() -> Path:
    """${XDG_STATE_HOME:-~/.local/state}/steadypath"""
    base = os.environ.get("XDG_STATE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".local" / "state") / "steadypath"


def remember(origin: str, key: str, data: Path) -> None:
    """Write origin and key. Raises CommandError where the state folder cannot be written."""
    folder = state_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        write_private(_file(origin), json.dumps({"origin": origin, "key": key, "data": str(data)}) + "\n")
    except OSError as error:
        raise CommandError(f"{folder} cannot be written: {error.strerror}") from error


def forget(origin: str) -> None:
    """A stack that has ended cleanly leaves no key behind."""
    with suppress(OSError):
        _file(origin).unlink()


def find(url: str | None, key: str | None) -> Running:
    """The system meant by `--url` and `--key`, by STEADYPATH_URL and STEADYPATH_KEY, or by `up`'s default port.

    Raises CommandError where no key is known for it.
    """
    origin = (url or os.environ.get("STEADYPATH_URL") or DEFAULT_ORIGIN).rstrip("/")
    if urlsplit(origin).scheme not in ("http", "https") or not urlsplit(origin).hostname:
        raise CommandError("--url: an http:// or https:// address is needed")
    found = key or _given_key() or _remembered(origin)
    if not found:
        raise CommandError(f"no key known for {origin}: start `steadypath up` there, or give --key or STEADYPATH_KEY")
    return Running(origin, found)


def _given_key() -> str | None:
    """STEADYPATH_KEY, or the file that STEADYPATH_KEY_FILE names."""
    given = os.environ.get("STEADYPATH_KEY")
    path = os.environ.get("STEADYPATH_KEY_FILE")
    if given or not path:
        return given
    try:
        return Path(path).read_text("utf-8").strip()
    except OSError as error:
        raise CommandError(f"STEADYPATH_KEY_FILE cannot be read: {error.strerror}") from error


def _remembered(origin: str) -> str | None:
    try:
        return str(json.loads(_file(origin).read_text("utf-8"))["key"])
    except (OSError, ValueError, KeyError):
        return None


def _file(origin: str) -> Path:
    parts = urlsplit(origin)
    host = _LOOPBACK.get(parts.hostname or "", parts.hostname or "")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return state_folder() / f"{host}_{port}.json"

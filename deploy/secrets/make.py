"""Makes the secrets of a compose stack once, each in a file of its own in the volume given: what is there already stays.

Run as root by the one-shot service `secrets`. The services' files belong to the application's user (10001), read-only;
the administrator's lie in a volume of their own, which only PostgreSQL and `migrate` mount.
"""

from __future__ import annotations

import base64
import os
import secrets
import sys
from pathlib import Path

APP_USER = 10001
SERVICES = ("scheduler", "notifier", "adherence")


class RefusedError(Exception):
    """One line for the operator; no secret in it."""


def make(folder: Path, admin_folder: Path) -> None:
    """Every secret a stack needs. Raises RefusedError where the data key that is given is not the one in use."""
    folder.chmod(0o755)
    admin_folder.chmod(0o755)
    # PostgreSQL's entrypoint reads it after it has become its own user, whose number differs between images.
    admin = keep(admin_folder / "password", secrets.token_urlsafe(32), mode=0o444)
    keep(admin_folder / "admin_url", f"postgresql://postgres:{admin}@postgres:5432/steadypath")
    _data_key(folder / "data_key")
    # Another key revokes the one before: that is how it is changed.
    wanted = given("STEADYPATH_KEY")
    keep(folder / "key", wanted or f"spk_{secrets.token_hex(4)}_{secrets.token_urlsafe(32)}", replace=wanted is not None)
    keep(folder / "phone_token", secrets.token_hex(16))
    for service in SERVICES:
        password = keep(folder / f"{service}_password", secrets.token_urlsafe(32))
        keep(folder / f"{service}_url", f"postgresql://steadypath_{service}:{password}@postgres:5432/steadypath")


def watching(metrics: Path | None = None, grafana: Path | None = None) -> None:
    """What compose.observability.yml needs more, each in a volume that only its readers mount: they run as other users."""
    for folder, name in ((metrics, "key"), (grafana, "password")):
        if folder is not None:
            folder.chmod(0o755)
            keep(folder / name, secrets.token_urlsafe(32), mode=0o444)


def _data_key(path: Path) -> None:
    """What one key has sealed no other opens: it is never changed by accident."""
    wanted = given("STEADYPATH_DATA_KEY")
    in_use = keep(path, wanted or base64.b64encode(secrets.token_bytes(32)).decode())
    if wanted is not None and wanted != in_use:
        raise RefusedError("STEADYPATH_DATA_KEY: this stack is sealed with another key: take it out, or give that one")


def given(name: str) -> str | None:
    """The setting, or what is in the file that NAME_FILE names."""
    direct, path = os.environ.get(name), os.environ.get(f"{name}_FILE")
    if direct or not path:
        return direct or None
    return Path(path).read_text("ascii").strip() or None


def keep(path: Path, fresh: str, mode: int = 0o400, *, replace: bool = False) -> str:
    """The secret in the file; written first where there is none, or where another one is to take its place."""
    if replace or not path.exists():
        part = path.with_suffix(".part")
        part.write_text(fresh + "\n", "ascii")
        part.chmod(mode)
        os.chown(part, APP_USER, APP_USER)
        part.rename(path)
    return path.read_text("ascii").strip()


if __name__ == "__main__":
    try:
        make(Path(sys.argv[1]), Path(sys.argv[2]))
        watching(*map(Path, sys.argv[3:]))
    except RefusedError as error:
        sys.stderr.write(f"secrets: {error}\n")
        sys.exit(1)

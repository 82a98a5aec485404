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


def make(folder: Path, admin_folder: Path) -> None:
    """Every secret a stack needs. A value in the environment (STEADYPATH_KEY, STEADYPATH_DATA_KEY) wins on the first run."""
    folder.chmod(0o755)
    admin_folder.chmod(0o755)
    # PostgreSQL's entrypoint reads it after it has become its own user, whose number differs between images.
    admin = keep(admin_folder / "password", secrets.token_urlsafe(32), mode=0o444)
    keep(admin_folder / "admin_url", f"postgresql://postgres:{admin}@postgres:5432/steadypath")
    keep(folder / "data_key", os.environ.get("STEADYPATH_DATA_KEY") or base64.b64encode(secrets.token_bytes(32)).decode())
    keep(folder / "key", os.environ.get("STEADYPATH_KEY") or f"spk_{secrets.token_hex(4)}_{secrets.token_urlsafe(32)}")
    keep(folder / "phone_token", secrets.token_hex(16))
    for service in SERVICES:
        password = keep(folder / f"{service}_password", secrets.token_urlsafe(32))
        keep(folder / f"{service}_url", f"postgresql://steadypath_{service}:{password}@postgres:5432/steadypath")


def keep(path: Path, fresh: str, mode: int = 0o400) -> str:
    """The secret in the file; written first where there is none."""
    if not path.exists():
        part = path.with_suffix(".part")
        part.write_text(fresh + "\n", "ascii")
        part.chmod(mode)
        os.chown(part, APP_USER, APP_USER)
        part.rename(path)
    return path.read_text("ascii").strip()


if __name__ == "__main__":
    make(Path(sys.argv[1]), Path(sys.argv[2]))

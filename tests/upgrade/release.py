"""A release as something that runs: the present one, and the one that deploy/upgrade-from names, taken out of git."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

from shared.events.registry import SERVICES
from tests.support.parts import Database
from tests.support.stack import ROOT

NAMED_IN = ROOT / "deploy" / "upgrade-from"
_LOCK = "requirements.lock"
_MIGRATES_WITHIN = 120


class NotHereError(Exception):
    """The earlier release cannot be had on this machine; one line that says why."""


@dataclass(frozen=True)
class Release:
    """`name` is a commit, or "present". Its processes run its own code with its own libraries."""

    name: str
    root: Path
    python: str

    def environment(self) -> dict[str, str]:
        """Nothing of ours, nothing of whoever started the test."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("STEADYPATH_", "PYTHON"))}
        return kept | {"PYTHONPATH": str(self.root), "PYTHONUNBUFFERED": "1"}

    def migrate(self, database: Database) -> None:
        """What the job `migrate` of docker-compose.yml does, for all services. Raises AssertionError where it fails."""
        for service in SERVICES:
            own = {"STEADYPATH_DATABASE_URL": database.url(service)}
            command = [self.python, "-m", "shared.db", "migrate", service]
            done = subprocess.run(
                command,
                cwd=self.root,
                env=self.environment() | own,
                capture_output=True,
                text=True,
                timeout=_MIGRATES_WITHIN,
                check=False,
            )
            assert done.returncode == 0, f"{self.name} does not migrate {service}: {done.stderr[-1500:]}"


def present() -> Release:
    return Release("present", ROOT, sys.executable)


def past(folder: Path) -> Release:
    """The release that upgrades are proven from, unpacked below `folder`. Raises NotHereError."""
    commit = named_commit()
    root = folder / commit[:12]
    if not root.exists():
        root.mkdir(parents=True)
        with tarfile.open(fileobj=BytesIO(_git("archive", commit))) as archive:
            archive.extractall(root, filter="data")
    return Release(commit[:12], root, _python_of(root))


@cache
def named_commit() -> str:
    """The full commit of deploy/upgrade-from. Raises NotHereError where this checkout does not have it."""
    commit = NAMED_IN.read_text("ascii").strip()
    if not re.fullmatch(r"[0-9a-f]{40}", commit):
        raise NotHereError("deploy/upgrade-from holds no full commit")
    _git("cat-file", "-e", f"{commit}^{{commit}}")
    return commit


def _python_of(root: Path) -> str:
    """Ours where both releases lock the same libraries; else one that the earlier release makes from its lock file."""
    if (root / _LOCK).read_bytes() == (ROOT / _LOCK).read_bytes():
        return sys.executable
    made = subprocess.run(["sh", "bin/steadypath", "--help"], cwd=root, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise NotHereError(f"the earlier release's libraries cannot be installed: {made.stderr.strip().splitlines()[-1:]}")
    return str(root / ".venv" / "bin" / "python")


def _git(*arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        raise NotHereError("there is no git here") from None
    if done.returncode != 0:
        raise NotHereError("this checkout does not have the commit of deploy/upgrade-from (no history, or a shallow clone)")
    return done.stdout

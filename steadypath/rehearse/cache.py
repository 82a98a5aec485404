"""The folder that every rehearsal starts from: a migrated, stopped PostgreSQL cluster and its keys, made once for each release.

Making it costs seconds (initdb, three schemas), copying it a fraction of one. It holds no patient, ever: it is copied before
anything is put in, and the copy is thrown away. Its keys open nothing but such copies on loopback.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from shared.embedded import postgres
from shared.embedded.postgres import Postgres, PostgresError
from steadypath.errors import CommandError
from steadypath.folder import DataFolder
from steadypath.recipes import Recipes, fingerprint

_PREFIX = "rehearsal-"


def cache_folder() -> Path:
    """${XDG_CACHE_HOME:-~/.cache}/steadypath"""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "steadypath"


def fresh_folder(target: Path, recipes: Callable[[DataFolder, Postgres], Recipes]) -> bool:
    """Fills `target` with a migrated cluster; whether that had to be made first. Raises CommandError.

    `recipes` says how parts are run in a folder. Where the cache cannot be written, every run makes its own.
    """
    try:
        template = cache_folder() / f"{_PREFIX}{_release()}"
        if _copied(template, target):
            return False
        _make(target, recipes)
        _keep(target, template)
    except PostgresError as error:
        raise CommandError(str(error)) from error
    return True


def _copied(template: Path, target: Path) -> bool:
    """False where there is none, or another release dropped it meanwhile: then it is made again."""
    try:
        shutil.copytree(template, target)
    except OSError:  # shutil.Error is one
        shutil.rmtree(target, ignore_errors=True)
        return False
    return True


def _release() -> str:
    """Changes with whatever decides what a fresh cluster is like."""
    programs = postgres.programs()
    parts = (fingerprint(), Path(postgres.__file__).read_text("utf-8"), str(programs), str(os.geteuid()))
    return sha256("\0".join(parts).encode()).hexdigest()[:16]


def _make(target: Path, recipes: Callable[[DataFolder, Postgres], Recipes]) -> None:
    folder = DataFolder.at(target)
    folder.keys(None)
    server = Postgres(folder.postgres, durable=False)
    with server.running(folder.log_of("postgres")):
        recipes(folder, server).migrate()


def _keep(made: Path, template: Path) -> None:
    """Whole or not at all; another run that was quicker is as good. Templates of other releases are dropped."""
    try:
        template.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".making-", dir=template.parent))
        try:
            shutil.copytree(made, scratch / "whole")
            (scratch / "whole").rename(template)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        for old in template.parent.glob(f"{_PREFIX}*"):
            if old != template:
                shutil.rmtree(old, ignore_errors=True)
    except OSError:
        return  # a cache that cannot be written costs time, nothing else

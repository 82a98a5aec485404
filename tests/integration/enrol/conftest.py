"""The whole system, as `up` starts it, and the command line as a clinic's user runs it: every process real."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from shared.events.base import stable_id
from shared.identity import clinic_id_of
from tests.support.stack import ROOT, Answer, Up, up

Json = dict[str, Any]


@dataclass(frozen=True)
class Ran:
    """How a run of the command ended. `rows`: its JSON objects."""

    code: int
    rows: list[Json]
    errors: list[str]

    def outcomes(self) -> dict[str, str]:
        return {row["item"]: row["outcome"] for row in self.rows}


@dataclass(frozen=True)
class Clinic:
    """A running system and a folder for files."""

    up: Up
    folder: Path

    def file(self, name: str, content: Any) -> str:
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
        return str(path)

    def command(self, *arguments: str) -> list[str]:
        where = ["--url", self.up.origin, "--key", self.up.facts["key"]]
        return [sys.executable, "-m", "steadypath", "enrol", *arguments, *where]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
        )

    def enrol(self, *arguments: str) -> Ran:
        with self.start("--json", *arguments) as process:
            out, errors = process.communicate(timeout=300)
        return Ran(process.returncode, [json.loads(line) for line in out.splitlines()], errors.splitlines())

    def get(self, path: str) -> Answer:
        return self.up.call("GET", path)

    def settle(self) -> None:
        """Everything that follows has been carried through."""
        assert self.up.advance(by="PT0S").status == 200

    def count(self, table: str, like: str) -> int:
        """Rows of patients whose external id begins so, as the database has them."""
        return asyncio.run(self._count(table, like))

    async def _count(self, table: str, like: str) -> int:
        conn = await asyncpg.connect(self.up.facts["database"])
        try:
            key = {"contact": "id", "consent": "contact_id"}.get(table.split(".")[1], "patient_id")
            ids = [stable_id(clinic_id_of("clinic"), "patient", f"{like}{number}") for number in range(1000)]
            return int(await conn.fetchval(f"select count(*) from {table} where {key} = any($1)", ids))
        finally:
            await conn.close()


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """One system for a module's tests; each brings patients of its own."""
    folder = tmp_path_factory.mktemp("enrol")
    with up(folder / "data", "--fast-forward") as running:
        yield Clinic(running, folder)

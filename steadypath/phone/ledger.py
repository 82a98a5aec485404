"""The append-only record of all that the simulated network did: the oracle that tests ask and no product code reads.

Everything the simulator knows is rebuilt from it, so a kill -9 at any point loses nothing that was answered. WAL with
synchronous=NORMAL survives the death of the process (not of the machine), which is what a simulator needs.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    clinical TEXT NOT NULL,
    machine TEXT NOT NULL,
    data TEXT NOT NULL
);
CREATE TRIGGER IF NOT EXISTS entries_no_update BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS entries_no_delete BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. `clinical` and `machine` are aware UTC; `data` is JSON and its shape depends on `kind`."""

    n: int
    kind: str
    clinical: datetime
    machine: datetime
    data: dict[str, Any]


class Ledger:
    """One SQLite file, one writer. Calls are short (tens of microseconds) and made from the event loop."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)

    def append(self, kind: str, clinical: datetime, machine: datetime, data: dict[str, Any]) -> Entry:
        """Writes one entry; it is on file when this returns."""
        row = (kind, clinical.isoformat(), machine.isoformat(), json.dumps(data, ensure_ascii=False, separators=(",", ":")))
        cursor = self._db.execute("INSERT INTO entries (kind, clinical, machine, data) VALUES (?, ?, ?, ?)", row)
        if cursor.lastrowid is None:
            raise sqlite3.DatabaseError("an entry was not written")
        return Entry(cursor.lastrowid, kind, clinical, machine, data)

    def entries(self) -> Iterator[Entry]:
        """All, in the order in which they were written."""
        for n, kind, clinical, machine, data in self._db.execute(
            "SELECT n, kind, clinical, machine, data FROM entries ORDER BY n"
        ):
            yield Entry(n, kind, datetime.fromisoformat(clinical), datetime.fromisoformat(machine), json.loads(data))

    def close(self) -> None:
        """Closes the file; the write-ahead log is folded in."""
        self._db.close()

"""Values that exist nowhere else in the world: planted as names, numbers, medicines and own words, then searched for everywhere.

A hit in a log, a Kafka record, a database file, a server log, an address or a metric is a leak of health data and fails the run.
The phones themselves (the simulator's ledger) are where they belong.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path


@dataclass
class Canaries:
    """Makes canaries and remembers them. Numbers are fictional US ones (555-01xx), which the provider never assigns."""

    planted: set[str] = field(default_factory=set)
    _lines: count[int] = field(default_factory=lambda: count(0))

    def _plant(self, value: str) -> str:
        self.planted.add(value)
        return value

    def name(self) -> str:
        return self._plant(f"Zyxabar{secrets.token_hex(5)}")

    def drug(self) -> str:
        return self._plant(f"Quaxalor{secrets.token_hex(5)}")

    def code(self) -> str:
        return self._plant(f"770077{secrets.randbelow(10**6):06d}")

    def words(self, sentence: str) -> str:
        """A sentence with a canary in it: what a patient texts."""
        return f"{sentence} {self._plant(f'wyrd{secrets.token_hex(5)}')}"

    def number(self) -> str:
        line = next(self._lines)
        # 8 area codes x 100 fictional lines are enough for a run; the national part is what a leak would show.
        return self._plant(f"+1{('212', '303', '312', '415', '512', '617', '713', '801')[line // 100]}55501{line % 100:02d}")

    def needles(self) -> dict[bytes, str]:
        """Every form in which a canary could stand somewhere: bytes -> the canary."""
        found: dict[bytes, str] = {}
        for value in self.planted:
            forms = {value, value.lower(), value.removeprefix("+"), value.removeprefix("+1"), value.replace("+", "%2B")}
            found.update({form.encode(): value for form in forms})
        assert all(any(stem in form for stem in STEMS) for form in found), "a canary without a stem would not be found"
        return found


@dataclass(frozen=True)
class Leak:
    """Where a canary was found."""

    place: str
    canary: str

    def __str__(self) -> str:
        return f"{self.canary} in {self.place}"


#: Each form of a canary holds one of them: where none stands no canary does, and a hundred megabytes are read seven times, not
#: a thousand.
STEMS = (b"Zyxabar", b"zyxabar", b"Quaxalor", b"quaxalor", b"wyrd", b"770077", b"55501")


def search(place: str, data: bytes, needles: dict[bytes, str]) -> list[Leak]:
    if not any(stem in data for stem in STEMS):
        return []
    return [Leak(place, value) for needle, value in needles.items() if needle in data]


def search_files(folder: Path, needles: dict[bytes, str], *, leave_out: Iterable[str] = ()) -> list[Leak]:
    """Every regular file below the folder, as bytes: database pages, write-ahead log, server logs, service logs."""
    left_out = tuple(leave_out)
    leaks: list[Leak] = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(part in path.name for part in left_out):
            leaks += search(str(path.relative_to(folder)), path.read_bytes(), needles)
    return leaks

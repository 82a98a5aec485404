"""Where "now" comes from. Clinical time is injected and can be simulated; the system clock is read here and nowhere else."""

from __future__ import annotations

import mmap
import os
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from shared.settings import Settings

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PAGE = struct.Struct("=q")


class Clock(Protocol):
    """Clinical time: aware, UTC."""

    def now(self) -> datetime: ...


class SystemClock:
    """Real time. Used wherever no clock page is set."""

    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251 - the one place that reads the system clock


class ClockPage:
    """Simulated time, shared by all processes of a stack: eight bytes in a file that each of them maps into memory.

    An aligned eight-byte store and load is one machine operation on every platform that we run on, so a reader sees the old
    instant or the new one, never half of each. The file is created by the first `set`; before that `now` raises
    `FileNotFoundError` from the constructor: a process must never start on a time that nobody chose.
    """

    def __init__(self, path: Path, *, start: datetime | None = None) -> None:
        self.path = path
        if start is not None and not path.exists():
            _write_new(path, start)
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _PAGE.size)
        # A cast memoryview loads and stores the whole int64 at once; struct on bytes would copy byte by byte.
        self._cell = memoryview(self._map).cast("q")

    def now(self) -> datetime:
        return _EPOCH + timedelta(microseconds=self._cell[0])

    def set(self, instant: datetime) -> None:
        """Move to `instant` (aware). Time never goes back: an earlier instant is a ValueError and changes nothing."""
        micros = _micros(instant)
        if micros < self._cell[0]:
            raise ValueError("clinical time never goes back")
        self._cell[0] = micros

    def close(self) -> None:
        self._cell.release()
        self._map.close()


def machine_now() -> datetime:
    """The machine's own time (aware, UTC), for leases, certificates and comparing clocks. Never for a clinical decision."""
    return SystemClock().now()


def clock_from(settings: Settings) -> Clock:
    """The clock of this process: the page where `STEADYPATH_CLOCK_PAGE` names one, else real time."""
    return ClockPage(settings.clock_page) if settings.clock_page is not None else SystemClock()


def _micros(instant: datetime) -> int:
    if instant.tzinfo is None:
        raise ValueError("an instant without a zone is not an instant")
    return (instant - _EPOCH) // timedelta(microseconds=1)


def _write_new(path: Path, start: datetime) -> None:
    """Whole or not at all: a reader never maps a file shorter than eight bytes."""
    scratch = path.with_name(f"{path.name}.{os.getpid()}")
    scratch.write_bytes(_PAGE.pack(_micros(start)))
    scratch.replace(path)

"""A progress bar of one line on a terminal; nothing anywhere else."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO

_EVERY = 0.1
_WIDTH = 30


class ProgressBar:
    """Counts things that are done; `total` None where nobody knows how many there will be."""

    def __init__(self, what: str, total: int | None, out: TextIO = sys.stderr) -> None:
        self._what, self._total, self._out = what, total, out
        self._done = 0
        self._started = time.monotonic()
        self._drawn = 0.0
        self._shown = out.isatty()

    def add(self, count: int) -> None:
        """So many more are done."""
        self._done += count
        if self._shown and time.monotonic() - self._drawn >= _EVERY:
            self._drawn = time.monotonic()
            self._write(self._line())

    def clear(self) -> None:
        """Takes the line away: whoever prints next has the terminal to themselves."""
        if self._shown:
            self._write("")

    def _line(self) -> str:
        seconds = time.monotonic() - self._started
        rate = f"{self._done / seconds:,.0f}/s" if seconds >= 1 else ""
        if not self._total:
            return f"{self._what}: {self._done:,} {rate}"
        filled = min(_WIDTH * self._done // self._total, _WIDTH)
        return f"{self._what} [{'#' * filled}{'.' * (_WIDTH - filled)}] {self._done:,} of {self._total:,} {rate}"

    def _write(self, line: str) -> None:
        self._out.write("\r\x1b[K" + line[: shutil.get_terminal_size().columns - 1])
        self._out.flush()

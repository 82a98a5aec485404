"""What `enrol` prints: JSON objects as they come, or, for a person, counts, what drafts lack, and the first refusals."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from steadypath.enrol.outcome import Outcome, Row
from steadypath.enrol.progress import ProgressBar
from steadypath.errors import DONE, REFUSED

#: Refusals that are named one by one, and rows that are few enough to be shown each.
_FIRST = 10
_FEW = 40
_WORDS: tuple[Outcome, ...] = ("enrolled", "unchanged", "draft", "refused")


@dataclass
class Report:
    """Takes rows as they become final. Memory does not grow with their number."""

    as_json: bool
    check: bool
    bar: ProgressBar
    counts: Counter[str] = field(default_factory=Counter)
    lacking: Counter[str] = field(default_factory=Counter)
    first: list[Row] = field(default_factory=list)
    few: list[Row] = field(default_factory=list)

    def take(self, rows: Iterable[Row]) -> int:
        """All rows; the exit code."""
        for row in rows:
            self.counts[row.outcome] += 1
            if self.as_json:
                self.bar.clear()
                sys.stdout.write(json.dumps(row.as_json()) + "\n")
            self._remember(row)
        self.bar.clear()
        if not self.as_json:
            self._tell()
        return REFUSED if self.counts["refused"] else DONE

    def _remember(self, row: Row) -> None:
        if row.outcome == "refused" and len(self.first) < _FIRST:
            self.first.append(row)
        if row.outcome != "refused" and len(self.few) <= _FEW:
            self.few.append(row)
        if row.outcome == "draft":
            self.lacking.update((row.element or "").split(", "))

    def _tell(self) -> None:
        if sum(self.counts.values()) <= _FEW:
            for row in self.few:
                print(row.line())
        for row in self.first:
            print(f"steadypath: {row.line()}", file=sys.stderr)
        more = self.counts["refused"] - len(self.first)
        if more > 0:
            print(f"steadypath: {more:,} more are refused; --json names each", file=sys.stderr)
        print(self._sum())
        if self.counts["draft"]:
            lacking = ", ".join(f"{element} ({count:,})" for element, count in self.lacking.most_common())
            print(f"No text goes for drafts until they have: {lacking}.")

    def _sum(self) -> str:
        said = ", ".join(f"{self.counts[word]:,} {word}" for word in _WORDS if self.counts[word]) or "nothing"
        return f"Checked, nothing written: {said.replace('enrolled', 'good')}." if self.check else f"{said}."

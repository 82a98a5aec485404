"""One check of the doctor: what it found, how it is printed, and what to do about it."""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """`said` and `fix` hold no secret and nothing about patients. `note`: passed, and still to be seen."""

    passed: bool
    said: str
    fix: str = ""
    note: bool = False


def show(name: str, finding: Finding) -> bool:
    """Prints it: what was found on standard output, what to do on standard error. Whether it passed."""
    mark = "FIX " if not finding.passed else "NOTE" if finding.note else "ok  "
    print(f"{mark} {name}: {finding.said}")
    if not finding.passed and finding.fix:
        print(f"{name}: {finding.fix}", file=sys.stderr)
    return finding.passed

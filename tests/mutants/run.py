"""`python -m tests.mutants.run [NAME...]`: puts each mutant into a copy of the tree and requires that its test fails there.

Exit codes: 0 every mutant was noticed, 1 one survived or no longer fits the code, 2 there is none of that name.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: What a copy needs to run a test; everything else (history, environments, data) stays where it is.
PARTS = ("services", "shared", "steadypath", "tests", "pyproject.toml")
#: pytest's exit code for "tests were run and some failed"; a collection error or a crash of its own is no verdict.
SOME_FAILED = 1


@dataclass(frozen=True)
class Mutant:
    name: str
    why: str
    file: str
    old: str
    new: str
    test: str


class StaleMutantError(Exception):
    """The code has moved on: the place that the mutant breaks is not there, or not only once."""


def mutants() -> list[Mutant]:
    """All mutants of this folder."""
    found = []
    for source in sorted(Path(__file__).parent.glob("*.toml")):
        entries = tomllib.loads(source.read_text("utf-8"))
        found += [Mutant(name=name, **entry) for name, entry in entries.items()]
    return found


def apply(mutant: Mutant, tree: Path) -> None:
    """Breaks the copy. Raises StaleMutantError where `old` does not stand there exactly once."""
    target = tree / mutant.file
    code = target.read_text("utf-8")
    old, new = "\n" + mutant.old, "\n" + mutant.new
    if code.count(old) != 1:
        raise StaleMutantError(f"{mutant.name}: its place stands {code.count(old)} times in {mutant.file}")
    target.write_text(code.replace(old, new), "utf-8")


def noticed(mutant: Mutant) -> bool:
    """Whether the mutant's test fails in a broken copy."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        tree = Path(folder)
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, tree / part)
        apply(mutant, tree)
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", mutant.test]
        outcome = subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=300, check=False)
        if outcome.returncode not in (0, SOME_FAILED):
            sys.stderr.write(outcome.stdout[-3000:] + outcome.stderr[-3000:])
            raise StaleMutantError(f"{mutant.name}: its test could not be run (pytest {outcome.returncode})")
        return outcome.returncode == SOME_FAILED


def main(names: list[str]) -> int:
    chosen = [mutant for mutant in mutants() if not names or mutant.name in names]
    if len(chosen) < len(names) or not chosen:
        sys.stderr.write("error: there is no mutant of that name\n")
        return 2
    survived = 0
    for mutant in chosen:
        try:
            dead = noticed(mutant)
        except StaleMutantError as error:
            sys.stderr.write(f"error: {error}\n")
            survived += 1
            continue
        sys.stdout.write(f"{'noticed ' if dead else 'SURVIVED'}  {mutant.name}: {mutant.why}\n")
        sys.stdout.flush()
        survived += not dead
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

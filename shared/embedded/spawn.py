"""How a process of ours starts another: tied to our life, in a group of its own choosing, with no terminal as its input."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_AS_CHILD = str(Path(__file__).with_name("as_child.py"))


def tied(command: list[str], *, signal_name: str = "SIGTERM", way: str | None = None) -> list[str]:
    """The same command, as a child that gets `signal_name` when this process dies, however it dies (Linux)."""
    how = ["--as", way] if way else []
    return [sys.executable, "-I", "-S", _AS_CHILD, *how, "--parent-dies", f"{signal_name}:{os.getpid()}", "--", *command]


def python(module: str, *arguments: str) -> list[str]:
    """A command line that says which service it is: `python -m services.scheduler`."""
    return [sys.executable, "-m", module, *arguments]

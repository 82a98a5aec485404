"""The phone simulator as a process of its own, forked from one that has imported it already.

`python -m steadypath.phone` spends most of a second of the processor on imports, and two hundred tests want a fresh one. What
runs is the same `main`, with the environment and the output that a started process would have; `up` starts the module itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from steadypath.phone.__main__ import main


@dataclass(frozen=True)
class Phone:
    """A running simulator; the part of `subprocess.Popen` that tests use."""

    process: ForkServerProcess

    def kill(self) -> None:
        self.process.kill()

    def terminate(self) -> None:
        self.process.terminate()

    def wait(self, timeout: float = 20) -> int:
        """The exit code, as the shell counts it: negative for a signal. Fails where it has not ended in time."""
        self.process.join(timeout)
        assert self.process.exitcode is not None, f"the simulator has not ended within {timeout:g} s"
        return self.process.exitcode


def start_phone(port: int, environment: Mapping[str, str], output: Path) -> Phone:
    """Returns at once; it answers `/readyz` when it is up. Output is appended to `output`."""
    process = _context().Process(target=_run, args=(port, dict(environment), str(output)), daemon=True)
    process.start()
    return Phone(process)


@cache
def _context() -> ForkServerContext:
    context = get_context("forkserver")
    context.set_forkserver_preload(["steadypath.phone.__main__"])
    return context


def _run(port: int, environment: dict[str, str], output: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    raise SystemExit(main(["--port", str(port)]))

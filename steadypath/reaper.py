"""Ends everything that a launcher started, if the launcher itself is gone (kill -9 included). Standard library only.

It is started first and leads the process group that all the others join. Its standard input is a pipe whose other end only
the launcher holds: when that closes, the group gets SIGTERM, then SIGINT (PostgreSQL's quick way), then SIGKILL.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

TERM_SECONDS = 4.0
INT_SECONDS = 4.0


def others(group: int) -> bool:
    """Whether anybody but this process is still in the group."""
    if not Path("/proc/self/stat").exists():  # macOS
        said = subprocess.run(["/bin/ps", "-A", "-o", "pid=,pgid="], capture_output=True, text=True, check=False).stdout
        pairs = [line.split() for line in said.splitlines()]
        return any(int(pgid) == group and int(pid) != os.getpid() for pid, pgid in pairs)
    processes = (entry for entry in Path("/proc").iterdir() if entry.name.isdigit() and int(entry.name) != os.getpid())
    return any(_in_group(entry, group) for entry in processes)


def _in_group(entry: Path, group: int) -> bool:
    try:
        # "pid (name, which may hold anything) state ppid pgrp ...": a dead process that nobody has collected does not count.
        state, _ppid, pgrp = (entry / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[:3]
    except OSError:
        return False
    return int(pgrp) == group and state not in "ZX"


def end(group: int) -> None:
    for number, seconds in ((signal.SIGTERM, TERM_SECONDS), (signal.SIGINT, INT_SECONDS)):
        if not others(group):
            return
        os.killpg(group, number)
        until = time.monotonic() + seconds
        while others(group) and time.monotonic() < until:
            time.sleep(0.05)
    if others(group):
        os.killpg(group, signal.SIGKILL)  # this process as well: it has done its work


def main() -> int:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.read(0, 4096):
        continue
    end(os.getpgrp())
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Becomes another program, tied to its parent's life, and not root where that program refuses root (PostgreSQL does).

Run by path with `python -I -S as_child.py [--as WAY] [--parent-dies SIGNAL:PID] -- PROGRAM ARGS...`: it imports nothing of
ours and nothing installed, so it is quick and works in any folder. Decision record 0001 says why it is done this way.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2
CAPABILITY_VERSION_3 = 0x20080522
INSIDE_ID = 1000
NOBODY = 65534


class Refused(Exception):
    """The kernel, or a container's seccomp profile, does not let us do this."""


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapData(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _must(outcome: int, what: str) -> None:
    if outcome != 0:
        raise Refused(f"{what}: {os.strerror(ctypes.get_errno())}")


def enter_user_namespace() -> None:
    """Be uid 1000 in a namespace of our own: outside we stay root, so every folder and file of root's remains ours."""
    uid, gid = os.getuid(), os.getgid()
    _must(_libc().unshare(CLONE_NEWUSER), "unshare")
    try:
        Path("/proc/self/setgroups").write_text("deny", "ascii")
        Path("/proc/self/uid_map").write_text(f"{INSIDE_ID} {uid} 1", "ascii")
        Path("/proc/self/gid_map").write_text(f"{INSIDE_ID} {gid} 1", "ascii")
    except OSError as error:
        raise Refused(f"uid_map: {error.strerror}") from error


def become_nobody() -> None:
    """Be uid 65534, keeping only the right to walk through folders: for containers that forbid user namespaces."""
    libc = _libc()
    _must(libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "keepcaps")
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    mask = (1 << CAP_DAC_OVERRIDE) | (1 << CAP_DAC_READ_SEARCH)
    data = (_CapData * 2)(_CapData(mask, mask, mask), _CapData(0, 0, 0))
    _must(libc.capset(ctypes.byref(_CapHeader(CAPABILITY_VERSION_3, 0)), data), "capset")
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        _must(libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0), "ambient capability")


WAYS = {"namespace": enter_user_namespace, "nobody": become_nobody}


def works(way: str, program: str, folder: str) -> bool:
    """Whether a process that goes this way can run `program` and own `folder`: tried in a child, which changes nothing here."""
    pid = os.fork()
    if pid == 0:
        try:
            WAYS[way]()
            # Really opened: access(2) asks for the real user without its capabilities.
            os.close(os.open(program, os.O_RDONLY))
            os.scandir(folder).close()
            os._exit(0)
        except BaseException:  # the child's only answer is its exit code
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def die_with_parent(number: int, parent: int) -> None:
    """Linux only; elsewhere the launcher's reaper does it. A parent that is gone already counts too."""
    if not sys.platform.startswith("linux"):
        return
    _libc().prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)


def main(args: list[str]) -> None:
    """`[--as WAY] [--parent-dies SIGNAL:PID] -- PROGRAM ARGS...`"""
    way, tie = "", ""
    while args[0] != "--":
        if args[0] == "--as":
            way = args[1]
        elif args[0] == "--parent-dies":
            tie = args[1]
        else:
            raise SystemExit(2)
        args = args[2:]
    if way:
        WAYS[way]()
    if tie:  # after the change of user: that clears it
        name, _, parent = tie.partition(":")
        die_with_parent(signal.Signals[name].value, int(parent))
    os.execv(args[1], args[1:])  # noqa: S606 - becoming another program is the point


if __name__ == "__main__":
    main(sys.argv[1:])

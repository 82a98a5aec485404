"""Makes .venv from a lock file on a Python that may lack venv, ensurepip and pip (Debian's python3 does): standard library only.

Run as `python3 -I bin/bootstrap.py LOCKFILE`. The environment is made by hand and filled by the pip wheel under bin/vendor, whose
checksum is compared first. No index is named anywhere: the user's own pip configuration decides. Two at once wait for each other.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VENDOR = ROOT / "bin" / "vendor"
# What a lock file's packages hold entirely: filling from the first makes the others true as well.
HOLDS = {"requirements-dev.lock": ("requirements-dev.lock", "requirements.lock"), "requirements.lock": ("requirements.lock",)}


class BootstrapError(Exception):
    """One line for the operator."""


def say(line: str) -> None:
    print(f"steadypath: {line}", file=sys.stderr, flush=True)


def current(lock: str) -> bool:
    made_from = VENV / "installed" / lock
    return python().exists() and made_from.exists() and made_from.read_bytes() == (ROOT / lock).read_bytes()


def python() -> Path:
    return VENV / "bin" / "python"


def make_by_hand() -> None:
    """What `python -m venv --without-pip` makes, for a Python whose distributor took venv out."""
    base = Path(getattr(sys, "_base_executable", None) or sys.executable).resolve()
    for name in ("bin", "lib", "lib64", "include", "installed"):
        stale = VENV / name
        if stale.is_symlink():
            stale.unlink()
        else:
            shutil.rmtree(stale, ignore_errors=True)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    packages = VENV / "lib" / f"python{version}" / "site-packages"
    packages.mkdir(parents=True)
    if sys.maxsize > 2**32 and sys.platform != "darwin":
        (VENV / "lib64").symlink_to("lib")
    (VENV / "bin").mkdir()
    (VENV / "bin" / "python").symlink_to(base)
    for name in ("python3", f"python{version}"):
        (VENV / "bin" / name).symlink_to("python")
    configuration = f"home = {base.parent}\ninclude-system-site-packages = false\nversion = {sys.version.split()[0]}\n"
    (VENV / "pyvenv.cfg").write_text(configuration, "utf-8")


def usable() -> bool:
    """Whether the environment that is there belongs to a Python that still runs, and is of the right version."""
    probe = "import sys; sys.exit(sys.version_info < (3, 11) or sys.prefix == sys.base_prefix)"
    return python().exists() and subprocess.run([python(), "-I", "-c", probe], check=False, capture_output=True).returncode == 0


def pip_wheel() -> Path:
    name, expected = (VENDOR / "pip.sha256").read_text("ascii").split()[::-1]
    wheel = VENDOR / name
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != expected:
        raise BootstrapError(f"bin/vendor/{name} is not the file it should be: its SHA-256 differs from bin/vendor/pip.sha256")
    return wheel


def install(lock: str) -> None:
    """Fill the environment. Where the packages come from is the user's pip configuration; what they are is in the lock."""
    astray = ("PIP_TARGET", "PIP_PREFIX", "PYTHONPATH", "PYTHONHOME")
    settings = {key: value for key, value in os.environ.items() if key not in astray}
    settings |= {"PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    command = [
        str(python()),
        str(pip_wheel() / "pip"),
        "install",
        "--quiet",
        "--require-hashes",
        "--no-deps",
        "--only-binary=:all:",
    ]
    done = subprocess.run([*command, "-r", str(ROOT / lock)], env=settings, check=False, stdout=sys.stderr.fileno())
    if done.returncode != 0:
        raise BootstrapError(f"the packages of {lock} could not be installed (pip's own words are above); run the command again")


def fill(lock: str) -> None:
    if not usable():
        say(f"first run: making .venv with Python {sys.version.split()[0]}")
        make_by_hand()
    count = sum(1 for line in (ROOT / lock).read_text("utf-8").splitlines() if "==" in line)
    say(f"installing what {lock} names ({count} packages); this happens once and after each change of that file")
    marks = VENV / "installed"
    shutil.rmtree(marks, ignore_errors=True)  # until all is in, nothing is
    install(lock)
    marks.mkdir()
    for name in HOLDS[lock]:
        shutil.copyfile(ROOT / name, marks / f"{name}.new")
        (marks / f"{name}.new").rename(marks / name)


def main(lock: str) -> int:
    VENV.mkdir(exist_ok=True)
    with (VENV / ".lock").open("w", encoding="ascii") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another first run is at work; waiting for it")
            fcntl.flock(held, fcntl.LOCK_EX)
        if not current(lock):
            fill(lock)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except (BootstrapError, OSError) as error:
        say(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        say("stopped before the environment was complete; the next run goes on")
        sys.exit(1)

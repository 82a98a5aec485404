"""Who may import whom (.importlinter), checked with the tests, and seen to catch what it is for."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINT = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()", "--no-cache"]


def linted(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(LINT, cwd=folder, capture_output=True, text=True, check=False)


def test_import_contracts_are_kept() -> None:
    done = linted(ROOT)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("house")
    for name in ("shared", "services", "steadypath"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".importlinter", folder)
    return folder


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("services/scheduler/commands.py", "import services.notifier.said", "Services never import each other"),
        ("shared/due.py", "import services.adherence.storage", "shared imports no service and no tool"),
        ("services/notifier/switch.py", "import steadypath.doctor", "Services know nothing of the operator's tools"),
        ("services/adherence/domain/alerts.py", "import shared.messaging.unit", "A domain is the standard library and itself"),
        ("services/scheduler/domain/plan.py", "import sqlalchemy", "A domain is the standard library and itself"),
        ("shared/rotation.py", "from importlib import import_module", "shared and services import nothing by a name"),
        ("services/notifier/sealed.py", "import importlib.util", "shared and services import nothing by a name"),
        ("shared/service.py", "import shared.embedded.kafka", "What serves in production does not need the embedded parts"),
    ],
)
def test_each_contract_catches_its_break(copy: Path, file: str, line: str, contract: str) -> None:
    path = copy / file
    before = path.read_text("utf-8")
    path.write_text(f"{before}\n{line}\n", "utf-8")
    try:
        done = linted(copy)
    finally:
        path.write_text(before, "utf-8")
    assert done.returncode == 1
    assert f"{contract} BROKEN" in done.stdout

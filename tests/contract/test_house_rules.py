"""Rules of the house that no linter knows: one clock, no SQL clock in clinical code, pure domains, a key on every route."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = sorted(path for folder in ("shared", "services", "steadypath") for path in (ROOT / folder).rglob("*.py"))
SERVICES = [path for path in PRODUCT if path.is_relative_to(ROOT / "services")]

#: Words by which SQL reads the server's clock.
_SQL_CLOCK = re.compile(
    r"\bnow\(\)|\b(clock_timestamp|statement_timestamp|transaction_timestamp)\b|\btimeofday\(\)|\bcurrent_(timestamp|date|time)\b|\blocaltimestamp\b",
    re.IGNORECASE,
)
#: Where machine time belongs: leases, ages, retention of messaging, and the comparison of the clocks themselves.
_MACHINE = ("shared/messaging/", "shared/restore/mode.py", "shared/health.py", "shared/embedded/", "steadypath/doctor.py")
_CLOCK_READS = ("now", "utcnow", "today", "time", "time_ns", "fromtimestamp")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """String constants that are not docstrings."""
    documented = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented:
            yield node.lineno, node.value


def sql_clocks(source: str) -> list[int]:
    """Lines whose SQL reads the server's clock, other than for a column that says so in its name (`lease_until_machine`)."""
    lines = source.splitlines()
    found = [line for line, text in texts(ast.parse(source)) if _SQL_CLOCK.search(text)]
    return [line for line in found if "_machine" not in lines[line - 1]]


def func_clocks(source: str) -> list[int]:
    """`func.now()`, `func.current_timestamp()` and so on, whatever `func` was imported as."""
    names = (
        "now",
        "current_timestamp",
        "current_date",
        "current_time",
        "clock_timestamp",
        "statement_timestamp",
        "localtimestamp",
    )
    lines = source.splitlines()
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute)
        and "_machine" not in lines[node.lineno - 1]
        and node.attr in names
        and isinstance(node.value, ast.Name)
        and node.value.id in ("func", "functions", "sqlalchemy")
    ]


def clock_reads(source: str) -> list[int]:
    """`datetime.now()`, `date.today()`, `time.time()` and the like. `monotonic` measures durations and is no clock."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in _CLOCK_READS
        and ast.unparse(node.func.value).split(".")[-1] in ("datetime", "date", "time")
    ]


@pytest.mark.parametrize("path", [path for path in PRODUCT if not relative(path).startswith(_MACHINE)], ids=relative)
def test_no_sql_reads_the_servers_clock(path: Path) -> None:
    source = path.read_text("utf-8")
    assert sql_clocks(source) + func_clocks(source) == [], "clinical time is a bind parameter: unit.now"


@pytest.mark.parametrize("path", [path for path in PRODUCT if relative(path) != "shared/clock.py"], ids=relative)
def test_only_the_clock_reads_the_clock(path: Path) -> None:
    allowed = "# noqa: TID251"
    lines = path.read_text("utf-8").splitlines()
    reads = [
        line
        for line in clock_reads("\n".join(lines))
        if allowed not in lines[line - 1] and "fromtimestamp" not in lines[line - 1]
    ]
    assert reads == []
    if path in SERVICES:
        assert not any(allowed in line for line in lines), "a service takes clinical time from unit.now, without exception"


@pytest.mark.parametrize(
    "source",
    [
        'sql = "SELECT * FROM due WHERE due_at <= now()"',
        'sql = text("UPDATE x SET at = CURRENT_TIMESTAMP")',
        'column = Column("at", server_default=text("clock_timestamp()"))',
        "query.where(due.c.at <= func.now())",
        "sqlalchemy.func.now",
    ],
)
def test_the_search_for_sql_clocks_finds_them(source: str) -> None:
    found = sql_clocks(source) + func_clocks(source)
    assert found == ([1] if source != "sqlalchemy.func.now" else [])


@pytest.mark.parametrize("source", ["datetime.now(UTC)", "datetime.datetime.utcnow()", "date.today()", "time.time()"])
def test_the_search_for_clock_reads_finds_them(source: str) -> None:
    assert clock_reads(source) == [1]


def test_a_docstring_may_speak_of_now() -> None:
    assert sql_clocks('"""Never SQL now()."""') == []


#: The standard library, but for what does things: a domain decides.
_DOING = {
    "asyncio",
    "socket",
    "subprocess",
    "threading",
    "multiprocessing",
    "os",
    "sys",
    "random",
    "secrets",
    "time",
    "logging",
    "urllib",
    "http",
    "sqlite3",
}


@pytest.mark.parametrize("path", [path for path in SERVICES if "domain" in path.parts], ids=relative)
def test_a_domain_imports_only_what_decides(path: Path) -> None:
    package = ".".join(path.relative_to(ROOT).parts[:3])
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names = [node.module or ""]
        for name in names:
            top = name.split(".")[0]
            own = name == package or name.startswith(package + ".")
            assert own or (top in sys.stdlib_module_names and top not in _DOING), f"{name} in a domain"

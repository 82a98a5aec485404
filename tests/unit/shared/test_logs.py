"""Nothing leaks through a log line: not by a key, a value, an exception, a library or a forgotten context."""

from __future__ import annotations

import ast
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from shared import logs
from shared.logs import ALLOWED, Reduced, allow_list, bound, log

ROOT = Path(__file__).resolve().parents[3]
CANARY = "Zyxcanary"
PHONE = "+15550001234"


@pytest.fixture
def lines() -> Iterator[list[dict[str, object]]]:
    """What would be written, as the last processor sees it."""
    kept: list[dict[str, object]] = []

    def keep(_logger: object, _method: str, line: structlog.types.EventDict) -> str:
        kept.append(dict(line))
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, allow_list, keep])
    yield kept
    structlog.configure(**before)


def test_allowed_fields_pass(lines: list[dict[str, object]]) -> None:
    event_id = uuid4()
    log("outbox published", rows=12, topic="plans.v1", event_id=event_id, route="/scheduler/patients/{raw}/plan")
    assert lines == [
        {
            "event": "outbox published",
            "rows": 12,
            "topic": "plans.v1",
            "event_id": str(event_id),
            "route": "/scheduler/patients/{raw}/plan",
        }
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"phone": PHONE},
        {"patient_id": uuid4()},
        {"body": CANARY},
        {"name": CANARY},
        {"name": "two words"},
        {"reason": PHONE},
        {"reason": "5550001234"},
        {"event_id": CANARY},
        {"rows": CANARY},
        {"error": "ValueError: " + CANARY},
        {"route": "/scheduler/patients/12345/plan"},
        {"route": f"/scheduler/patients/{uuid4()}/plan"},
        {"place": f"file.py:1: {CANARY}"},
        {"topic": {"nested": CANARY}},
        {"rows": [PHONE]},
        {"kind": CANARY.encode()},
    ],
)
def test_everything_else_is_dropped_and_counted(lines: list[dict[str, object]], fields: dict[str, Any]) -> None:
    before = logs.refused.total()
    log("something happened", **fields)
    assert lines == [{"event": "something happened", "dropped": 1}]
    assert logs.refused.total() == before + 1


@pytest.mark.parametrize("event", [f"hello {PHONE}", "Zyxcanary took", "", "x" * 200, "a\nb c d"])
def test_the_event_itself_is_a_fixed_sentence(lines: list[dict[str, object]], event: str) -> None:
    log(event)
    assert [line["event"] for line in lines] == ["unnamed"]


@given(value=st.text(min_size=1), key=st.sampled_from(sorted(ALLOWED)))
def test_no_allowed_key_takes_a_sentence_or_a_number(value: str, key: str) -> None:
    """Whatever text stands behind an allowed key, a space, an upper-case word among slugs or seven digits never come through."""
    line = allow_list(None, "info", {"event": "some event", key: f"{value} {PHONE}"})
    assert PHONE not in json.dumps(dict(line))


def test_an_exception_is_a_class_and_a_place(lines: list[dict[str, object]]) -> None:
    def fail() -> None:
        try:
            vars()[CANARY]
        except KeyError as cause:
            raise ValueError(PHONE) from cause

    try:
        fail()
    except ValueError as error:
        log.failure("pass failed", error, name="ticker")
    [line] = lines
    assert (line["error"], line["cause"], line["name"]) == ("ValueError", "KeyError", "ticker")
    assert str(line["place"]).startswith("tests/unit/shared/test_logs.py:fail:")
    assert CANARY not in str(line)
    assert PHONE not in str(line)


def test_a_library_is_reduced_to_where_it_spoke(lines: list[dict[str, object]]) -> None:
    logger = logging.Logger("twilio.http_client")
    logger.addHandler(Reduced())
    try:
        int(CANARY)
    except ValueError:
        logger.exception("To=%s %s", PHONE, CANARY)
    [line] = lines
    assert (line["event"], line["logger"], line["error"]) == ("library", "twilio.http_client", "ValueError")
    assert CANARY not in str(line)
    assert PHONE not in str(line)


def test_a_library_that_repeats_itself_is_heard_once_and_counted(lines: list[dict[str, object]]) -> None:
    handler = Reduced(quiet_seconds=10)
    record = logging.LogRecord("aiokafka", logging.ERROR, "conn.py", 7, "%s", (CANARY,), None, "connect")
    for second in (0, 1, 9, 11):
        record.created = 1000.0 + second
        handler.emit(record)
    assert [line.get("repeated") for line in lines] == [None, 2]


def test_bound_fields_do_not_outlive_their_block(lines: list[dict[str, object]]) -> None:
    with bound(correlation_id=UUID(int=7)):
        log("inside the block")
    log("after the block")
    assert "correlation_id" in lines[0]
    assert "correlation_id" not in lines[1]


def test_a_configured_process_never_prints_a_value(tmp_path: Path) -> None:
    """Libraries, warnings, failing log calls, threads and the last exception of a real process."""
    code = f"""
import logging, threading, warnings, asyncio
from shared import logs
logs.configure("notifier", "both")
logging.getLogger("aiokafka.conn").error("connect {PHONE}")
logging.getLogger("uvicorn.access").error("{CANARY}")
logging.getLogger("twilio").error("{CANARY}")
logging.getLogger("broken").error("%d", "{CANARY}")
warnings.warn("{CANARY}")
thread = threading.Thread(target=lambda: int("{CANARY}")); thread.start(); thread.join()
async def forgotten():
    asyncio.get_running_loop().call_soon(lambda: int("{CANARY}"))
    await asyncio.sleep(0)
asyncio.run(forgotten())
logs.log("last words", name="{PHONE}")
int("{CANARY}")
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    said = ended.stdout + ended.stderr
    assert ended.returncode == 1
    assert CANARY not in said
    assert PHONE not in said
    events = [json.loads(line)["event"] for line in ended.stdout.splitlines()]
    assert {"library", "uncaught in a thread", "last words", "uncaught"} <= set(events)
    assert ended.stderr == ""


def _calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call of `log(...)`, `log.info(...)`, `runtime.log(...)` and so on in product code."""
    for folder in ("shared", "services"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and _is_log(node.func):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def _is_log(target: ast.expr) -> bool:
    if isinstance(target, ast.Attribute) and target.attr in ("debug", "info", "warning", "error", "failure"):
        target = target.value
    return (isinstance(target, ast.Name) and target.id == "log") or (isinstance(target, ast.Attribute) and target.attr == "log")


def test_every_log_call_uses_allowed_keys_and_a_constant_sentence() -> None:
    faults = []
    for where, call in _calls():
        unknown = [word.arg for word in call.keywords if word.arg not in ALLOWED and word.arg not in ("level", None)]
        sentence = call.args[0] if call.args else None
        constant = isinstance(sentence, ast.Constant) and isinstance(sentence.value, str)
        if unknown or not constant or not logs._EVENT.fullmatch(str(getattr(sentence, "value", ""))):
            faults.append(f"{where}: {unknown or 'not a constant lower-case sentence'}")
    assert faults == []


def test_the_search_for_log_calls_finds_some() -> None:
    assert len(list(_calls())) > 20
    call = ast.parse("runtime.log.warning('x')", mode="eval").body
    assert isinstance(call, ast.Call)
    assert _is_log(call.func)

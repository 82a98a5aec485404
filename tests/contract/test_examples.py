"""Events as they were once written stay readable for ever: they lie in Kafka, in outboxes and on parked desks.

Examples are append-only. A new shape of an event gets a new file; one that no longer decodes is a break of the contract.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from shared.events.registry import EVENTS, TOPICS
from shared.messaging.codec import body_of, decode

FOLDER = Path(__file__).parent / "examples"
EXAMPLES = sorted(FOLDER.rglob("*.json"))


def read(path: Path) -> tuple[dict[str, str], bytes]:
    record = json.loads(path.read_text("utf-8"))
    return record["headers"], json.dumps(record["body"]).encode()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_example_decodes_for_ever(path: Path) -> None:
    headers, body = read(path)
    decoded = decode([(name, value.encode()) for name, value in headers.items()], body)
    assert decoded.event is not None
    assert decoded.event.type == path.parent.name
    assert decoded.envelope.subject == str(decoded.event.key)
    assert decoded.envelope.source == f"/steadypath/{TOPICS[decoded.event.topic].said_by}"
    again = json.loads(body_of(decoded.event))
    assert {name: again[name] for name in json.loads(body)} == json.loads(body), "a value of the example was lost or changed"


def test_every_event_has_an_example() -> None:
    shown = {f"{path.parent.name}.{path.stem.split('-')[0]}" for path in EXAMPLES}
    assert set(EVENTS) - shown == set()


def test_examples_are_append_only() -> None:
    """No commit changed or removed one."""
    log = ["git", "log", "--format=", "--name-only", "--diff-filter=DMR", "--", str(FOLDER)]
    asked = subprocess.run(log, cwd=FOLDER, capture_output=True, text=True, check=False)
    assert asked.returncode != 0 or asked.stdout.split() == []
    status = ["git", "status", "--porcelain", "--", str(FOLDER)]
    changed = subprocess.run(status, cwd=FOLDER, capture_output=True, text=True, check=False).stdout.splitlines()
    assert [line for line in changed if not line.startswith(("??", "A "))] == []

"""The committed contracts are what the models say, and what was ever valid stays readable."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.events import schemas
from shared.events.compatibility import breaks
from shared.events.registry import EVENTS, SERVICES, TOPICS

ROOT = Path(__file__).resolve().parents[2]
Schema = dict[str, Any]


def test_committed_contracts_are_what_the_models_say() -> None:
    assert schemas.stale() == [], "run `python -m shared.events.schemas`"


def test_no_model_breaks_what_is_committed_at_head() -> None:
    """Compared with Git's last commit too, so that regenerating the files cannot hide a break."""
    for name, model in EVENTS.items():
        shown = subprocess.run(
            ["git", "show", f"HEAD:docs/contracts/{schemas.file_of(name)}"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        if shown.returncode == 0:
            assert breaks(json.loads(shown.stdout), schemas.schema_of(model)) == [], name


OLD: Schema = {
    "type": "object",
    "$defs": {"Dose": {"type": "object", "properties": {"unit": {"type": "string", "maxLength": 9}}, "required": ["unit"]}},
    "properties": {
        "at": {"type": "string", "format": "date-time"},
        "why": {"enum": ["a", "b"], "type": "string"},
        "kind": {"const": "x", "type": "string"},
        "count": {"type": "integer", "minimum": 0, "maximum": 9},
        "item": {"anyOf": [{"type": "string", "pattern": "^a"}, {"type": "null"}], "default": None},
        "doses": {"type": "array", "items": {"$ref": "#/$defs/Dose"}},
        "free": {},
    },
    "required": ["at", "why"],
}


def put(path: str, value: object) -> Callable[[Schema], None]:
    """A change of OLD: sets the value at the slash-separated path."""

    def change(schema: Schema) -> None:
        *parents, last = path.split("/")
        target: Any = schema
        for part in parents:
            target = target[int(part) if isinstance(target, list) else part]
        target[last] = value

    return change


def drop(path: str) -> Callable[[Schema], None]:
    def change(schema: Schema) -> None:
        *parents, last = path.split("/")
        target: Any = schema
        for part in parents:
            target = target[part]
        del target[last]

    return change


BREAKING = {
    "a field removed": drop("properties/count"),
    "a nested field removed": drop("$defs/Dose/properties/unit"),
    "a new required field": put("required", ["at", "why", "new"]),
    "an optional field made required": put("required", ["at", "why", "count"]),
    "a nested field made required": put("$defs/Dose/required", ["unit", "mg"]),
    "a type changed": put("properties/count/type", "string"),
    "a type narrowed": put("properties/item/anyOf", [{"type": "string", "pattern": "^a"}]),
    "anything narrowed to a type": put("properties/free", {"type": "string"}),
    "an enum value removed": put("properties/why/enum", ["a"]),
    "a free value enumerated": put("properties/at/enum", ["now"]),
    "a constant changed": put("properties/kind/const", "y"),
    "a pattern added": put("properties/at/pattern", "^2"),
    "a pattern changed inside a choice": put("properties/item/anyOf/0/pattern", "^b"),
    "a format changed": put("properties/at/format", "date"),
    "a maximum lowered": put("properties/count/maximum", 8),
    "a maximum added": put("properties/at/maxLength", 30),
    "a minimum raised": put("properties/count/minimum", 1),
    "a nested limit lowered": put("$defs/Dose/properties/unit/maxLength", 8),
    "list items narrowed": put("properties/doses/items", {"type": "string"}),
    "unknown fields refused": put("additionalProperties", False),
}
COMPATIBLE = {
    "nothing": lambda schema: None,
    "an optional field added": put("properties/new", {"type": "string"}),
    "a required field made optional": put("required", ["at"]),
    "an enum value added": put("properties/why/enum", ["a", "b", "c"]),
    "an integer widened to a number": put("properties/count/type", "number"),
    "a choice added": put("properties/item/anyOf", [{"type": "integer"}, {"type": "string", "pattern": "^a"}, {"type": "null"}]),
    "a single type made a choice": put("properties/at", {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}),
    "a limit lifted": drop("properties/count/maximum"),
    "a nested optional field added": put("$defs/Dose/properties/note", {"type": "string"}),
    "words changed": put("title", "Another title"),
}


@pytest.mark.parametrize("name", sorted(BREAKING))
def test_each_break_is_caught(name: str) -> None:
    new = copy.deepcopy(OLD)
    BREAKING[name](new)
    assert breaks(OLD, new) != []


@pytest.mark.parametrize("name", sorted(COMPATIBLE))
def test_each_widening_passes(name: str) -> None:
    new = copy.deepcopy(OLD)
    COMPATIBLE[name](new)
    assert breaks(OLD, new) == []


def test_a_field_that_refers_to_itself_ends() -> None:
    tree: Schema = {
        "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}},
        "$ref": "#/$defs/Node",
    }
    assert breaks(tree, tree) == []


@pytest.fixture
def committed(tmp_path: Path) -> Path:
    folder = tmp_path / "contracts"
    shutil.copytree(schemas.FOLDER, folder)
    return folder


def test_the_command_says_what_differs_and_writes_nothing(committed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert schemas.main(["--check"], committed) == 0
    file = committed / "dose-due.v1.schema.json"
    file.write_text(file.read_text("utf-8").replace("One slot of the day", "A slot"), "utf-8")
    (committed / "asyncapi.json").unlink()
    assert schemas.main(["--check"], committed) == 1
    assert capsys.readouterr().err.splitlines() == [
        "error: asyncapi.json: not what the models say",
        "error: dose-due.v1.schema.json: not what the models say",
    ]
    assert not (committed / "asyncapi.json").exists()
    assert schemas.main([], committed) == 0
    assert schemas.stale(committed) == []


def test_the_command_refuses_a_break_and_a_vanished_event(committed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = committed / "dose-due.v1.schema.json"
    schema = json.loads(file.read_text("utf-8"))
    schema["properties"]["dose_form"] = {"type": "string"}
    file.write_text(json.dumps(schema), "utf-8")
    shutil.copy(committed / "dose-taken.v1.schema.json", committed / "dose-given.v1.schema.json")
    before = file.read_text("utf-8")
    assert schemas.main([], committed) == 1
    said = capsys.readouterr().err
    assert "dose-due.v1: dose_form: the field would be removed" in said
    assert "dose-given.v1: the event is gone" in said
    assert file.read_text("utf-8") == before


def test_asyncapi_names_every_event_once_with_who_says_and_hears_it() -> None:
    document = schemas.asyncapi()
    in_channels = [name for channel in document["channels"].values() for name in channel["messages"]]
    assert sorted(in_channels) == sorted(EVENTS)
    actions = {name: operation["action"] for name, operation in document["operations"].items()}
    assert {name.split("-")[0] for name in actions} == set(SERVICES)
    assert list(actions.values()).count("send") == len(TOPICS)
    assert list(actions.values()).count("receive") == sum(len(topic.heard_by) for topic in TOPICS.values())


def test_every_reference_in_asyncapi_leads_somewhere() -> None:
    document = schemas.asyncapi()
    files = schemas.documents()

    def check(node: object) -> None:
        if isinstance(node, dict):
            reference = node.get("$ref")
            if isinstance(reference, str) and reference.startswith("./"):
                assert reference.removeprefix("./") in files
            elif isinstance(reference, str):
                target: Any = document
                for part in reference.removeprefix("#/").split("/"):
                    target = target[part]
            for value in node.values():
                check(value)
        elif isinstance(node, list):
            for value in node:
                check(value)

    check(document)

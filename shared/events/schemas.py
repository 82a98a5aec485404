"""Writes the contracts from the one registry: a JSON Schema for each event version, and one AsyncAPI 3 document.

`python -m shared.events.schemas` writes docs/contracts/; it refuses (exit 1) to overwrite a schema by one that would break its
readers or writers: then a new event version is needed. `--check` only compares (exit 1 where the files differ from what it says).
"""

from __future__ import annotations

import argparse
import json
import sys
from inspect import cleandoc
from pathlib import Path
from typing import Any

from shared.events.base import Event
from shared.events.compatibility import breaks
from shared.events.registry import EVENTS, TOPICS, Topic, group_of

#: Contracts in the same folder that are no events: the native format of `steadypath enrol` has its own test.
OTHERS = frozenset({"native-plan.v1.schema.json"})
FOLDER = Path(__file__).resolve().parents[2] / "docs" / "contracts"
ASYNCAPI = "asyncapi.json"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_UUID = {"type": "string", "format": "uuid"}
#: CloudEvents 1.0, binary mode over Kafka (shared/messaging/codec.py). What has no UUID form is a fixed word or a time.
_HEADERS = {
    "type": "object",
    "required": ["ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "ce_subject", "ce_correlationid", "ce_clinicid"],
    "properties": {
        "ce_specversion": {"const": "1.0"},
        "ce_id": _UUID,
        "ce_type": {"type": "string", "description": "Event type and version, such as dose-due.v1."},
        "ce_source": {"type": "string", "description": "/steadypath/ and the service."},
        "ce_time": {"type": "string", "format": "date-time", "description": "Clinical time at which it was said, UTC."},
        "ce_subject": {**_UUID, "description": "The Kafka key: the patient, or the clinic where there is none."},
        "ce_correlationid": _UUID,
        "ce_causationid": {**_UUID, "description": "The event that caused this one."},
        "ce_clinicid": _UUID,
        "content-type": {"const": "application/json"},
        "traceparent": {"type": "string"},
        "repair": {"type": "string", "pattern": "^[0-9]+$", "description": "The relay's repair number."},
    },
}


def file_of(full_type: str) -> str:
    """`dose-due.v1` -> `dose-due.v1.schema.json`."""
    return f"{full_type}.schema.json"


def schema_of(model: type[Event]) -> dict[str, Any]:
    """What a reader of this event version accepts. Unknown fields are allowed: a newer producer may add some."""
    schema = model.model_json_schema(mode="validation")
    described = cleandoc(model.__doc__) if "__doc__" in vars(model) and model.__doc__ else model.type.replace("-", " ")
    name = f"{model.type}.v{model.version}"
    return {"$schema": _DIALECT, "$id": f"urn:steadypath:event:{name}", **schema, "title": name, "description": described}


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3 document of all topics, messages and who sends and receives them."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Steadypath events",
            "version": "1",
            "description": "Key: patient id, or clinic id where there is no patient. JSON body, CloudEvents 1.0 binary headers.",
        },
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic) for topic in TOPICS.values()},
        "operations": _operations(),
        "components": {
            "messages": {name: _message(name, model) for name, model in sorted(EVENTS.items())},
            "schemas": {"headers": _HEADERS},
        },
    }


def _of(topic: Topic) -> list[str]:
    return sorted(name for name, model in EVENTS.items() if model.topic == topic.name)


def _channel(topic: Topic) -> dict[str, Any]:
    return {
        "address": topic.name,
        "description": f"Said by {topic.said_by}, heard by {', '.join(topic.heard_by)}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _of(topic)},
    }


def _message(name: str, model: type[Event]) -> dict[str, Any]:
    return {
        "name": name,
        "summary": schema_of(model)["description"].splitlines()[0],
        "contentType": "application/json",
        "headers": {"$ref": "#/components/schemas/headers"},
        "payload": {"$ref": f"./{file_of(name)}"},
        "tags": [{"name": model.nature}],
        "bindings": {"kafka": {"key": _UUID}},
    }


def _operations() -> dict[str, Any]:
    operations: dict[str, Any] = {}
    for topic in TOPICS.values():
        stream = topic.name.split(".", maxsplit=1)[0]
        messages = [{"$ref": f"#/channels/{topic.name}/messages/{name}"} for name in _of(topic)]
        common = {"channel": {"$ref": f"#/channels/{topic.name}"}, "messages": messages}
        operations[f"{topic.said_by}-sends-{stream}"] = {"action": "send", **common}
        for reader in topic.heard_by:
            group = {"kafka": {"groupId": {"const": group_of(reader)}}}
            operations[f"{reader}-receives-{stream}"] = {"action": "receive", **common, "bindings": group}
    return operations


def documents() -> dict[str, str]:
    """File name -> content, for everything in docs/contracts."""
    files = {file_of(name): schema_of(model) for name, model in EVENTS.items()}
    return {name: json.dumps(body, indent=2, ensure_ascii=False) + "\n" for name, body in {**files, ASYNCAPI: asyncapi()}.items()}


def stale(folder: Path = FOLDER) -> list[str]:
    """Files that are missing, differ, or belong to no event any more."""
    wanted = documents()
    found = {path.name: path.read_text("utf-8") for path in folder.glob("*.json") if path.name not in OTHERS}
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


def broken(folder: Path = FOLDER) -> list[str]:
    """Why the committed schemas may not be replaced by the present models; a schema that would vanish counts."""
    faults: list[str] = []
    for path in sorted(folder.glob("*.schema.json")):
        name = path.name.removesuffix(".schema.json")
        if path.name in OTHERS:
            continue
        if name not in EVENTS:
            faults.append(f"{name}: the event is gone; what is stored or in Kafka could not be read")
            continue
        old = json.loads(path.read_text("utf-8"))
        faults += [f"{name}: {fault}" for fault in breaks(old, schema_of(EVENTS[name]))]
    return faults


def main(argv: list[str], folder: Path = FOLDER) -> int:
    """Exit codes: 0 done or equal, 1 refused or different, 2 wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m shared.events.schemas", description="Event contracts from the registry.")
    parser.add_argument("--check", action="store_true", help="compare only, write nothing")
    check = parser.parse_args(argv).check
    faults = broken(folder) or ([f"{name}: not what the models say" for name in stale(folder)] if check else [])
    for fault in faults:
        sys.stderr.write(f"error: {fault}\n")
    if faults or check:
        return 1 if faults else 0
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in documents().items():
        (folder / name).write_text(content, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Reads files that anybody may have made: each bad one gives a single clear line, and none can exhaust the machine.

Size and encoding are settled here; what the text says is read strictly by strict_json.py and strict_yaml.py. Refusals never
quote content.
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shared.defaults import default
from steadypath.enrol.outcome import Refusal

JSON_OR_YAML = "a UTF-8 text file: FHIR R4 as JSON (one resource, a Bundle, or .ndjson), or the native format as YAML or JSON"
Kind = Literal["json", "ndjson", "yaml"]
_MAGIC = (b"PK\x03\x04", b"\x1f\x8b", b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"SQLite", b"\x7fELF", b"\xd0\xcf\x11\xe0", b"BZh")
_CONTROL = re.compile(r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True)
class Document:
    """A file's text, and what it looks like."""

    kind: Kind
    text: str


def read(path: str) -> Document:
    """The text of a file. Raises Refusal for anything that is no text file of reasonable size."""
    raw = _bytes(Path(path))
    text = _decoded(raw)
    if "\x00" in text or _CONTROL.search(text, 0, 4096):
        raise Refusal(None, "This is a binary file, or holds control characters.", JSON_OR_YAML)
    if not text.strip():
        raise Refusal(None, "The file is empty.", JSON_OR_YAML)
    return Document(_kind(path, text), text)


def _bytes(path: Path) -> bytes:
    limit = int(default("enrol", "file_limit"))
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise Refusal(None, "This is not a regular file.", JSON_OR_YAML)
        if about.st_size > limit:
            raise Refusal(None, "The file is too large.", f"at most {limit // 2**20} MiB; split it, or send .ndjson in parts")
        with path.open("rb") as file:
            return file.read(limit + 1)
    except FileNotFoundError:
        raise Refusal(None, "There is no such file.", JSON_OR_YAML) from None
    except (OSError, ValueError):
        raise Refusal(None, "The file cannot be read.", "a file that you may read") from None


def _decoded(raw: bytes) -> str:
    if raw.startswith(_MAGIC):
        raise Refusal(None, "This is a binary file.", JSON_OR_YAML)
    encoding = "utf-8-sig"
    if raw.startswith((b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")):
        raise Refusal(None, "The file is in UTF-32.", JSON_OR_YAML)
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        if b"\x00" in raw:
            raise Refusal(None, "This is a binary file.", JSON_OR_YAML) from None
        line = raw.count(b"\n", 0, error.start) + 1
        raise Refusal(f"line {line}", "The file is not in UTF-8.", "UTF-8 (UTF-16 with a byte order mark is taken too)") from None


def _kind(path: str, text: str) -> Kind:
    suffix = Path(path).suffix.lower()
    first = text.lstrip()[0]
    if suffix in (".ndjson", ".jsonl"):
        return "ndjson"
    if first == "<":
        raise Refusal(None, "This looks like XML or HTML.", JSON_OR_YAML)
    return "json" if first in "{[" or suffix == ".json" else "yaml"

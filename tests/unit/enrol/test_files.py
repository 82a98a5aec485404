"""Every kind of bad file gives one clear line, quickly, and never its content."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steadypath.enrol import files, strict_json
from steadypath.enrol.fhir import bundle
from steadypath.enrol.intake import PatientIntake
from steadypath.enrol.outcome import Refusal, Row
from steadypath.enrol.strict_yaml import yaml_whole
from tests.unit.enrol import orders

WHOLE = json.dumps(orders.in_bundle(orders.patient(), orders.request(orders.dosage(orders.often(1)))), indent=1)


def refusal_of(path: Path) -> Refusal:
    """As a command reads it: the file, then the resources in it."""
    try:
        document = files.read(str(path))
    except Refusal as refusal:
        return refusal
    found = bundle.read([(str(path), document)], orders.SETTING)
    assert not list(found.patients), "nothing half done"
    (row,) = found.rows
    assert (row.item, row.outcome) == (None, "refused")
    return Refusal(row.element, row.reason or "", row.accepted)


BAD: list[tuple[str, bytes, str]] = [
    ("empty.json", b"", "empty"),
    ("spaces.json", b" \n\t ", "empty"),
    ("zip.json", b"PK\x03\x04abc", "binary"),
    ("noise.json", bytes(range(256)) * 4, "binary"),
    ("nul.json", b'{"resourceType": "Patient\x00"}', "binary"),
    ("latin.json", '{"resourceType": "Patient", "id": "é"}'.encode("latin-1"), "not in UTF-8"),
    ("utf32.json", '{"a": 1}'.encode("utf-32"), "UTF-32"),
    ("cut.json", WHOLE[: len(WHOLE) // 2].encode(), "cut off"),
    ("cut-in-text.json", b'{"resourceType": "Pati', "cut off"),
    ("cut-early.json", b'{"resourceType":', "cut off"),
    ("cut-word.json", b'{"resourceType": tr', "cut off"),
    ("comma.json", b'{"resourceType": "Patient",}', "not valid JSON"),
    ("two.json", b'{"resourceType": "Patient", "id": "a"} {"a": 1}', "more after the end"),
    ("nan.json", b'{"resourceType": "Patient", "id": "a", "multipleBirthInteger": NaN}', "NaN"),
    ("infinity.json", b'{"resourceType": "Patient", "multipleBirthInteger": -Infinity}', "NaN or infinite"),
    ("twice.json", b'{"resourceType": "Patient", "id": "a", "id": "b"}', "same key twice"),
    ("twice-inside.json", b'{"resourceType": "Patient", "maritalStatus": {"text": "a", "text": "b"}}', "same key twice"),
    ("deep.json", b'{"resourceType": "Patient", "extension": ' + b"[" * 500 + b"]" * 500 + b"}", "too deeply"),
    ("bomb.json", b'{"a":' * 100_000, "too deeply"),
    ("big-number.json", b'{"resourceType": "Patient", "multipleBirthInteger": ' + b"9" * 5000 + b"}", "impossibly large"),
    ("big-exponent.json", b'{"resourceType": "Patient", "multipleBirthInteger": 1e999999}', "impossibly large"),
    ("escaped-nul.json", b'{"resourceType": "Patient", "id": "a\\u0000"}', "NUL"),
    ("half.json", b'{"resourceType": "Patient", "id": "\\ud800"}', "half a character"),
    ("list.json", b"[1, 2]", "not one resource"),
    ("word.json", b'"Patient"', "not one resource"),
    ("page.json", b"<html></html>", "XML or HTML"),
    ("lines.ndjson", b'{"resourceType": "Patient", "id": "a"}\n{"resourceType": "Pat', "cut off"),
]


@pytest.mark.parametrize(("name", "content", "reason"), BAD, ids=[name for name, _, _ in BAD])
def test_a_bad_file_is_one_clear_line(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    found = refusal_of(path)
    assert reason in found.reason
    assert found.accepted
    assert "\n" not in found.reason


def test_where_it_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "cut.json"
    path.write_text('{\n "resourceType": "Patient",\n "id": [', "utf-8")
    assert refusal_of(path).element == "line 3"


def test_what_is_no_file(tmp_path: Path) -> None:
    assert "no such file" in refusal_of(tmp_path / "absent.json").reason
    assert "regular file" in refusal_of(tmp_path).reason
    os.mkfifo(tmp_path / "pipe")
    assert "regular file" in refusal_of(tmp_path / "pipe").reason
    assert refusal_of(Path("a\x00b")).reason


def test_a_file_over_the_limit_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "default", lambda *_: 10)
    (tmp_path / "large.json").write_text(WHOLE, "utf-8")
    assert "too large" in refusal_of(tmp_path / "large.json").reason


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_that_say_what_they_are(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text('{"name": "Ñandú"}', encoding)
    assert strict_json.json_whole(files.read(str(path)).text) == {"name": "Ñandú"}


YAML_BAD = [
    ("a: &a [x]\nb: *a\n", "Aliases"),
    ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "Aliases"),
    ("a: !!python/object/apply:os.system [ls]\n", "Tags"),
    ("a: 1\n---\nb: 2\n", "second document"),
    ("a: 1\na: 2\n", "same key twice"),
    ("[" * 200 + "]" * 200, "too deeply"),
    ("a: [1, 2\nb: 3\n", "not valid YAML"),
    ("a: " + "9" * 5000, "impossibly large"),
    ("a: 1e999", "impossibly large"),
    ("a: \x01", "YAML has not"),
    ("? [a, b]\n: 1\n", "not a word"),
]


@pytest.mark.parametrize(("text", "reason"), YAML_BAD, ids=[reason for _, reason in YAML_BAD])
def test_bad_yaml_is_one_clear_line(text: str, reason: str) -> None:
    with pytest.raises(Refusal) as caught:
        yaml_whole(text)
    assert reason in caught.value.reason


def test_yaml_scalars_are_what_they_look_like() -> None:
    text = "time: 08:00\nlater: 12:30\ncountry: no\non: 2026-12-01\nn: 010\nx: 0.5\nyes: true\nnot: ~\nnan: .nan\n"
    plain = {"time": "08:00", "later": "12:30", "country": "no", "on": "2026-12-01", "nan": ".nan"}
    assert yaml_whole(text) == plain | {"n": 10, "x": 0.5, "yes": True, "not": None}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


def _read(value: Any) -> tuple[list[PatientIntake], list[Row]]:
    return orders.read(value)


@settings(deadline=None)
@given(JSON)
def test_random_json_makes_rows_and_never_a_crash(value: Any) -> None:
    _, rows = _read(value)
    assert all(row.outcome == "refused" for row in rows)
    assert rows or (isinstance(value, dict) and value.get("resourceType") == "Bundle")


@settings(deadline=None)
@given(st.text())
def test_random_text_makes_rows_and_never_a_crash(text: str) -> None:
    if text.strip():
        _, rows = orders.read_text(text)
        assert all(row.outcome == "refused" for row in rows)


@settings(deadline=None)
@given(st.integers(0, len(WHOLE) - 1))
def test_a_file_cut_off_anywhere_is_refused_whole(at: int) -> None:
    if WHOLE[:at].strip():
        patients, rows = orders.read_text(WHOLE[:at])
        assert not patients
        assert [(row.outcome, row.item) for row in rows] == [("refused", None)]


_NAMES = """
id status intent subject dosageInstruction timing repeat frequency period periodUnit when timeOfDay doseAndRate doseQuantity
value unit text code coding reference resourceType telecom extension boundsPeriod start end sequence authoredOn
"""
_KEYS = st.sampled_from(_NAMES.split())
_RESOURCE_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["active", "order", "d", "2026-12-01", "Patient/rosa", "MORN", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5),
    max_leaves=25,
)


@settings(deadline=None)
@given(
    st.sampled_from([orders.request(orders.dosage(orders.often(1))), orders.patient(), orders.consent()]),
    st.dictionaries(_KEYS, _RESOURCE_JSON, max_size=3),
)
def test_resources_with_random_parts_make_rows_and_never_a_crash(resource: Any, parts: Any) -> None:
    found = {**resource, **parts, "resourceType": resource["resourceType"], "id": "x"}
    _, rows = orders.read(found)
    assert len(rows) == 1
    assert rows[0].outcome == "enrolled" or rows[0].element

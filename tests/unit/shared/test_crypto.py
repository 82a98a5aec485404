"""Sealed fields open only with their key and in their place; a blind index finds and reveals nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.crypto import CannotOpen, FieldCipher

CIPHER = FieldCipher(bytes(range(32)))
PLACE = {"table": "contact", "column": "phone", "row": 7}


@given(st.text(), st.text(), st.text(), st.integers())
def test_what_is_sealed_opens_in_its_place(text: str, table: str, column: str, row: int) -> None:
    blob = CIPHER.seal(text, table=table, column=column, row=row)
    assert CIPHER.open(blob, table=table, column=column, row=row) == text


@pytest.mark.parametrize("change", [{"table": "message"}, {"column": "name"}, {"row": 8}])
def test_it_opens_nowhere_else(change: dict[str, object]) -> None:
    blob = CIPHER.seal("+15551234", **PLACE)  # type: ignore[arg-type]
    with pytest.raises(CannotOpen):
        CIPHER.open(blob, **{**PLACE, **change})  # type: ignore[arg-type]


def test_parts_of_the_place_do_not_run_into_each_other() -> None:
    blob = CIPHER.seal("x", table="ab", column="c", row=1)
    with pytest.raises(CannotOpen):
        CIPHER.open(blob, table="a", column="bc", row=1)


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_any_changed_byte_is_noticed(at: int, change: int) -> None:
    blob = bytearray(CIPHER.seal("+15551234", **PLACE))  # type: ignore[arg-type]
    blob[at % len(blob)] ^= change
    with pytest.raises(CannotOpen):
        CIPHER.open(bytes(blob), **PLACE)  # type: ignore[arg-type]


def test_what_was_sealed_under_an_older_key_still_opens() -> None:
    blob = CIPHER.seal("x", **PLACE)  # type: ignore[arg-type]
    rotated = FieldCipher(bytes(32), key_id=2, older={1: bytes(range(32))})
    assert rotated.open(blob, **PLACE) == "x"  # type: ignore[arg-type]
    assert rotated.seal("x", **PLACE)[0] == 2  # type: ignore[arg-type]
    with pytest.raises(CannotOpen):
        FieldCipher(bytes(32), key_id=2).open(blob, **PLACE)  # type: ignore[arg-type]


@pytest.mark.parametrize("blob", [b"", b"\x01", b"\x01" + bytes(12)])
def test_what_is_too_short_is_refused(blob: bytes) -> None:
    with pytest.raises(CannotOpen):
        CIPHER.open(blob, **PLACE)  # type: ignore[arg-type]


def test_an_error_says_nothing_of_the_content() -> None:
    blob = CIPHER.seal("+15551234", **PLACE)  # type: ignore[arg-type]
    with pytest.raises(CannotOpen) as raised:
        FieldCipher(bytes(32)).open(blob, **PLACE)  # type: ignore[arg-type]
    assert raised.value.__cause__ is None
    assert "5551234" not in str(raised.value)


def test_a_blind_index_is_stable_for_its_purpose_and_key_alone() -> None:
    index = CIPHER.blind_index("+15551234", purpose="phone")
    assert index == FieldCipher(bytes(range(32))).blind_index("+15551234", purpose="phone")
    assert len(index) == 32
    assert index != CIPHER.blind_index("+15551234", purpose="name")
    assert index != FieldCipher(bytes(32)).blind_index("+15551234", purpose="phone")


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        FieldCipher(bytes(16))

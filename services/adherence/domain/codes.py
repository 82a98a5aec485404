"""What a clinician texts back to acknowledge, e.g. "A7K2": letter, digit, letter, digit.

No 0, O, 1, I, L: they are misread. Never two letters in a row: so no code is a word such as STOP or END. 33,856 codes.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from uuid import UUID

LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ"
DIGITS = "23456789"
_ALL = len(LETTERS) * len(DIGITS) * len(LETTERS) * len(DIGITS)


def codes_for(alert_id: UUID) -> Iterator[str]:
    """Every code once, from a start that the alert's id decides: take the first one that is free in the clinic."""
    start = int.from_bytes(blake2b(alert_id.bytes, digest_size=8).digest(), "big")
    for offset in range(_ALL):
        yield _code((start + offset * 7919) % _ALL)


def _code(number: int) -> str:
    number, fourth = divmod(number, len(DIGITS))
    number, third = divmod(number, len(LETTERS))
    number, second = divmod(number, len(DIGITS))
    return LETTERS[number] + DIGITS[second] + LETTERS[third] + DIGITS[fourth]

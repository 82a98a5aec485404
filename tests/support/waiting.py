"""Waiting for a condition, as every test does that would otherwise sleep."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T], *, within: float, what: str) -> T:
    """The first true value of `condition`; fails the test with `what` after `within` seconds."""
    until = time.monotonic() + within
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > until:
            raise AssertionError(f"waited {within:g} s in vain: {what}")
        time.sleep(0.03)

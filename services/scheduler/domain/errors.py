"""A command that cannot be: which element, why, and what would be taken. Never the value itself."""

from __future__ import annotations


class Refused(Exception):
    """`element` is in the caller's terms, for example `medicines[0].steps[1].from_day`. `conflict`: the plan's state is in
    the way (HTTP 409), otherwise the command itself is (422)."""

    def __init__(self, element: str, reason: str, accepted: str | None = None, *, conflict: bool = False) -> None:
        super().__init__(reason)
        self.element = element
        self.reason = reason
        self.accepted = accepted
        self.conflict = conflict

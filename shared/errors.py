"""The failures that have a policy. A failure without a name here is a bug: parked at once, never retried, never swallowed."""

from __future__ import annotations


class SteadypathError(Exception):
    """Base of every named failure."""


class Transient(SteadypathError):
    """It may work in a moment (a lock, a connection, a busy peer): bounded retry with back-off, then parked."""


class DomainError(SteadypathError):
    """The caller asked for what cannot be. Becomes an HTTP problem (409 or 422), never a retry.

    `element` names the field in the caller's own terms, `accepted` says what would be taken; neither holds the value.
    """

    def __init__(self, element: str, reason: str, *, accepted: str | None = None, status: int = 422) -> None:
        super().__init__(reason)
        self.element = element
        self.reason = reason
        self.accepted = accepted
        self.status = status

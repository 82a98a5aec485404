"""Traces, where STEADYPATH_OTLP_ENDPOINT is set: one from a command or a due moment through the outbox and Kafka to the text and
what was made of it (decision 0180).

The hooks stand here; what they do when it is on stands in `shared.otlp`, which is not even imported while it is off. No attribute
but those of the log's allow-list: never an id, a name or a number of a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

if TYPE_CHECKING:
    from shared.events.base import Event
    from shared.messaging.memory import OutRow
    from shared.messaging.reading import Arrived
    from shared.otlp import Otlp
    from shared.settings import Settings


class Open(Protocol):
    """A span under way."""

    def set(self, **fields: Any) -> None:
        """More about it: keys of `shared.logs.ALLOWED` with values of their shape; anything else is dropped and counted."""


Span = AbstractContextManager[Open]


class Unended(Protocol):
    """A span of a transaction that has not been written yet; one that is rolled back is never ended and so never sent."""

    def end(self) -> None: ...


class _Off:
    """No trace: costs an attribute and a call."""

    def __enter__(self) -> Open:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        return None

    def set(self, **fields: Any) -> None:
        return None


_OFF = _Off()
_on: Otlp | None = None


def configure(settings: Settings) -> None:
    """Turns tracing on where the settings name an endpoint. Once per process, before anything else runs."""
    if settings.otlp_endpoint is not None:
        from shared.otlp import to_collector  # noqa: PLC0415 - 40 ms and 15 MB that nobody pays who does not trace

        turn(to_collector(settings.service, settings.role, settings.otlp_endpoint))


def turn(on: Otlp | None) -> Otlp | None:
    """Puts this one in charge (None: off); what was before."""
    global _on
    before, _on = _on, on
    return before


def close() -> None:
    """Turns it off, and sends what has not been sent, for at most two machine seconds."""
    before = turn(None)
    if before is not None:
        before.close()


def untraced() -> Span:
    """For what is not worth a trace."""
    return _OFF


def request(method: str, correlation_id: UUID) -> Span:
    """A command over HTTP. Its trace id is its correlation id, which the answer names."""
    return _OFF if _on is None else _on.request(method, correlation_id)


def fire(kind: str, correlation_id: UUID, rows: int) -> Span:
    """Due work of one kind, many patients' at once: a trace of its own; what is said in it has a trace for each patient."""
    return _OFF if _on is None else _on.fire(kind, correlation_id, rows)


def delivered(arrived: Iterable[Arrived]) -> Span:
    """A batch of records in one transaction, with links to its events."""
    return _OFF if _on is None else _on.batch("deliver", (one.envelope.traceparent for one in arrived if one.envelope))


def published(rows: Sequence[OutRow]) -> Span:
    """A chunk of the relay, with links to its events."""
    return _OFF if _on is None or not rows else _on.batch("publish", (row.headers.get("traceparent") for row in rows))


def handling(arrived: Arrived) -> Span:
    """One event in its handler, in the trace of whoever said it."""
    return _OFF if _on is None or arrived.envelope is None else _on.handling(arrived, arrived.envelope)


def sending(kind: str, correlation_id: UUID | None, cause_id: UUID) -> Span:
    """A request to the provider, in the trace of the event that asked for the text."""
    return _OFF if _on is None else _on.sending(kind, correlation_id, cause_id)


def said(unended: list[Unended], event: Event, event_id: UUID, correlation_id: UUID, causation_id: UUID | None) -> str | None:
    """The `traceparent` of the event; None while off. Its span joins `unended` until the transaction is written."""
    return None if _on is None else _on.said(unended, event, event_id, correlation_id, causation_id)


def written(unended: list[Unended]) -> None:
    """The transaction is about to commit: what was said in it is said."""
    for span in unended:
        span.end()
    unended.clear()

"""Spans by OpenTelemetry's SDK. Imported only where traces are on (`shared.tracing`).

A correlation id is a trace id; the span of a said event has the last 64 bits of the event's id (decision 0180). So a parent can
be named from the two ids that are stored anyway, however much later and in whatever process.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from shared import logs
from shared.events.base import Envelope, Event
from shared.messaging.reading import Arrived
from shared.tracing import Unended

_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
#: OpenTelemetry's own limit of links on a span.
_LINKS = 128
#: Machine seconds that one export, and the end of the process, may take: a collector that is away must hold nothing up.
_PATIENCE = 2
#: Where OpenTelemetry has a name for what the log calls so.
_NAMES = {
    "topic": "messaging.destination.name",
    "partition": "messaging.destination.partition.id",
    "offset": "messaging.kafka.offset",
    "rows": "messaging.batch.message_count",
    "method": "http.request.method",
    "route": "http.route",
    "status": "http.response.status_code",
    "error": "error.type",
}


def span_id_of(event_id: UUID) -> int:
    """The span of a said event; never 0, for a UUID's variant bits are in it."""
    return event_id.int & (2**64 - 1)


def attributes(fields: dict[str, Any]) -> dict[str, Any]:
    """What of these may be said (`shared.logs.ALLOWED`), under OpenTelemetry's names; the rest is dropped and counted."""
    told: dict[str, Any] = {}
    for key, value in fields.items():
        if key in logs.ALLOWED and logs.ALLOWED[key](value):
            told[_NAMES.get(key, f"steadypath.{key}")] = str(value) if isinstance(value, UUID) else value
        else:
            logs.refused[key if key in logs.ALLOWED else "unknown"] += 1
    return told


class _Ids(RandomIdGenerator):
    """The ids of the span that is being started, where they are ours to say."""

    def __init__(self) -> None:
        self.trace: int | None = None
        self.span: int | None = None

    def is_trace_id_random(self) -> bool:
        """W3C's flag: six bits of a UUID are fixed, and a sampler that relies on them would be biased."""
        return False

    def generate_trace_id(self) -> int:
        return self.trace or super().generate_trace_id()

    def generate_span_id(self) -> int:
        return self.span or super().generate_span_id()


class Started:
    """A span under way, as the hooks' callers see it."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def set(self, **fields: Any) -> None:
        self._span.set_attributes(attributes(fields))
        if "route" in fields and "method" in fields:
            self._span.update_name(f"{str(fields['method']).upper()} {fields['route']}")


class Otlp:
    """Everything that `shared.tracing` can be asked, done."""

    def __init__(self, service: str, role: str, processor: SpanProcessor) -> None:
        self._ids = _Ids()
        # service.name is what OpenTelemetry's tools group by.
        about = {"service.namespace": "steadypath", "service.name": service, "service.instance.id": str(uuid4())}
        self._provider = TracerProvider(
            resource=Resource.create(about | {"steadypath.role": role}), id_generator=self._ids, shutdown_on_exit=False
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("steadypath")

    def close(self) -> None:
        """Sends what has not been sent, for a while."""
        ending = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        ending.start()
        ending.join(_PATIENCE)

    @contextmanager
    def request(self, method: str, correlation_id: UUID) -> Iterator[Started]:
        span = self._start(method.upper(), SpanKind.SERVER, trace_id=correlation_id.int, method=method.lower())
        with _current(span) as started:
            yield started

    @contextmanager
    def fire(self, kind: str, correlation_id: UUID, rows: int) -> Iterator[Started]:
        span = self._start(f"fire {kind}", SpanKind.INTERNAL, trace_id=correlation_id.int, kind=kind, rows=rows)
        with _current(span) as started:
            yield started

    @contextmanager
    def batch(self, name: str, traceparents: Iterable[str | None]) -> Iterator[Started]:
        """A span in a trace of its own, with a link to each event's."""
        found = [_context_of(each) for each in traceparents]
        links = [Link(each) for each in found if each is not None]
        side = SpanKind.PRODUCER if name == "publish" else SpanKind.CONSUMER
        span = self._start(f"{name} batch", side, links=links[:_LINKS], parent=Context(), rows=len(found))
        with _current(span) as started:
            yield started

    @contextmanager
    def handling(self, arrived: Arrived, envelope: Envelope) -> Iterator[Started]:
        record, said_in = arrived.record, _context_of(envelope.traceparent)
        # By the event's model, never by the header: a span's name is not looked through by any list.
        name = arrived.event.full_type if arrived.event is not None else "event"
        span = self._start(
            f"handle {name}",
            SpanKind.CONSUMER,
            parent=_beneath(said_in) if said_in else Context(),
            trace_id=envelope.correlation_id.int,
            event_type=name,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            correlation_id=envelope.correlation_id,
        )
        with _current(span) as started:
            yield started

    @contextmanager
    def sending(self, kind: str, correlation_id: UUID | None, cause_id: UUID) -> Iterator[Started]:
        parent = Context() if correlation_id is None else _beneath(_said_in(correlation_id, cause_id))
        with _current(self._start("provider request", SpanKind.CLIENT, parent=parent, kind=kind)) as started:
            yield started

    def said(self, unended: list[Unended], event: Event, event_id: UUID, correlation_id: UUID, causation_id: UUID | None) -> str:
        """The creation span of an event: in the trace of its correlation id, beneath what is under way in the same trace, else
        beneath the event that caused it; what is under way in another trace (a fire, a pass) is linked."""
        around = trace.get_current_span().get_span_context()
        here = around.is_valid and around.trace_id == correlation_id.int
        if here:
            parent = _beneath(around)
        else:
            parent = _beneath(_said_in(correlation_id, causation_id)) if causation_id is not None else Context()
        span = self._start(
            f"say {event.full_type}",
            SpanKind.PRODUCER,
            parent=parent,
            links=[Link(around)] if around.is_valid and not here else [],
            trace_id=correlation_id.int,
            span_id=span_id_of(event_id),
            event_type=event.full_type,
            topic=event.topic,
            correlation_id=correlation_id,
        )
        unended.append(span)
        context = span.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def _start(
        self,
        name: str,
        side: SpanKind,
        /,
        *,
        parent: Context | None = None,
        links: Iterable[Link] = (),
        trace_id: int | None = None,
        span_id: int | None = None,
        **fields: Any,
    ) -> Span:
        # Spans are started on the event loop only, and starting one never waits: nobody else's ids get in between.
        self._ids.trace, self._ids.span = trace_id, span_id
        context = Context() if parent is None else parent
        try:
            return self._tracer.start_span(name, context, side, attributes(fields), list(links), record_exception=False)
        finally:
            self._ids.trace = self._ids.span = None


@contextmanager
def _current(span: Span) -> Iterator[Started]:
    """Makes the span the one under way until the block ends. Of an exception it keeps the class: its text may quote a number."""
    with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        try:
            yield Started(span)
        except BaseException as error:
            span.set_attributes(attributes({"error": type(error).__name__}))
            span.set_status(Status(StatusCode.ERROR))
            raise


def _said_in(correlation_id: UUID, event_id: UUID) -> SpanContext:
    return SpanContext(correlation_id.int, span_id_of(event_id), is_remote=True, trace_flags=_SAMPLED)


def _beneath(context: SpanContext) -> Context:
    return trace.set_span_in_context(NonRecordingSpan(context), Context())


def _context_of(traceparent: str | None) -> SpanContext | None:
    """W3C trace context; None where there is none that can be read: a bad header is no reason to refuse an event."""
    found = _TRACEPARENT.fullmatch(traceparent or "")
    if found is None:
        return None
    return SpanContext(int(found[1], 16), int(found[2], 16), is_remote=True, trace_flags=TraceFlags(int(found[3], 16)))


def to_collector(service: str, role: str, endpoint: str) -> Otlp:
    """Spans in batches, from a thread, to OTLP over HTTP at `endpoint`/v1/traces. What cannot be sent is dropped."""
    exporter = OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces", timeout=_PATIENCE)
    return Otlp(service, role, BatchSpanProcessor(exporter))

"""Traces: off they are not even imported; on, nothing but allow-listed fields leaves, and nothing of what was rolled back."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared import logs, tracing
from shared.events.due import ReviewDueV1
from shared.otlp import Otlp, attributes, span_id_of

ROOT = Path(__file__).resolve().parents[3]
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def kept() -> Iterator[InMemorySpanExporter]:
    """Traces on, kept in this process."""
    exporter = InMemorySpanExporter()
    before = tracing.turn(Otlp("scheduler", "both", SimpleSpanProcessor(exporter)))
    yield exporter
    tracing.turn(before)


def event() -> ReviewDueV1:
    return ReviewDueV1(
        clinic_id=uuid4(),
        patient_id=uuid4(),
        occurrence_id=uuid4(),
        plan_version=1,
        series_id=uuid4(),
        local_date=NOON.date(),
        zone="America/New_York",
        due_at=NOON,
        useful_until=NOON + timedelta(hours=1),
        answer_until=NOON + timedelta(hours=1),
        reason="toy",
    )


def one(exporter: InMemorySpanExporter) -> ReadableSpan:
    [span] = exporter.get_finished_spans()
    return span


def test_a_service_without_an_endpoint_does_not_load_the_sdk() -> None:
    code = "import sys, services.notifier.app; sys.exit(bool({'opentelemetry.sdk', 'shared.otlp'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_off_every_hook_gives_the_same_nothing_and_no_traceparent() -> None:
    unended: list[tracing.Unended] = []
    spans = {tracing.request("PUT", uuid4()), tracing.fire("dose", uuid4(), 1), tracing.sending("dose", uuid4(), uuid4())}
    spans |= {tracing.delivered(()), tracing.published(()), tracing.untraced()}
    assert len(spans) == 1
    assert tracing.said(unended, event(), uuid4(), uuid4(), None) is None
    assert unended == []


def test_what_the_log_may_not_say_no_span_says(kept: InMemorySpanExporter) -> None:
    before = sum(logs.refused.values())
    with tracing.request("PUT", uuid4()) as span:
        span.set(status=200, patient_id=uuid4(), reason="a sentence of somebody", phone="+12125550100")
    assert one(kept).attributes == {"http.request.method": "put", "http.response.status_code": 200}
    assert sum(logs.refused.values()) - before == 3


def test_of_an_exception_only_its_class_is_kept(kept: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="2125550100"), tracing.sending("dose", uuid4(), uuid4()):
        raise ValueError("+12125550100")
    span = one(kept)
    assert span.attributes == {"steadypath.kind": "dose", "error.type": "ValueError"}
    assert not span.status.is_ok
    assert (span.status.description, span.events) == (None, ())


def test_an_event_is_in_the_trace_of_its_correlation_id_under_its_own_id(kept: InMemorySpanExporter) -> None:
    event_id, correlation_id = uuid4(), uuid4()
    unended: list[tracing.Unended] = []
    said = tracing.said(unended, event(), event_id, correlation_id, None)
    assert said == f"00-{correlation_id.hex}-{event_id.hex[16:]}-01"
    assert kept.get_finished_spans() == ()
    tracing.written(unended)
    span = one(kept)
    assert (span.context.trace_id, span.context.span_id, span.parent) == (correlation_id.int, span_id_of(event_id), None)


def test_a_consequence_hangs_below_its_cause_and_links_to_what_is_under_way(kept: InMemorySpanExporter) -> None:
    correlation_id, cause = uuid4(), uuid4()
    unended: list[tracing.Unended] = []
    with tracing.fire("retry", UUID(int=7), 1):
        tracing.said(unended, event(), uuid4(), correlation_id, cause)
    tracing.written(unended)
    around, said = kept.get_finished_spans()
    assert said.parent is not None
    assert (said.parent.trace_id, said.parent.span_id) == (correlation_id.int, span_id_of(cause))
    assert [link.context.span_id for link in said.links] == [around.context.span_id]


def test_within_the_request_that_says_it_an_event_hangs_below_the_request(kept: InMemorySpanExporter) -> None:
    correlation_id = uuid4()
    unended: list[tracing.Unended] = []
    with tracing.request("PUT", correlation_id):
        tracing.said(unended, event(), uuid4(), correlation_id, None)
        tracing.written(unended)
    said, request = kept.get_finished_spans()
    assert request.context.trace_id == correlation_id.int
    assert said.parent is not None
    assert said.parent.span_id == request.context.span_id
    assert said.links == ()


def test_what_was_rolled_back_was_never_said(kept: InMemorySpanExporter) -> None:
    unended: list[tracing.Unended] = []
    tracing.said(unended, event(), uuid4(), uuid4(), None)
    del unended
    assert kept.get_finished_spans() == ()


_SPAN = "-" + "1" * 16 + "-01"


@pytest.mark.parametrize("header", [None, "", "00-xyz", "00-" + "0" * 32 + _SPAN, "ff-" + "1" * 32 + _SPAN])
def test_a_header_that_cannot_be_read_is_no_link(header: str | None, kept: InMemorySpanExporter) -> None:
    on = tracing.turn(None)
    assert on is not None
    with on.batch("publish", [header, "00-" + "1" * 32 + "-" + "1" * 16 + "-01"]):
        pass
    assert [link.context.trace_id for link in one(kept).links] == [int("1" * 32, 16)]


def test_names_follow_the_conventions() -> None:
    told = attributes({"topic": "due.v1", "partition": 3, "offset": 9, "rows": 2})
    assert set(told) == {
        "messaging.destination.name",
        "messaging.destination.partition.id",
        "messaging.kafka.offset",
        "messaging.batch.message_count",
    }

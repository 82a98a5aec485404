"""One trace from what was asked for to what was made of it, over the real outbox, broker and provider; nobody is named in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.simulation.canary import Canaries, search
from tests.simulation.clinic import Clinic, Patient
from tests.support.collector import Collector, Seen, collecting
from tests.support.stack import Up, up
from tests.support.waiting import wait_until


class Told(NamedTuple):
    """A morning of one patient: a plan put in, a dose texted, its answer."""

    collector: Collector
    clinic: Clinic
    patient: Patient
    running: Up


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    with collecting() as collector:
        folder = tmp_path_factory.mktemp("traces")
        with up(folder / "data", "--fast-forward", env={"STEADYPATH_OTLP_ENDPOINT": collector.endpoint}) as running:
            clinic = Clinic(running.origin, running.facts["key"], Canaries())
            with clinic.http:
                patient = clinic.patient("America/Denver")
                patient.start(patient.plan())
                patient.advance(1, "08:01")
                patient.reply("1")
                assert patient.happened("dose-taken") == ["dose-taken"]
                found = Told(collector, clinic, patient, running)
                wait_until(lambda: _whole(found), within=30, what="every span of that morning has arrived")
                yield found


#: The ends of what happens here. Each process sends by the batch: what stands around a span may come seconds after it.
_ENDS = (
    ("notifier", "say message-delivered.v1"),
    ("adherence", "handle message-sent.v1"),
    ("adherence", "say dose-taken.v1"),
)


def _whole(told: Told) -> bool:
    """The ends are there, every span that another one names as its parent or links to, and the batch of each said event."""
    spans = list(told.collector.spans)
    seen = {(span.trace, span.id) for span in spans}
    named = {(span.trace, span.parent) for span in spans if span.parent} | {link for span in spans for link in span.links}
    said = {(span.trace, span.id) for span in spans if span.name.startswith("say ")}
    published = {link for span in spans if span.name == "publish batch" for link in span.links}
    return named <= seen and said <= published and all(_named(told, *one) for one in _ENDS)


def _named(told: Told, service: str, name: str) -> list[Seen]:
    return [span for span in told.collector.spans if (span.service, span.name) == (service, name)]


def _one(told: Told, trace: str, service: str, name: str) -> Seen:
    [span] = [span for span in told.collector.of_trace(trace) if (span.service, span.name) == (service, name)]
    return span


def test_a_due_dose_is_one_trace_from_the_scheduler_to_the_text_and_the_dose_log(told: Told) -> None:
    [due] = _named(told, "scheduler", "say dose-due.v1")
    request = _one(told, due.trace, "notifier", "provider request")
    sent = _one(told, due.trace, "notifier", "say message-sent.v1")
    for service in ("notifier", "adherence"):
        assert _one(told, due.trace, service, "handle dose-due.v1").parent == due.id
    assert (request.parent, sent.parent) == (due.id, due.id)
    assert _one(told, due.trace, "adherence", "handle message-sent.v1").parent == sent.id
    assert request.attributes == {"steadypath.kind": "dose", "steadypath.outcome": "accepted"}


def test_the_fire_and_the_batches_link_to_it(told: Told) -> None:
    [due] = _named(told, "scheduler", "say dose-due.v1")
    [(fired, _)] = due.links
    assert [span.name for span in told.collector.of_trace(fired) if span.name.startswith("fire ")] == ["fire occurrence"]
    of = (due.trace, due.id)
    assert [span.name for span in told.collector.spans if span.service == "scheduler" and of in span.links] == ["publish batch"]
    assert {s.service for s in told.collector.spans if s.name == "deliver batch" and of in s.links} == {"notifier", "adherence"}


def test_a_plan_put_in_is_one_trace_from_the_request_to_both_readers(told: Told) -> None:
    [said] = _named(told, "scheduler", "say plan-started.v1")
    put = _one(told, said.trace, "scheduler", "PUT /scheduler/patients/{patient}/plan")
    assert said.parent == put.id
    assert put.attributes["http.response.status_code"] == 200
    for reader in ("notifier", "adherence"):
        handled = _one(told, said.trace, reader, "handle plan-started.v1")
        assert handled.parent == said.id
        assert handled.attributes["messaging.destination.name"] == "plans.v1"
        assert handled.attributes["messaging.kafka.offset"] == 0


def test_an_answer_is_one_trace_from_the_webhook_to_the_dose(told: Told) -> None:
    [heard] = _named(told, "notifier", "say reply-received.v1")
    assert _one(told, heard.trace, "notifier", "POST /notifier/twilio/inbound").id == heard.parent
    handled = _one(told, heard.trace, "adherence", "handle reply-received.v1")
    assert _one(told, heard.trace, "adherence", "say dose-taken.v1").parent == handled.id


def test_the_trace_is_the_correlation_id_of_the_log(told: Told) -> None:
    [due] = _named(told, "scheduler", "say dose-due.v1")
    lines = [path.read_text() for path in told.running.data.rglob("notifier.log")]
    correlation = "-".join(due.trace[a:b] for a, b in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32)))
    about = [line for text in lines for line in text.splitlines() if correlation in line and "fate of a text" in line]
    assert any('"message-sent.v1"' in line and '"causation_id"' in line and '"event_id"' in line for line in about)


def test_no_span_names_anybody(told: Told) -> None:
    attributes = {name for span in told.collector.spans for name in span.attributes}
    assert attributes <= {
        "error.type",
        "http.request.method",
        "http.response.status_code",
        "http.route",
        "messaging.batch.message_count",
        "messaging.destination.name",
        "messaging.destination.partition.id",
        "messaging.kafka.offset",
        "steadypath.correlation_id",
        "steadypath.event_type",
        "steadypath.kind",
        "steadypath.outcome",
    }
    ids = {told.patient.external, *(event["occurrence"] for event in told.patient.timeline() if event["occurrence"])}
    for content in told.collector.raw:
        assert search("a span", content, told.clinic.canaries.needles()) == []
        assert not [one for one in ids if one.encode() in content]

"""`python -m services.scheduler` as it runs anywhere: real PostgreSQL and broker, time on a page, stepped from outside."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer, TopicPartition

from services.scheduler import effective
from shared.clock import ClockPage
from tests.integration.scheduler.conftest import KEY, START, a_dose, a_medicine, a_plan, patient
from tests.support.parts import Broker, Database
from tests.support.stack import free_port
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]
Json = dict[str, Any]


@dataclass
class Running:
    process: subprocess.Popen[bytes]
    http: httpx.Client
    clock: ClockPage
    bootstrap: str

    def ready(self) -> bool:
        try:
            return self.http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def call(self, method: str, path: str, body: Any = None) -> Json:
        answer = self.http.request(method, f"/scheduler{path}", json=body)
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    def quiet(self) -> Json:
        """A step; its snapshot once nothing is left to do, until then nothing."""
        step = self.call("POST", "/simulation/step")
        return {} if step["due"] or step["unsent"] or step["in_flight"] else step

    def run_to(self, end: datetime) -> Json:
        """As the driver does it: from one due moment to the next."""
        while True:
            step = wait_until(self.quiet, within=30, what="a quiet step")
            due = datetime.fromisoformat(step["next_due"]) if step["next_due"] else end
            if self.clock.now() >= end:
                return step
            self.clock.set(min(max(due, self.clock.now()), end))

    def records(self) -> list[tuple[str, str, Json]]:
        """(type, key, body) of every record on the broker, by topic, in order."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "test.looker", "enable.auto.commit": False})
        try:
            return [record for topic in ("plans.v1", "due.v1") for record in _read(consumer, topic)]
        finally:
            consumer.close()


def _read(consumer: Consumer, topic: str) -> Iterator[tuple[str, str, Json]]:
    for partition in consumer.list_topics(topic, timeout=10).topics[topic].partitions:
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
        consumer.assign([TopicPartition(topic, partition, 0)])
        for message in consumer.consume(end, timeout=10) if end else ():
            headers: Any = message.headers()
            key, body = message.key(), message.value()
            assert isinstance(key, bytes)
            assert isinstance(body, bytes)
            yield {name: value.decode() for name, value in headers}["ce_type"], key.decode(), json.loads(body)


@contextmanager
def scheduler(database: Database, kafka: Broker, folder: Path) -> Iterator[Running]:
    page, port = folder / "clock", free_port()
    clock = ClockPage(page, start=START)
    env = {
        "STEADYPATH_DATABASE_URL": database.url("scheduler"),
        "STEADYPATH_KAFKA_BOOTSTRAP": kafka.bootstrap,
        "STEADYPATH_DATA_KEY": base64.b64encode(b"k" * 32).decode(),
        "STEADYPATH_KEY": KEY,
        "STEADYPATH_CLOCK_PAGE": str(page),
        "STEADYPATH_PORT": str(port),
    }
    with (folder / "output").open("wb") as output:
        command = [sys.executable, "-m", "services.scheduler"]
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **env}, stdout=output, stderr=subprocess.STDOUT)
    headers = {"Authorization": f"Bearer {KEY}"}
    with process, httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30) as http:
        try:
            running = Running(process, http, clock, kafka.bootstrap)
            wait_until(running.ready, within=30, what="the scheduler is ready")
            yield running
        finally:
            process.terminate()
            process.wait(15)
            clock.close()


def test_a_plan_goes_in_and_its_moments_come_out_of_kafka(database: Database, fresh_kafka: Broker, tmp_path: Path) -> None:
    steps = ({"from_day": 1, "doses": [a_dose()]}, {"from_day": 3, "doses": [a_dose(quantity="2")]})
    with scheduler(database, fresh_kafka, tmp_path) as running:
        answer = running.call("PUT", "/patients/p1/plan", a_plan(medicines=[a_medicine("m1", *steps, kind="titration")]))
        running.run_to(datetime.fromisoformat("2026-11-25T14:00:00+00:00"))
        records = running.records()
        reach = running.call("GET", answer["effective_when_confirmed"].removeprefix("/scheduler"))
    types = [kind for kind, _, _ in records]
    assert types == ["plan-started.v1", "dose-changed.v1", "dose-due.v1", "dose-due.v1", "dose-due.v1"]
    assert {key for _, key, _ in records} == {str(patient("p1"))}
    due = [body for kind, _, body in records if kind == "dose-due.v1"]
    doses = [(body["local_date"], body["plan_version"], body["doses"][0]["quantity"]) for body in due]
    assert doses == [("2026-11-23", 1, "1"), ("2026-11-24", 1, "1"), ("2026-11-25", 2, "2")]
    assert (reach["published"], reach["confirmed"], reach["group"]) == (True, False, effective.GROUP)
    output = (tmp_path / "output").read_text()
    assert str(patient("p1")) not in output
    assert "dropped" not in output


@pytest.mark.slow  # a killed relay leads until its lease of fifteen seconds is over
def test_killed_between_plan_and_moment_it_goes_on_where_it_was(database: Database, fresh_kafka: Broker, tmp_path: Path) -> None:
    with scheduler(database, fresh_kafka, tmp_path) as running:
        running.call("PUT", "/patients/p1/plan", a_plan())
        running.process.kill()
        running.process.wait(10)
    (tmp_path / "again").mkdir()
    with scheduler(database, fresh_kafka, tmp_path / "again") as running:
        running.run_to(datetime.fromisoformat("2026-11-24T14:00:00+00:00"))
        types = [kind for kind, _, _ in running.records()]
    assert types == ["plan-started.v1", "dose-due.v1", "dose-due.v1"]

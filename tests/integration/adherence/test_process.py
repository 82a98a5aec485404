"""The real process between a Kafka-protocol broker and PostgreSQL: events in, outcomes out, its API and its page."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from aiokafka import AIOKafkaProducer

from shared.clock import ClockPage
from shared.db import make_engine
from shared.events.base import Event, stable_id
from shared.messaging import codec
from tests.integration.adherence.world import CLINIC, HOUR, START, World
from tests.support.parts import Broker, Database
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]
KEY = "spk_adherence_" + "x" * 40
BEARER = {"Authorization": f"Bearer {KEY}"}
SAID_BY = {"plans.v1": "scheduler", "due.v1": "scheduler", "messages.v1": "notifier"}


@dataclass
class Service:
    """The adherence process, driven from outside: records into Kafka, clinical time, its API."""

    world: World
    clock: ClockPage
    producer: AIOKafkaProducer
    environment: dict[str, str]
    http: httpx.Client
    process: subprocess.Popen[bytes] = field(init=False)

    def begin(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-m", "services.adherence"], cwd=ROOT, env=self.environment)
        self.wait(lambda: self.http.get("/readyz").status_code == 200)

    def wait(self, done: Callable[[], Any], seconds: float = 40.0) -> None:
        """Until it is so. Fails when it does not come in time."""

        def looked() -> bool:
            assert self.process.poll() is None, "the process ended"
            try:
                return bool(done())
            except httpx.TransportError:
                return False

        wait_until(looked, within=seconds, what="what the process was to do")

    async def produce(self, event: Event, event_id: UUID | None = None) -> UUID:
        identity = event_id or uuid4()
        headers = codec.headers_of(
            event,
            event_id=identity,
            service=SAID_BY[event.topic],
            now=self.clock.now(),
            correlation_id=uuid4(),
            causation_id=None,
            traceparent=None,
        )
        wire = [(name, value.encode()) for name, value in codec.wire_headers(headers, 0).items()]
        await self.producer.send_and_wait(event.topic, codec.body_of(event), key=str(event.key).encode(), headers=wire)
        return identity

    def without_a_key(self, path: str) -> httpx.Response:
        return httpx.get(str(self.http.base_url.join(path)))

    def step(self, to: datetime | None = None) -> dict[str, Any]:
        if to is not None:
            self.clock.set(to)
        answer = self.http.post("/adherence/simulation/step")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def timeline(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.http.get(f"/adherence/patients/{self.world.patient}/timeline").json()
        return found

    def kinds(self) -> list[str]:
        self.step()
        return [event["kind"] for event in self.timeline()]

    def alerts(self, state: str = "open") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.http.get("/adherence/alerts", params={"state": state}).json()
        return found


@pytest.fixture
async def service(database: Database, fresh_kafka: Broker, tmp_path: Path) -> AsyncIterator[Service]:
    page = tmp_path / "clock"
    clock = ClockPage(page, start=START)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = os.environ | {
        "STEADYPATH_DATABASE_URL": database.url("adherence"),
        "STEADYPATH_KAFKA_BOOTSTRAP": fresh_kafka.bootstrap,
        "STEADYPATH_DATA_KEY": base64.b64encode(bytes(32)).decode(),
        "STEADYPATH_KEY": KEY,
        "STEADYPATH_CLOCK_PAGE": str(page),
        "STEADYPATH_PORT": str(port),
        "STEADYPATH_LOG_LEVEL": "warning",
    }
    async with AsyncExitStack() as stack:
        engine = make_engine(database.url("adherence"), service="adherence", pool_size=2)
        stack.push_async_callback(engine.dispose)
        producer = AIOKafkaProducer(bootstrap_servers=fresh_kafka.bootstrap)
        await producer.start()
        stack.push_async_callback(producer.stop)
        http = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=BEARER, timeout=30))
        one = Service(World(engine), clock, producer, environment, http)
        one.begin()
        try:
            yield one
        finally:
            one.process.kill()
            one.process.wait()


def set_up(service: Service) -> None:
    clinic = {"zone": "America/New_York", "chain": [{"person": "on-call", "wait": "PT30M", "role": "prescriber"}]}
    assert service.http.put("/adherence/clinic", json=clinic).status_code == 200
    team = {"chain": [{"person": "first", "wait": "PT1H"}]}
    assert service.http.put(f"/adherence/patients/{service.world.patient}/care-team", json=team).status_code == 200


async def test_from_the_record_to_the_acknowledgement_and_through_kill_nine(service: Service) -> None:
    set_up(service)
    world = service.world
    dose, check_in = world.dose_due(START), world.check_in_due(START)
    await service.produce(world.reply("dose", "taken", dose.occurrence_id))
    await service.produce(dose, event_id := uuid4())
    await service.produce(check_in)
    await service.produce(world.text("delivered", check_in))
    service.wait(lambda: {"dose-taken", "check-in-due", "message-delivered"} <= set(service.kinds()))
    service.process.kill()
    service.process.wait()
    await service.produce(dose, event_id)
    service.begin()
    service.step(START + 4 * HOUR)
    service.wait(lambda: "alert-raised" in service.kinds())
    assert [kind for kind in service.kinds() if kind in {"dose-taken", "check-in-missed", "alert-raised"}] == [
        "dose-taken",
        "check-in-missed",
        "alert-raised",
    ]
    [alert] = service.alerts()
    assert (alert["kind"], alert["recipient"]) == ("missed-check-in", str(stable_id(CLINIC, "person", "first")))
    service.step(START + 5 * HOUR)
    service.wait(lambda: "alert-escalated" in service.kinds())
    acked = service.http.post(f"/adherence/alerts/{alert['id']}/acknowledge", json={"via": "board"})
    assert acked.json()["state"] == "acknowledged"
    assert service.http.post(f"/adherence/alerts/{alert['id']}/acknowledge").json()["version"] == acked.json()["version"]
    service.step(START + 48 * HOUR)
    assert service.kinds().count("alert-escalated") == 1
    cause = {event["kind"]: event["cause"] for event in service.timeline()}
    # Two topics: whichever of the two came last made it known.
    assert cause["dose-taken"] in {"dose-due", "reply-received"}
    assert (cause["check-in-missed"], cause["alert-raised"], cause["alert-acknowledged"]) == (
        "check-in-window",
        "check-in-missed",
        "command",
    )
    assert set(service.timeline()[0]) == {"at", "kind", "occurrence", "cause"}


async def test_people_put_right_what_the_record_says(service: Service) -> None:
    set_up(service)
    world = service.world
    dose, follow_up = world.dose_due(START), world.follow_up_due(START, START + HOUR)
    await service.produce(dose)
    await service.produce(world.text("delivered", dose))
    await service.produce(follow_up)
    service.wait(lambda: {"message-delivered", "follow-up-due"} <= set(service.kinds()))
    service.step(START + 2 * HOUR)
    service.wait(lambda: "follow-up-unrecorded" in service.kinds())
    service.step(START + 4 * HOUR)
    service.wait(lambda: "dose-unknown" in service.kinds())
    [unrecorded] = service.http.get("/adherence/follow-ups", params={"state": "unrecorded"}).json()
    kept = service.http.post(f"/adherence/follow-ups/{unrecorded['id']}/outcome", json={"outcome": "kept"}).json()
    assert (kept["state"], kept["source"]) == ("kept", "person")
    assert service.alerts() == [], "what is on record needs nobody"
    said = {"outcome": "skipped", "reason": "told us by phone"}
    corrected = service.http.post(f"/adherence/doses/{dose.occurrence_id}/correct", json=said).json()
    assert (corrected["outcome"], corrected["revision"]) == ("skipped", 2)
    summary = service.http.get(f"/adherence/patients/{world.patient}/summary").json()
    assert (summary["doses"]["skipped"], summary["doses"]["low"], summary["unrecorded_follow_ups"]) == (1, 0.0, 0)


async def test_the_api_refuses_politely_and_the_page_holds_nothing_of_anybody(service: Service) -> None:
    for path in ("/adherence/alerts", "/adherence/follow-ups", f"/adherence/patients/{uuid4()}/timeline"):
        assert service.without_a_key(path).status_code == 401
    page = service.without_a_key("/board")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for name in ("board.js", "board.css"):
        assert service.without_a_key(f"/board/{name}").status_code == 200
    assert service.without_a_key("/board/app.py").status_code == 404
    assert service.http.post(f"/adherence/alerts/{uuid4()}/acknowledge").status_code == 404
    assert service.http.post("/adherence/alerts/zzz/acknowledge").status_code == 404
    assert service.http.post(f"/adherence/medications/{uuid4()}/resume-asking", json={"reason": "seen"}).status_code == 404
    assert service.http.get(f"/adherence/patients/{uuid4()}/summary").status_code == 404
    refused = service.http.put("/adherence/clinic", json={"zone": "Mars/Base", "chain": [{"person": "a", "wait": "PT1S"}]})
    assert refused.status_code == 422
    assert "Mars" not in refused.text
    clinic: dict[str, Any] = {"zone": "America/New_York", "chain": [{"person": "a"}]}
    for numbers, element in (
        ({"severity_crisis": "low"}, "numbers"),
        ({"severity_missed_doses": "crisis"}, "numbers.severity_missed_doses"),
        ({"low_from": "20:00", "low_until": "20:00"}, "numbers.low_until"),
    ):
        refused = service.http.put("/adherence/clinic", json=clinic | {"numbers": numbers})
        assert (refused.status_code, refused.json()["element"]) == (422, element)
    service.http.put("/adherence/clinic", json=clinic | {"numbers": {"default_wait": "PT10M"}}).raise_for_status()
    assert service.http.get("/adherence/clinic").json()["chain"][0]["wait"] == "PT10M"
    many: dict[str, Any] = {"items": [{"patient": "in-bulk", "care_team": {"chain": [{"person": "a"}]}}]}
    assert service.http.post("/adherence/bulk/care-teams", json=many).json()["items"][0]["outcome"] == "changed"
    alone = service.http.put("/adherence/patients/in-bulk/care-team", json=many["items"][0]["care_team"]).json()
    assert alone["chain"][0]["wait"] == "PT10M"
    # The one by one is the same: the bulk gave the clinic's own wait as well.
    assert service.http.post("/adherence/bulk/care-teams", json=many).json()["items"][0]["outcome"] == "unchanged"
    paths = json.loads(service.without_a_key("/adherence/openapi.json").text)["paths"]
    assert {"/adherence/alerts", "/adherence/doses/{occurrence}/correct"} <= set(paths)

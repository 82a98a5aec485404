"""Ready or not, by what the process itself knows; and its metrics while its database is away. No database answers here."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

import httpx
import pytest

from shared.clock import SystemClock
from shared.health import Check, Health, little_disk
from shared.http.app import create_app
from shared.loops import Loops
from shared.messaging.lag import Behind
from shared.runtime import Runtime
from shared.settings import Settings

ENV = {
    "STEADYPATH_DATABASE_URL": "postgresql://nobody:nothing@127.0.0.1:1/none",
    "STEADYPATH_KAFKA_BOOTSTRAP": "127.0.0.1:1",
    "STEADYPATH_DATA_KEY": base64.b64encode(b"k" * 32).decode(),
    "STEADYPATH_METRICS_KEY": "metrics-key",
}


@dataclass
class Reading:
    """A consumer in the state that the test wants."""

    late: dict[str, Behind] = field(default_factory=dict)
    partitions: int = 6

    def connected(self) -> bool:
        return True

    def assigned(self) -> int:
        return self.partitions

    def in_flight(self) -> int:
        return 0

    def stuck_for(self) -> float:
        return 0.0

    def positions(self) -> dict[str, int]:
        return {"due.v1:0": 7}

    def behind(self) -> Mapping[str, Behind]:
        return self.late

    async def reach(self, published: Mapping[str, int], within: float) -> None:
        raise AssertionError("nobody steps this")

    def rest(self, resting: bool) -> None:
        raise AssertionError("nobody steps this")


@pytest.fixture
async def runtime() -> AsyncIterator[Runtime]:
    made = Runtime(Settings.from_env("scheduler", env=ENV), clock=SystemClock())
    yield made
    await made.engine.dispose()


async def check(runtime: Runtime, consumer: Reading, name: str) -> Check:
    health = Health(runtime, Loops((), runtime.clock, runtime.metrics, simulated=False), consumer)
    [found] = [each for each in (await health.report()).checks if each.name == name]
    return found


@pytest.mark.parametrize(("seconds", "ready"), [(0, True), (120, True), (121, False)])
async def test_two_minutes_behind_is_not_ready(seconds: float, ready: bool, runtime: Runtime) -> None:
    consumer = Reading({"due.v1": Behind(3, seconds), "plans.v1": Behind()})
    assert await check(runtime, consumer, "lag") == Check("lag", ready, {"records": 3, "seconds": round(float(seconds), 1)})
    shown = runtime.metrics.exposition().decode()
    assert f'steadypath_consumer_lag_seconds{{topic="due.v1"}} {float(seconds)}' in shown
    assert f'steadypath_ready{{check="lag"}} {float(ready)}' in shown


async def test_a_topic_that_another_replica_reads_now_is_no_longer_late_here(runtime: Runtime) -> None:
    consumer = Reading({"due.v1": Behind(3, 500)})
    assert not (await check(runtime, consumer, "lag")).passed
    consumer.late = {}
    assert (await check(runtime, consumer, "lag")).passed
    assert 'steadypath_consumer_lag_seconds{topic="due.v1"}' not in runtime.metrics.exposition().decode()


async def test_without_a_partition_nothing_is_read(runtime: Runtime) -> None:
    assert not (await check(runtime, Reading(partitions=0), "broker")).passed


@pytest.mark.parametrize(
    ("share", "free", "little"),
    [(0.049, 10**9, True), (0.05, 10**9, False), (0.049, 3 * 10**9, False), (0.0, 0, True), (0.9, 10**6, False)],
)
def test_a_disk_is_nearly_full_by_share_and_by_size(share: float, free: int, little: bool) -> None:
    assert little_disk(share, free) is little


async def test_whoever_watches_sees_a_service_whose_database_is_away(runtime: Runtime) -> None:
    health = Health(runtime, Loops((), runtime.clock, runtime.metrics, simulated=False), None)
    health.starting = None
    app = create_app(runtime, health, [])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as http:

        async def ask(path: str, key: str) -> httpx.Response:
            return await http.get(path, headers={"Authorization": f"Bearer {key}"} if key else {})

        seen, ready = await ask("/metrics", "metrics-key"), await ask("/readyz", "")
        assert (await ask("/scheduler/metrics", "metrics-key")).status_code == 200
        assert [(await ask("/metrics", key)).status_code for key in ("", "metrics")] == [401, 503]
    assert seen.status_code == 200
    assert 'steadypath_ready{check="database"} 0.0' in seen.text
    assert (ready.status_code, ready.json()["checks"]["database"]["ok"]) == (503, False)

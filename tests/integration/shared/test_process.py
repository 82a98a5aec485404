"""A service as a process: what it refuses to start with, how it waits, how it stops, what it says of itself."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from time import monotonic
from typing import Any

import httpx
import pytest

from tests.integration.shared.conftest import Running
from tests.support.parts import Broker, Database
from tests.support.toy import KEY

Start = Callable[..., Running]
BEARER = {"Authorization": f"Bearer {KEY}"}
NOTE = "/scheduler/patients/p-1/note"


def ready(answer: httpx.Response) -> bool:
    return answer.status_code == 200


def failing(answer: httpx.Response) -> set[str]:
    return {name for name, check in answer.json()["checks"].items() if not check["ok"]}


def test_it_runs_publishes_consumes_and_stops_clean(start: Start, address: str, fresh_kafka: Broker) -> None:
    toy = start(STEADYPATH_DATABASE_URL=address, STEADYPATH_KAFKA_BOOTSTRAP=fresh_kafka.bootstrap)
    toy.until(ready)
    assert httpx.put(toy.url + NOTE, json={"kind": "a"}, headers=BEARER).status_code == 200
    snapshot = toy_step(toy)
    while snapshot["unsent"] or snapshot["due"] or snapshot["in_flight"]:
        snapshot = toy_step(toy)
    assert len(snapshot["published"]) == 1
    assert snapshot["work"] > 0
    began = monotonic()
    toy.process.send_signal(signal.SIGTERM)
    output = toy.output()
    assert toy.process.returncode == 0
    assert monotonic() - began < 10
    lines = [json.loads(line) for line in output.splitlines()]
    assert {"started", "stopping", "stopped"} <= {line["event"] for line in lines}
    assert not [line for line in lines if "dropped" in line], "a log line held what may not be logged"
    assert "p-1" not in output
    assert KEY not in output


def toy_step(toy: Running) -> dict[str, Any]:
    answer = httpx.post(toy.url + "/scheduler/simulation/step", headers=BEARER, timeout=30)
    assert answer.status_code == 200, answer.text
    snapshot: dict[str, Any] = answer.json()
    return snapshot


def test_without_a_broker_it_takes_commands_and_says_that_it_is_unready(start: Start, address: str) -> None:
    toy = start(STEADYPATH_DATABASE_URL=address)
    toy.until(lambda answer: failing(answer) == {"broker"})
    assert httpx.get(toy.url + "/livez").status_code == 200
    assert httpx.put(toy.url + NOTE, json={"kind": "a"}, headers=BEARER).status_code == 200
    snapshot = toy_step(toy)
    assert (snapshot["unsent"], snapshot["published"], snapshot["due"]) == (1, {}, 0)
    toy.process.send_signal(signal.SIGINT)
    assert toy.process.wait(10) == 0


def test_role_web_needs_no_broker_and_runs_no_pass(start: Start, address: str) -> None:
    toy = start("--role", "web", STEADYPATH_DATABASE_URL=address, STEADYPATH_CLOCK_PAGE="")
    checks = toy.until(ready).json()["checks"]
    assert "broker" not in checks
    assert abs(checks["clock"]["skew_seconds"]) < 2
    assert httpx.put(toy.url + NOTE, json={"kind": "a"}, headers=BEARER).status_code == 200
    assert httpx.post(toy.url + "/scheduler/simulation/step", headers=BEARER).status_code == 404


def test_role_worker_has_health_and_no_api(start: Start, address: str) -> None:
    toy = start("--role", "worker", STEADYPATH_DATABASE_URL=address, STEADYPATH_CLOCK_PAGE="")
    toy.until(lambda answer: failing(answer) == {"broker"})
    assert httpx.put(toy.url + NOTE, json={"kind": "a"}, headers=BEARER).status_code == 404


def test_a_database_that_is_away_is_waited_for(start: Start) -> None:
    toy = start(STEADYPATH_DATABASE_URL="postgresql://u:p@127.0.0.1:1/d")
    unready = toy.until(lambda answer: answer.status_code == 503)
    assert {"start", "database"} <= failing(unready)
    refused = httpx.put(toy.url + NOTE, json={"kind": "a"}, headers=BEARER)
    assert (refused.status_code, refused.headers["content-type"]) == (503, "application/problem+json")
    toy.process.send_signal(signal.SIGTERM)
    assert toy.process.wait(10) == 0


@pytest.mark.parametrize("there", ["4161157ccd83", None])
def test_an_older_schema_or_none_is_refused_in_one_line(start: Start, empty_database: Database, there: str | None) -> None:
    if there:
        empty_database.sql("CREATE TABLE scheduler.alembic_version AS SELECT :'there'::text AS version_num", there=there)
        empty_database.sql("GRANT SELECT ON scheduler.alembic_version TO steadypath_scheduler")
    toy = start(STEADYPATH_DATABASE_URL=empty_database.url("scheduler"))
    output = toy.output()
    assert toy.process.returncode == 1
    assert "error: the database schema of scheduler is not at this release: run `python -m shared.db migrate scheduler`" in output


def test_a_later_schema_is_worked_on(start: Start, database: Database) -> None:
    """A process that dies while an upgrade is under way, or after the way back, must come up again."""
    database.sql("update scheduler.alembic_version set version_num = 'f0000000ffff'")
    toy = start("--role", "worker", STEADYPATH_DATABASE_URL=database.url("scheduler"), STEADYPATH_CLOCK_PAGE="")
    toy.until(lambda answer: failing(answer) == {"broker"})


def test_a_wrong_password_is_said_at_once(start: Start, empty_database: Database) -> None:
    url = empty_database.url("scheduler").replace(empty_database.passwords["scheduler"], "wrong-canary")
    toy = start(STEADYPATH_DATABASE_URL=url)
    output = toy.output()
    assert toy.process.returncode == 1
    assert "error: STEADYPATH_DATABASE_URL: the server refuses" in output
    assert "canary" not in output


def test_a_bad_setting_is_one_line_without_its_value(start: Start) -> None:
    toy = start(STEADYPATH_DATABASE_URL="postgresql://u:p@127.0.0.1:1/d", STEADYPATH_DATA_KEY="canary")
    output = toy.output()
    assert toy.process.returncode == 1
    assert output.splitlines() == [
        "error: STEADYPATH_DATA_KEY: not accepted; base64 of exactly 32 random bytes (for example: openssl rand -base64 32)"
    ]


def test_wrong_usage_is_exit_code_2(start: Start) -> None:
    toy = start("--role", "boss")
    toy.output()
    assert toy.process.returncode == 2

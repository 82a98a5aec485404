"""The rules and every query of the dashboards, by the real Prometheus over running services; a database that stops is an alert
within a minute, although nothing can be asked of it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest
import yaml

from shared.events.registry import SERVICES
from tests.contract.test_observability import explained, panels, rules
from tests.observability.conftest import HOME
from tests.support.stack import Up, descendants, free_port, up
from tests.support.waiting import wait_until

KEY = "metrics-key-of-this-test"


def promtool(image: str, folder: Path, *arguments: str) -> str:
    """What promtool says; it must approve."""
    command = ["docker", "run", "--rm", "--network=none", "-v", f"{folder}:/etc/prometheus:ro", "--entrypoint=promtool", image]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_promtool_proves_every_rule(docker_image: str) -> None:
    said = promtool(docker_image, HOME, "test", "rules", "/etc/prometheus/tests/steadypath.yml")
    assert "SUCCESS" in said


def test_promtool_finds_a_rule_that_is_wrong(docker_image: str, tmp_path: Path) -> None:
    """The proof can fail: with another bound its cases do."""
    shutil.copytree(HOME, tmp_path / "home")
    (tmp_path / "home").chmod(0o755)
    path = tmp_path / "home/rules.yml"
    path.write_text(
        path.read_text().replace("steadypath_outbox_oldest_unsent_seconds) > 60", "steadypath_outbox_oldest_unsent_seconds) > 90")
    )
    with pytest.raises(AssertionError, match="SteadypathOutboxOld"):
        promtool(docker_image, tmp_path / "home", "test", "rules", "/etc/prometheus/tests/steadypath.yml")


@dataclass
class Watching:
    """A Prometheus over a running system."""

    running: Up
    http: httpx.Client

    def ask(self, path: str, **params: str) -> Any:
        answer = self.http.get(f"/api/v1/{path}", params=params)
        found = answer.json()
        assert found["status"] == "success", found
        return found["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("query", query=expression)["result"]
        return found

    def up(self) -> dict[str, str]:
        return {each["labels"]["job"]: each["health"] for each in self.ask("targets")["activeTargets"]}

    def firing(self) -> set[tuple[str, str, str]]:
        """(alert, job, check) of all that fire."""
        found = self.query('ALERTS{alertstate="firing"}')
        about = [each["metric"] for each in found]
        return {(one["alertname"], one.get("job", ""), one.get("check", "")) for one in about}


@pytest.fixture(scope="module")
def watching(docker_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watching]:
    folder, port = tmp_path_factory.mktemp("watching"), free_port()
    with up(folder / "data", env={"STEADYPATH_METRICS_KEY": KEY}) as running:
        container = start(docker_image, configuration(folder, running.origin), port)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as http:
                found = Watching(running, http)
                wait_until(lambda: _all_up(found), within=90, what="Prometheus has scraped every service")
                yield found
        finally:
            subprocess.run(["docker", "rm", "-f", container], capture_output=True, check=True, timeout=60)


def configuration(folder: Path, origin: str) -> Path:
    """The committed one, but for where the services are: here they have no names in any DNS."""
    home = folder / "prometheus"
    shutil.copytree(HOME, home)
    found = yaml.safe_load((home / "prometheus.yml").read_text("utf-8"))
    for job in found["scrape_configs"]:
        del job["dns_sd_configs"]
        job["authorization"] = {"credentials": KEY}
        job["metrics_path"] = f"/{job['job_name']}/metrics"
        job["static_configs"] = [{"targets": [urllib.parse.urlsplit(origin).netloc]}]
    (home / "prometheus.yml").write_text(yaml.safe_dump(found))
    for path in (home, *home.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    for parent in (folder, folder.parent):
        parent.chmod(0o755)
    return home


def start(image: str, home: Path, port: int) -> str:
    options = ["--network=host", "--read-only", "--tmpfs=/prometheus:mode=1777", "-v", f"{home}:/etc/prometheus:ro"]
    flags = ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]
    command = ["docker", "run", "-d", *options, image, *flags, f"--web.listen-address=127.0.0.1:{port}"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout.strip()


def _all_up(found: Watching) -> bool:
    try:
        if found.http.get("/-/ready").status_code != 200:
            return False
        return found.up() == dict.fromkeys(SERVICES, "up") and len(found.query("up")) == len(SERVICES)
    except httpx.TransportError:
        return False


def test_a_running_service_shows_exactly_what_is_explained(watching: Watching) -> None:
    page = explained()
    for service in SERVICES:
        request = urllib.request.Request(
            f"{watching.running.origin}/{service}/metrics", headers={"Authorization": f"Bearer {KEY}"}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            shown = set(re.findall(r"^# TYPE (steadypath_\w+)", answer.read().decode(), re.MULTILINE))
        assert shown == page["Every service"] | page.get(service.capitalize(), set())


def test_prometheus_takes_every_rule_and_nothing_fires_while_all_is_well(watching: Watching) -> None:
    [group] = watching.ask("rules")["groups"]
    wait_until(lambda: _judged(watching), within=60, what="the rules have been judged")
    assert [rule["name"] for rule in group["rules"]] == [rule["alert"] for rule in rules()]
    assert {name for name, *_ in watching.firing()} == set()


def _judged(watching: Watching) -> bool:
    [group] = watching.ask("rules")["groups"]
    assert [rule["name"] for rule in group["rules"] if rule["health"] == "err"] == []
    return all(rule["health"] == "ok" for rule in group["rules"])


def test_every_query_of_the_dashboards_is_answered(watching: Watching) -> None:
    for panel, expression in panels():
        assert isinstance(watching.query(expression), list), panel


def test_what_stands_still_without_patients_has_a_number(watching: Watching) -> None:
    """Gauges of a clinic where nothing happens are 0, not absent: a panel without data looks like one that is broken."""
    gauges = """outbox_unsent outbox_oldest_unsent_seconds parked_keys due_oldest_waiting_seconds disk_free_ratio texts_queued
        texts_unconfirmed channel_down switched_off alerts_open alert_oldest_open_seconds ops_notices_waiting
        consumer_lag_seconds"""
    assert [name for name in gauges.split() if not watching.query(f"steadypath_{name}")] == []
    assert watching.query("max(steadypath_channel_down)")[0]["value"][1] == "0"


def test_a_database_that_stops_is_an_alert_within_a_minute_and_over_when_it_goes_on(watching: Watching) -> None:
    postgres = watching.running.pid_of("postgres")
    assert postgres is not None
    frozen = [postgres, *descendants(postgres)]
    began = monotonic()
    try:
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        wanted = {("SteadypathNotReady", service, "database") for service in SERVICES}
        wait_until(lambda: wanted <= watching.firing(), within=75, what="the alert fires for every service")
        took = monotonic() - began
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    assert took < 60
    wait_until(lambda: not watching.firing(), within=90, what="nothing fires any more")

"""Metrics, alert rules, dashboards and the page that explains them fit each other: nothing shown that is not explained, nothing
explained or asked for that is not shown."""

from __future__ import annotations

import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.clock import SystemClock
from shared.events.registry import SERVICES
from shared.messaging.counts import Counts
from shared.metrics import COUNTED, MessagingCounts
from shared.runtime import Runtime
from shared.service import ServiceSpec
from shared.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/operations/metrics.md").read_text("utf-8")
HOME = ROOT / "deploy/observability"
#: What Prometheus itself adds.
PROMETHEUS_OWN = {"ALERTS"}
_NAME = re.compile(r"\bsteadypath_\w+")
ENV = {
    "STEADYPATH_DATABASE_URL": "postgresql://nobody:nothing@localhost:1/none",
    "STEADYPATH_KAFKA_BOOTSTRAP": "localhost:1",
    "STEADYPATH_DATA_KEY": "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=",
}


def shown_by(service: str) -> set[str]:
    """Every name that the service's composition registers, as Prometheus calls it."""
    spec: ServiceSpec = import_module(f"services.{service}.app").SPEC
    runtime = Runtime(Settings.from_env(service, env=ENV), clock=SystemClock())
    spec.checks(runtime)
    runtime.metrics.registry.register(MessagingCounts(Counts()))
    families = runtime.metrics.registry.collect()
    return {family.name + ("_total" if family.type == "counter" else "") for family in families}


def rules() -> list[dict[str, Any]]:
    [group] = yaml.safe_load((HOME / "prometheus/rules.yml").read_text("utf-8"))["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def panels() -> list[tuple[str, str]]:
    """(panel, query) of every dashboard."""
    found = []
    for path in sorted((HOME / "grafana/dashboards").glob("*.json")):
        for panel in json.loads(path.read_text("utf-8"))["panels"]:
            found += [(f"{path.stem}: {panel['title']}", target["expr"]) for target in panel["targets"]]
    return found


def explained() -> dict[str, set[str]]:
    """Section of the page -> metrics in its table."""
    sections = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
    return {part.split("\n", 1)[0]: set(re.findall(r"^\| `(steadypath_\w+)` \| \S", part, re.MULTILINE)) for part in sections}


@pytest.mark.parametrize("service", SERVICES)
def test_every_metric_of_a_service_is_explained_and_every_explained_one_is_there(service: str) -> None:
    page = explained()
    assert shown_by(service) == page["Every service"] | page.get(service.capitalize(), set())


def test_every_count_of_messaging_is_a_metric() -> None:
    assert set(vars(Counts())) == set(COUNTED)


def test_rules_and_dashboards_ask_only_for_what_there_is() -> None:
    known = set().union(*explained().values()) | PROMETHEUS_OWN
    known |= {f"{name}_bucket" for name in known if name.endswith("_seconds")}
    asked = [(rule["alert"], rule["expr"]) for rule in rules()] + panels()
    assert len(asked) > 60
    assert [(where, name) for where, query in asked for name in _NAME.findall(query) if name not in known] == []


def test_every_metric_that_the_issue_names_is_on_a_dashboard() -> None:
    """Whoever adds a number of the loop's state shows it, too: each gauge and each count stands on a panel."""
    drawn = {name.removesuffix("_bucket") for _, query in panels() for name in _NAME.findall(query)}
    assert set().union(*explained().values()) - drawn == set()


def test_every_alert_is_explained_proven_and_says_where_to_read() -> None:
    proven = (HOME / "prometheus/tests/steadypath.yml").read_text("utf-8")
    for rule in rules():
        name = rule["alert"]
        assert f"\n### {name}\n" in PAGE, name
        assert re.search(rf"- name: {name}, ", proven), f"{name} has no case in promtool's tests"
        assert rule["labels"] == {"severity": rule["labels"]["severity"]}
        assert f"\n### {name}\n\n{rule['labels']['severity'].capitalize()}. " in PAGE, name
        assert rule["annotations"]["runbook"] == f"docs/operations/metrics.md#{name.lower()}"
    assert re.findall(r"^### (\w+)$", PAGE, re.MULTILINE) == [rule["alert"] for rule in rules()]


def test_no_label_asks_for_a_person() -> None:
    """An id of anybody as a label would make a series of each patient."""
    names = {name for service in SERVICES for name in _labels(service)}
    assert names <= {"check", "fate", "key", "kind", "method", "name", "outcome", "partition", "reason", "route", "scope"} | {
        "severity",
        "status",
        "topic",
        "why",
    }


def _labels(service: str) -> set[str]:
    spec: ServiceSpec = import_module(f"services.{service}.app").SPEC
    runtime = Runtime(Settings.from_env(service, env=ENV), clock=SystemClock())
    spec.checks(runtime)
    metrics = [each for each in runtime.metrics.registry._collector_to_names if hasattr(each, "_labelnames")]
    assert len(metrics) > 15
    return {label for each in metrics for label in each._labelnames}


def test_dashboards_are_grafanas_json_with_one_known_source() -> None:
    [source] = yaml.safe_load((HOME / "grafana/provisioning/datasources/prometheus.yml").read_text("utf-8"))["datasources"]
    for path in (HOME / "grafana/dashboards").glob("*.json"):
        board = json.loads(path.read_text("utf-8"))
        ids = [panel["id"] for panel in board["panels"]]
        assert len(ids) == len(set(ids)) > 10
        assert {panel["datasource"]["uid"] for panel in board["panels"]} == {source["uid"]}
        places = [tuple(panel["gridPos"].values()) for panel in board["panels"]]
        assert all(x + w <= 24 for x, _, w, _ in places)
        assert len({(x, y) for x, y, *_ in places}) == len(places)


def test_what_is_watched_is_what_there_is() -> None:
    compose = yaml.safe_load((ROOT / "compose.observability.yml").read_text("utf-8"))["services"]
    scraped = yaml.safe_load((HOME / "prometheus/prometheus.yml").read_text("utf-8"))["scrape_configs"]
    assert {job["job_name"] for job in scraped} == set(SERVICES) <= set(compose)
    for name in ("prometheus", "grafana", "collector"):
        published = compose[name].get("ports", [])
        assert all(port.startswith("127.0.0.1:") for port in published), "for this machine alone"
        assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+", compose[name]["image"]), "pinned by tag"

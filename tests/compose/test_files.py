"""What the compose files promise, read as data: true on every machine, with or without containers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.stack import ROOT

BASE = "docker-compose.yml"
FILES = sorted(path.name for path in ROOT.glob("compose.*.yml"))
IMAGES = {"postgres:18", "apache/kafka:4.3.1", "caddy:2", "${STEADYPATH_IMAGE:-steadypath:local}"}
#: Images beyond what runs in every installation: those that look on.
WATCHING = {"compose.observability.yml"}
OURS = ("scheduler", "notifier", "adherence")
#: Settings of `.env.example` that belong to other ways of running: no file of a stack names them.
NOT_PASSED = frozenset({"URL", "CLOCK_PAGE", "PHONE_HOST", "PHONE_PORT", "PYTHON"})
_DRAINS_WITHIN_SECONDS = 10


class _Loader(yaml.SafeLoader):
    """Compose's own tags (!override, !reset) are read as what they hold."""


def _tagged(loader: yaml.SafeLoader, _tag: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    return loader.construct_sequence(node, deep=True) if isinstance(node, yaml.SequenceNode) else None


_Loader.add_multi_constructor("!", _tagged)


def services(file: str) -> dict[str, dict[str, Any]]:
    """Each service of a file, anchors resolved."""
    found: dict[str, dict[str, Any]] = yaml.load((ROOT / file).read_text("utf-8"), Loader=_Loader)["services"]
    return found


def one_shot(service: dict[str, Any]) -> bool:
    return service.get("restart") == "no"


def awaited(file: str) -> set[str]:
    """Who is waited for until it has ended well."""
    found = set()
    for service in services(file).values():
        needs = service.get("depends_on", {})
        if isinstance(needs, dict):
            found |= {name for name, how in needs.items() if how.get("condition") == "service_completed_successfully"}
    return found


@pytest.mark.parametrize("file", [BASE, *FILES])
def test_every_one_shot_job_is_awaited(file: str) -> None:
    """`up --wait` calls a job that ended a failure, unless somebody waits for its end."""
    jobs = {name for name, service in services(file).items() if one_shot(service)}
    assert jobs <= awaited(BASE) | awaited(file)


def test_the_jobs_of_the_stack_are_these() -> None:
    assert {name for name, service in services(BASE).items() if one_shot(service)} == {"secrets", "topics", "migrate"}


@pytest.mark.parametrize("file", [file for file in (BASE, *FILES) if file not in WATCHING])
def test_nothing_runs_but_the_named_images(file: str) -> None:
    assert {service["image"] for service in services(file).values() if "image" in service} <= IMAGES


def test_the_image_is_made_from_one_base() -> None:
    bases = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert set(bases) == {"python:3.13-slim"}


@pytest.mark.parametrize("file", [file for file in (BASE, *FILES) if file not in WATCHING])
def test_only_the_origin_is_published_and_on_loopback_unless_told(file: str) -> None:
    published = {name: service["ports"] for name, service in services(file).items() if service.get("ports")}
    assert published == ({"origin": ["${STEADYPATH_LISTEN:-127.0.0.1:8470}:8470"]} if file == BASE else {})


LOCKED_UP = [
    *((BASE, name) for name in (*OURS, "topics", "migrate")),
    ("compose.demo.yml", "phone"),
    ("compose.demo.yml", "sample"),
]


@pytest.mark.parametrize(("file", "name"), LOCKED_UP)
def test_our_containers_are_locked_up(file: str, name: str) -> None:
    service = services(file)[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert "user" not in service, "the image's own user is nobody in particular"


@pytest.mark.parametrize("name", OURS)
def test_a_service_has_time_to_drain_and_says_when_it_is_ready(name: str) -> None:
    service = services(BASE)[name]
    assert int(service["stop_grace_period"].removesuffix("s")) > _DRAINS_WITHIN_SECONDS
    assert service["healthcheck"]["test"][-1].endswith("/readyz")


def test_every_setting_reaches_the_stack() -> None:
    """A setting that `.env.example` offers and the file does not pass on would be set in vain."""
    offered = set(re.findall(r"^(?:# )?STEADYPATH_([A-Z_]+)=", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE))
    everything = "".join((ROOT / file).read_text("utf-8") for file in (BASE, *FILES))
    named = {name.removesuffix("_FILE") for name in re.findall(r"\bSTEADYPATH_([A-Z_]+)\b", everything)}
    assert offered - named == NOT_PASSED
    assert named <= offered, "a setting that nobody can find in .env.example"


def test_postgres_logs_no_statement_and_no_value() -> None:
    command = services(BASE)["postgres"]["command"]
    assert {"log_error_verbosity=terse", "log_min_error_statement=panic", "log_parameter_max_length_on_error=0"} <= set(command)


def test_kafka_makes_no_topic_that_nobody_ordered() -> None:
    for file in (BASE, "compose.cluster.yml"):
        brokers = [service for name, service in services(file).items() if name.startswith("kafka")]
        assert brokers
        for broker in brokers:
            assert broker.get("environment", {}).get("KAFKA_AUTO_CREATE_TOPICS_ENABLE", "false") == "false"
    assert services(BASE)["kafka"]["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_the_cluster_survives_one_broker() -> None:
    cluster = services("compose.cluster.yml")
    brokers = [name for name in cluster if name.startswith("kafka")]
    assert len(brokers) == 3
    for name in brokers:
        assert cluster[name]["environment"]["KAFKA_MIN_INSYNC_REPLICAS"] == 2
        assert cluster[name]["environment"]["KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR"] == 3
    assert cluster["topics"]["environment"]["STEADYPATH_TOPIC_REPLICATION"] == "3"
    assert {name: cluster[name]["deploy"]["replicas"] for name in OURS} == dict.fromkeys(OURS, 2)


def test_the_upgrade_starts_from_a_commit() -> None:
    assert re.fullmatch(r"[0-9a-f]{40}\n", Path(ROOT / "deploy" / "upgrade-from").read_text("ascii"))

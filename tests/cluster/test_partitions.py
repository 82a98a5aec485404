"""The number of partitions is changed: refused while it could break a patient's order, done when it cannot, and harmless to what
is known even where somebody does it without asking (the version is the guard, order a hint)."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions  # type: ignore[attr-defined]

from shared.events.registry import SERVICES, TOPICS
from shared.messaging.cluster import Cluster
from tests.cluster.clinic import Clinic, at
from tests.support.cluster_broker import ClusterBroker
from tests.support.cluster_world import ROOT, World
from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster
PATIENTS = 10
BEFORE, AFTER = 6, 12


def change(world: World, wanted: int) -> tuple[int, str]:
    """What an operator runs; its exit code and what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "shared.messaging.partitions", str(wanted)],
        cwd=ROOT,
        env={**os.environ, "STEADYPATH_KAFKA_BOOTSTRAP": world.broker.bootstrap},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr


def stop_all(world: World) -> None:
    for replica in world.all():
        assert replica.stop() == 0
    for service in SERVICES:
        wait_until(lambda service=service: not world.kafka.members(service), within=60, what=f"{service} has left")  # type: ignore[misc]


def start_all(world: World) -> None:
    for replica in world.all():
        replica.start()
    world.wait_ready()


def test_drained_and_stopped_it_is_done_and_every_text_goes_once(
    real_broker: ClusterBroker, started: Callable[..., Clinic]
) -> None:
    clinic = started(notifier=2)
    world = clinic.world
    clinic.enrol(PATIENTS)
    for wall in ("08:00", "10:00"):
        world.to(at(world, wall))
        clinic.settle()
    code, said = change(world, AFTER)
    assert (code, said.count("still runs")) == (1, len(SERVICES)), said
    assert len(world.kafka.partitions()) == BEFORE * len(TOPICS)
    stop_all(world)
    assert change(world, AFTER)[0] == 0
    assert len(world.kafka.partitions()) == AFTER * len(TOPICS)
    assert change(world, AFTER)[0] == 0, "once more is nothing to do"
    code, said = change(world, BEFORE)
    assert (code, said.count("cannot make them fewer")) == (1, len(TOPICS)), said
    start_all(world)
    for wall in ("12:00", "16:00"):
        world.to(at(world, wall))
        clinic.settle()
    assert clinic.good().counts == {"sent": 4 * PATIENTS}
    used = {number for _, number in world.kafka.partitions(["due.v1"]) if world.kafka.end("due.v1", number)}
    assert used & set(range(BEFORE, AFTER)), "the new ones are in use"


def test_without_draining_it_is_refused_and_done_by_force_still_loses_and_doubles_nothing(
    real_broker: ClusterBroker, started: Callable[..., Clinic]
) -> None:
    clinic = started(notifier=2)
    world = clinic.world
    clinic.enrol(PATIENTS)
    for replica in world.all("notifier"):
        assert replica.stop() == 0
    world.to(at(world, "08:00"))
    wait_until(lambda: world.kafka.lag("notifier") >= PATIENTS, within=120, what="doses are due that the notifier has not read")
    for replica in world.all("scheduler", "adherence"):
        assert replica.stop() == 0
    for service in SERVICES:
        wait_until(lambda service=service: not world.kafka.members(service), within=60, what=f"{service} has left")  # type: ignore[misc]
    code, said = change(world, AFTER)
    assert code == 1
    assert "notifier has" in said
    assert "records unread" in said
    assert len(world.kafka.partitions()) == BEFORE * len(TOPICS)
    admin = AdminClient({"bootstrap.servers": world.broker.bootstrap, "log_level": 0})
    for each in admin.create_partitions([NewPartitions(name, AFTER) for name in TOPICS]).values():
        each.result(20)
    start_all(world)
    world.to(at(world, "08:10"))
    clinic.settle()
    world.to(at(world, "12:00"))
    assert clinic.good().counts == {"sent": 3 * PATIENTS}


def test_a_topic_that_a_service_makes_has_as_many_replicas_as_the_cluster_gives(real_broker: ClusterBroker) -> None:
    """Where nobody made them before: a service that asked for one would have what three were to keep on one broker."""

    async def make() -> None:
        cluster = Cluster(real_broker.bootstrap, client_id="test")
        await cluster.start()
        try:
            await cluster.ensure_topics(["made.v1"], 4)
        finally:
            await cluster.stop()

    asyncio.run(make())
    admin = AdminClient({"bootstrap.servers": real_broker.bootstrap, "log_level": 0})

    def replicas() -> list[int]:
        return [len(partition.replicas) for partition in admin.list_topics("made.v1", 20).topics["made.v1"].partitions.values()]

    wait_until(lambda: len(replicas()) == 4, within=20, what="the topic is there")
    assert replicas() == [1, 1, 1, 1], "this cluster's default"

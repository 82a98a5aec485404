"""Two and three replicas of every service on one broker: partitions shared, every due item sent once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shared.events.registry import SERVICES, topics_heard_by
from tests.cluster.clinic import Clinic, at
from tests.support.cluster_broker import ClusterBroker
from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster
PATIENTS = 12


@pytest.mark.parametrize("replicas", [2, 3])
def test_replicas_share_the_partitions_and_every_due_item_is_sent_once(
    replicas: int, real_broker: ClusterBroker, started: Callable[..., Clinic]
) -> None:
    clinic = started(**dict.fromkeys(SERVICES, replicas))
    world = clinic.world
    for service in SERVICES:
        everything = len(world.kafka.partitions(topics_heard_by(service)))

        def shared(service: str = service, everything: int = everything) -> bool:
            shares = sorted(world.kafka.members(service).values())
            return len(shares) == replicas and sum(shares) == everything and shares[-1] - shares[0] <= 1

        wait_until(shared, within=30, what=f"{replicas} members of {service} share {everything} partitions evenly")
    clinic.enrol(PATIENTS)
    for wall in ("08:00", "10:00", "12:00"):
        world.to(at(world, wall))
        clinic.settle()
    verdict = clinic.good()
    assert verdict.counts == {"sent": 3 * PATIENTS}

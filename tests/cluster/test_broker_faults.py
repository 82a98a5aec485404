"""The broker restarts, stays away, and forgets. PostgreSQL is the truth: nothing is lost, nothing goes twice."""

from __future__ import annotations

import os
from collections.abc import Callable
from time import monotonic

import pytest

from shared.events.registry import SERVICES, TOPICS
from tests.cluster.clinic import Clinic, at
from tests.support.cluster_broker import ClusterBroker
from tests.support.cluster_world import World
from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster
PATIENTS = 10
#: Machine seconds without a broker. The proof is about a minute; shorter is for a first look.
OUTAGE = float(os.environ.get("STEADYPATH_TEST_OUTAGE", "60"))


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_broker_that_is_started_again_costs_nothing(
    how: str, real_broker: ClusterBroker, started: Callable[..., Clinic]
) -> None:
    clinic = started(notifier=2)
    world = clinic.world
    clinic.enrol(PATIENTS)
    said = _due_said(world)
    world.to(at(world, "08:00"))
    wait_until(lambda: _due_said(world) > said, within=60, what="something has come due")
    getattr(real_broker, how)()
    real_broker.start()
    assert clinic.good().counts == {"sent": PATIENTS}
    world.wait_ready()
    world.to(at(world, "10:00"))
    assert clinic.good().counts == {"sent": 2 * PATIENTS}
    assert set(_repairs(world)) == {0}, "a broker that has forgotten nothing is not repaired"


def test_a_minute_without_a_broker(real_broker: ClusterBroker, started: Callable[..., Clinic]) -> None:
    clinic = started(notifier=2)
    world = clinic.world
    clinic.enrol(PATIENTS)
    real_broker.kill()
    began = monotonic()
    for wall in ("08:00", "10:00", "12:00"):
        said = _due_said(world)
        world.to(at(world, wall))
        wait_until(lambda said=said: _due_said(world) >= said + PATIENTS, within=60,  # type: ignore[misc]
                   what=f"what is due at {wall} stands in the outbox")  # fmt: skip
    wait_until(lambda: not any(one.ready() for one in world.all()), within=60, what="every replica says that it cannot work")
    assert [one for one in clinic.said() if one.occurrence] == [], "the notifier has heard of nothing that came due"
    wait_until(lambda: monotonic() - began >= OUTAGE, within=OUTAGE + 1, what="the outage has lasted")
    real_broker.start()
    world.wait_ready()
    # The dose of 08:00 is four hours late and is not asked for any more; the check-in of 10:00 still makes sense.
    counts = clinic.good().counts
    assert (counts["sent"], counts["withheld"] + counts["expired"]) == (2 * PATIENTS, PATIENTS)


@pytest.mark.parametrize("identity_too", [True, False], ids=["another-cluster", "same-cluster-empty"])
def test_a_broker_that_has_forgotten_everything_is_repaired(
    identity_too: bool, broker: ClusterBroker, started: Callable[..., Clinic]
) -> None:
    """P6. On the embedded broker too: there every end is one."""
    if not (broker.real or identity_too):
        pytest.skip("the embedded broker has another identity at each start")
    clinic = started(notifier=2 if broker.real else 1)
    world = clinic.world
    clinic.enrol(PATIENTS)
    world.to(at(world, "08:00"))
    clinic.settle()
    said = _due_said(world)
    world.to(at(world, "10:00"))
    wait_until(lambda: _due_said(world) > said, within=60, what="something is on its way")
    broker.kill()
    broker.wipe(identity_too=identity_too)
    broker.start()
    world.address()
    wait_until(lambda: _repaired(world), within=120, what="the relays have noticed")
    assert clinic.good().counts == {"sent": 2 * PATIENTS}
    world.wait_ready()
    world.to(at(world, "12:00"))
    assert clinic.good().counts == {"sent": 3 * PATIENTS}


def test_topics_that_are_deleted_under_everybodys_hands_are_repaired(
    real_broker: ClusterBroker, started: Callable[..., Clinic]
) -> None:
    """The broker stays what it is; only the data are gone, with the groups' offsets on them."""
    clinic = started()
    world = clinic.world
    clinic.enrol(PATIENTS)
    world.to(at(world, "08:00"))
    clinic.settle()
    world.kafka.drop_topics(*TOPICS)
    wait_until(lambda: not world.kafka.partitions(), within=60, what="the broker does not know the topics any more")
    world.make_topics()
    world.to(at(world, "10:00"))
    wait_until(lambda: _repaired(world), within=120, what="the relays have noticed")
    assert clinic.good().counts == {"sent": 2 * PATIENTS}


def _due_said(world: World) -> int:
    return int(world.database.sql("SELECT count(*) FROM scheduler.outbox WHERE topic = 'due.v1'"))


def _repaired(world: World) -> bool:
    """Adherence has said nothing yet that an empty broker of the same name could have forgotten."""
    scheduler, notifier, _ = _repairs(world)
    return min(scheduler, notifier) >= 1


def _repairs(world: World) -> list[int]:
    """How many times each service's relay has begun one."""
    return [int(world.database.sql(f"SELECT repair FROM {service}.relay_lease")) for service in SERVICES]

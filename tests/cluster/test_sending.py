"""Faults in mid-send: the provider has taken texts and whoever asked does not know it yet, when its process dies, is frozen, or
the group is divided anew. Doubt is settled or stays visible; nothing goes twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.cluster.clinic import Clinic, at
from tests.support.cluster_broker import ClusterBroker
from tests.support.cluster_world import Replica, World
from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster
PATIENTS = 16
#: When the notifier looks at the provider's list for a text in doubt (defaults.toml, reconcile_after), and a little more.
LOOKS = (timedelta(minutes=1), timedelta(minutes=3), timedelta(minutes=12))


def in_mid_send(world: World, wall: str) -> None:
    """Time comes; the provider takes texts and its answers do not come back, until `world.front.release()`."""
    world.front.hold()
    world.to(at(world, wall))
    wait_until(lambda: len(world.front.held) >= 3, within=60, what="the provider has taken texts that nobody knows of")


def look_at_what_is_in_doubt(clinic: Clinic) -> None:
    """Clinical time passes in which the notifier asks the provider."""
    began = clinic.world.now()
    for look in LOOKS:
        clinic.settle()
        clinic.world.to(began + look)


def waits_most(world: World) -> Replica:
    """The notifier that owns most of the answers that are being held."""
    return max(world.replicas["notifier"], key=lambda one: len(one.local_ports() & set(world.front.held)))


def test_a_consumer_killed_in_mid_send_leaves_no_text_out_and_none_twice(
    real_broker: ClusterBroker, started: Callable[..., Clinic]
) -> None:
    clinic = started(notifier=2)
    world = clinic.world
    clinic.enrol(PATIENTS, check_in=False)
    # The provider does not call back either: only its list can say what became of the dead one's texts.
    world.call("PUT", "/phone/faults", {"faults": [{"fault": "lost-callback", "times": None}]})
    in_mid_send(world, "08:00")
    killed = waits_most(world)
    asked = len(killed.local_ports() & set(world.front.held))
    killed.kill()
    assert asked > 0, "the killed notifier was waiting for the provider"
    world.front.release()
    look_at_what_is_in_doubt(clinic)
    verdict = clinic.good()
    assert verdict.counts["sent"] + verdict.counts["unconfirmed"] == PATIENTS
    killed.start()
    world.wait_ready(killed)
    world.to(at(world, "12:00"))
    assert clinic.good().counts["sent"] >= verdict.counts["sent"] + PATIENTS


def test_a_group_divided_anew_in_mid_send_changes_nothing(real_broker: ClusterBroker, started: Callable[..., Clinic]) -> None:
    clinic = started(notifier=2)
    world = clinic.world
    clinic.enrol(PATIENTS, check_in=False)
    before = world.kafka.members("notifier")
    joining = world.add("notifier")
    in_mid_send(world, "08:00")
    leaving = waits_most(world)
    assert leaving.stop() == 0
    world.front.release()
    wait_until(lambda: _divided(world, 2) and world.kafka.members("notifier").keys() != before.keys(), within=120,
               what="the group has other members than before, and all partitions")  # fmt: skip
    world.wait_ready(joining)
    look_at_what_is_in_doubt(clinic)
    verdict = clinic.good()
    assert verdict.counts["sent"] + verdict.counts["unconfirmed"] == PATIENTS
    world.to(at(world, "12:00"))
    assert clinic.good().counts["sent"] >= verdict.counts["sent"] + PATIENTS


def _divided(world: World, members: int) -> bool:
    shares = world.kafka.members("notifier").values()
    return len(shares) == members and all(shares)


def test_a_relay_leader_that_was_frozen_and_replaced_moves_nothing_when_it_returns(
    real_broker: ClusterBroker, started: Callable[..., Clinic]
) -> None:
    clinic = started(scheduler=2)
    world = clinic.world
    clinic.enrol(PATIENTS, check_in=False)
    leader = max(world.replicas["scheduler"], key=lambda one: one.metric("steadypath_events_published_total"))
    epoch, said = _epoch(world), _said(world)
    world.to(at(world, "08:00"))
    wait_until(lambda: _said(world) > said, within=60, what="the scheduler says what is due")
    leader.freeze()
    wait_until(lambda: _epoch(world) > epoch, within=120, what="another relay leads")
    verdict = clinic.good()
    assert verdict.counts == {"sent": PATIENTS}
    memory = _memory(world)
    leader.thaw()
    wait_until(lambda: leader.said("relay lost its lease"), within=60, what="the old leader learns that it no longer leads")
    assert _memory(world) == memory
    world.wait_ready(leader)
    world.to(at(world, "12:00"))
    assert clinic.good().counts == {"sent": 2 * PATIENTS}


def _epoch(world: World) -> int:
    return int(world.database.sql("SELECT epoch FROM scheduler.relay_lease"))


def _said(world: World) -> int:
    return int(world.database.sql("SELECT count(*) FROM scheduler.outbox"))


def _memory(world: World) -> str:
    """What the relay remembers of where it published to."""
    return world.database.sql("SELECT count(*), max(batch), (SELECT lasts FROM scheduler.relay_lease) FROM scheduler.relay_batch")

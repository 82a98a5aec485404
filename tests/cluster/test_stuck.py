"""aiokafka's stuck consumers (reference reliability.md 4: #1154, #703), provoked on a real broker and cured by the watchdog.

What its users report is a consumer that stands still after a rebalance or a broker's restart while the process looks well: one of
the library's background tasks has ended. Here it is ended on purpose, in real processes of two services at once.
"""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from tests.cluster.clinic import Clinic, at
from tests.support.cluster_broker import ClusterBroker
from tests.support.cluster_world import Replica, World
from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster
PATIENTS = 6
BROKEN = {"notifier": "coordinator", "adherence": "fetcher"}
#: Knobs.stuck_after and the watchdog's grace are 60 + 15 s; the rest is for a machine that is busy.
NOTICED_WITHIN, ENDED_WITHIN = 150.0, 60.0


def test_a_consumer_that_stands_still_is_said_given_up_and_goes_on_when_started_again(
    real_broker: ClusterBroker, started: Callable[..., Clinic]
) -> None:
    clinic = started()
    world = clinic.world
    clinic.enrol(PATIENTS, check_in=False)
    stuck = [_with_sabotage(world, service, which) for service, which in BROKEN.items()]
    clinic.settle()
    for replica in stuck:
        replica.signal(signal.SIGUSR1)
        wait_until(lambda one=replica: one.said("sabotaged"), within=20, what=f"{replica.name} has lost its task")  # type: ignore[misc]
    world.to(at(world, "08:00"))
    for replica in stuck:
        wait_until(lambda one=replica: _given_up(one), within=NOTICED_WITHIN, what=f"{replica.name} says so")  # type: ignore[misc]
    for replica in stuck:
        code = wait_until(lambda one=replica: one.ended(), within=ENDED_WITHIN, what=f"{replica.name} has ended")  # type: ignore[misc]
        assert code == 1
        assert replica.said("stuck for good")
        _as_it_is(replica)
    world.wait_ready()
    assert clinic.good().counts == {"sent": PATIENTS}
    world.to(at(world, "12:00"))
    assert clinic.good().counts == {"sent": 2 * PATIENTS}


def _given_up(replica: Replica) -> bool:
    """What /readyz says; a look that came too late to ask finds it in the log."""
    return replica.checks().get("watchdog", {}).get("stuck") == "consumer" or replica.said("stuck for good")


def _with_sabotage(world: World, service: str, which: str) -> Replica:
    [replica] = world.replicas[service]
    assert replica.stop() == 0
    replica.module, replica.arguments = "tests.support.cluster_sabotage", (service, which)
    replica.start()
    world.wait_ready(replica)
    return replica


def _as_it_is(replica: Replica) -> None:
    """Started again by whoever looks after it (compose: restart), without the means to break it."""
    replica.module, replica.arguments = f"services.{replica.arguments[0]}", ()
    replica.start()

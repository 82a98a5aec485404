"""PostgreSQL goes away while work is claimed and texts are on their way, and comes back."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from tests.cluster.clinic import Clinic, at
from tests.cluster.test_sending import in_mid_send, look_at_what_is_in_doubt
from tests.support.cluster_broker import ClusterBroker
from tests.support.cluster_database import Server

pytestmark = pytest.mark.cluster
PATIENTS = 12


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["restart", "crash"])
def test_postgres_that_ends_in_mid_claim_costs_no_text_and_doubles_none(
    how: signal.Signals, database_server: Server, real_broker: ClusterBroker, started: Callable[..., Clinic]
) -> None:
    """What is claimed is a row of PostgreSQL itself: due work deleted in a transaction, a text put down as attempting."""
    clinic = started(notifier=2, scheduler=2)
    world = clinic.world
    clinic.enrol(PATIENTS, check_in=False)
    in_mid_send(world, "08:00")
    database_server.end(how)
    world.front.release()
    database_server.start()
    world.wait_ready()
    look_at_what_is_in_doubt(clinic)
    verdict = clinic.good()
    assert verdict.counts["sent"] + verdict.counts["unconfirmed"] == PATIENTS
    world.to(at(world, "12:00"))
    assert clinic.good().counts["sent"] >= verdict.counts["sent"] + PATIENTS

"""Records that come again, and records that nobody can read."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest

from shared.events.registry import SERVICES
from shared.identity import clinic_id_of
from tests.cluster.clinic import Clinic, Patient, at
from tests.support.cluster_broker import ClusterBroker
from tests.support.cluster_world import World
from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster
PATIENTS = 10
#: What may differ after a replay: how far readers are, and who leads.
_MOVES = ("inbox", "reader_state", "group_confirmed", "relay_lease", "relay_batch", "alembic_version")


def test_offsets_reset_to_earliest_change_nothing(real_broker: ClusterBroker, started: Callable[..., Clinic]) -> None:
    """P19: everything that was ever said is read again, by every service, and is a no-op."""
    clinic = started(notifier=2)
    world = clinic.world
    clinic.enrol(PATIENTS)
    for wall in ("08:00", "10:00", "12:00"):
        world.to(at(world, wall))
        clinic.settle()
    verdict, ledger, rows = clinic.good(), clinic.left(), _rows(world)
    for replica in world.all():
        assert replica.stop() == 0
    for service in SERVICES:
        world.kafka.rewind(service)
        assert world.kafka.lag(service) > 0, "there is something to read again"
    for replica in world.all():
        replica.start()
    world.wait_ready()
    assert clinic.good().counts == verdict.counts
    assert clinic.left() == ledger
    assert _rows(world) == rows
    world.to(at(world, "16:00"))
    assert clinic.good().counts["sent"] == verdict.counts["sent"] + PATIENTS


def _rows(world: World) -> dict[str, str]:
    """By table, a digest of its rows."""
    names = world.database.sql(
        "SELECT schemaname || '.' || tablename FROM pg_tables "
        "WHERE schemaname IN ('scheduler', 'notifier', 'adherence') ORDER BY 1"
    ).split()
    return {
        name: world.database.sql(f"SELECT count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {name} AS t")
        for name in names
        if name.partition(".")[2] not in _MOVES
    }


def test_poison_is_parked_with_its_key_and_everybody_else_goes_on(broker: ClusterBroker, started: Callable[..., Clinic]) -> None:
    """P17: bytes that are no JSON, an event of a newer release, a header that is no UTF-8."""
    clinic = started(notifier=2 if broker.real else 1)
    world = clinic.world
    patients = clinic.enrol(PATIENTS, check_in=False)
    poisoned = patients[:3]
    broken = [
        ("dose-due.v1", b"\xff\x00 no json", {}),
        ("dose-due.v99", b"{}", {}),
        ("dose-due.v1", b"{}", {"ce_id": b"\xff\xfe"}),
    ]
    for patient, (kind, body, headers) in zip(poisoned, broken, strict=True):
        world.kafka.say("due.v1", patient.id, body, _headers(patient, kind) | headers)
    for service in ("notifier", "adherence"):
        wait_until(lambda service=service: len(_parked(world, service)) == 3, within=60, what=f"{service} has parked them")  # type: ignore[misc]
    world.to(at(world, "08:00"))
    clinic.settle()
    assert clinic.verdict().counts == {"sent": PATIENTS - 3, "missing": 3}
    # What came due for the three is not lost: it stands on the desk, behind what their keys were parked for.
    assert len(_parked(world, "notifier", "behind")) == 3
    assert {one.patient for one in clinic.said() if one.occurrence} == {one.number for one in patients[3:]}
    for service in ("notifier", "adherence"):
        for event in _parked(world, service):
            world.call("POST", f"/{service}/parked/{event}/discard", {"reason": "a broken producer, looked at"})
        assert _parked(world, service) + _parked(world, service, "behind") == []
    assert clinic.good().counts == {"sent": PATIENTS}
    world.to(at(world, "12:00"))
    assert clinic.good().counts == {"sent": 2 * PATIENTS}


def _headers(patient: Patient, kind: str) -> dict[str, str | bytes]:
    return {
        "ce_specversion": "1.0",
        "ce_id": str(uuid4()),
        "ce_type": kind,
        "ce_source": "/somebody/else",
        "ce_time": patient.since.isoformat(),
        "ce_subject": patient.id,
        "ce_correlationid": str(uuid4()),
        "ce_clinicid": str(clinic_id_of("clinic")),
        "content-type": "application/json",
        "repair": "0",
    }


def _parked(world: World, service: str, state: str = "parked") -> list[str]:
    """What stands on the service's desk: heads, or those behind them."""
    return [event["event_id"] for event in world.call("GET", f"/{service}/parked") if event["state"] == state]

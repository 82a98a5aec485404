"""What the gate reads in one statement is what each of its questions would have been answered by itself."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from services.notifier import channel, switch
from services.notifier.storage import alerts, plans, surroundings
from services.notifier.storage.plans import PlanState
from services.notifier.storage.surroundings import Surroundings
from services.notifier.storage.tables import asking_hold
from services.notifier.storage.tables import switch as switch_table
from shared.db import tables_of
from shared.events.adherence import AlertAcknowledgedV1
from shared.messaging.parking import OPEN
from shared.messaging.unit import Unit
from tests.integration.notifier.bench import CLINIC, ZONE, Bench
from tests.integration.notifier.texts_out import alert, raised

SHARED = tables_of("notifier")


async def read(bench: Bench, **ids: Any) -> Surroundings:
    wanted: dict[str, Any] = {"patients": [], "alerts": [], "clinics": []} | ids
    async with bench.runtime.unit() as unit:
        return await surroundings.read(unit, **wanted)


async def park(unit: Unit, key: UUID, state: str) -> None:
    record = {"topic": "due.v1", "partition": 0, "record_offset": 1, "key": key, "headers": [], "attempts": 1}
    values = {"event_id": uuid4(), "state": state, "parked_at": unit.now, "error": "Broken" if state == "parked" else None}
    if state not in OPEN:
        values |= {"resolved_at": unit.now, "resolved_by": "ops", "reason": b"sealed"}
    await unit.conn.execute(SHARED.parked.insert().values(**record, **values))


async def work(unit: Unit, key: UUID, state: str) -> None:
    values = {"kind": "other", "ref": str(uuid4()), "key": key, "clinic_id": CLINIC, "due_at": unit.now, "state": state}
    values |= {"error": "Broken" if state == "parked" else None}
    await unit.conn.execute(SHARED.due_work.insert().values(**values))


async def test_nothing_is_wrong_where_nothing_is(bench: Bench) -> None:
    assert await read(bench, patients=[uuid4()], alerts=[uuid4()], clinics=[CLINIC]) == Surroundings(
        None, {}, frozenset(), frozenset(), {}, {}
    )


async def test_parked_keys_are_those_that_the_house_calls_parked(bench: Bench) -> None:
    keys = [uuid4() for _ in range(6)]
    async with bench.runtime.unit() as unit:
        for key, state in zip(keys, (*OPEN, "discarded"), strict=False):
            await park(unit, key, state)
        await work(unit, keys[3], "parked")
        await work(unit, keys[4], "waiting")
        single = {key for key in keys if await unit.is_parked(key)}
    assert single == {keys[0], keys[1], keys[3]}
    assert (await read(bench, patients=keys)).parked == single
    assert (await read(bench, patients=keys[1:2])).parked == {keys[1]}, "only of those who were asked about"


async def test_alerts_that_somebody_has_taken_over(bench: Bench) -> None:
    about, nurse = await bench.patient(), await bench.staff()
    snapshots = [alert(bench, about, nurse) for _ in range(3)]
    for each in snapshots:
        await bench.hear(raised(about, each))
    over = snapshots[1].model_copy(update={"state": "acknowledged"})
    await bench.hear(
        AlertAcknowledgedV1(clinic_id=CLINIC, patient_id=about.id, alert_version=2, alert=over, by=nurse.id, how="board")
    )
    found = await read(bench, alerts=[each.alert_id for each in snapshots])
    assert found.over == {snapshots[1].alert_id}
    assert (await read(bench, alerts=[snapshots[0].alert_id])).over == frozenset()


async def test_an_older_version_of_an_alert_changes_nothing(bench: Bench) -> None:
    about, nurse = await bench.patient(), await bench.staff()
    snapshot = alert(bench, about, nurse)
    newer = snapshot.model_copy(update={"state": "resolved", "step": 2, "code": "B2B2"})
    async with bench.runtime.unit() as unit:
        assert await alerts.keep(unit, raised(about, snapshot, 1))
        assert await alerts.keep(unit, raised(about, newer, 3))
        assert not await alerts.keep(unit, raised(about, snapshot, 2))
    assert (await read(bench, alerts=[snapshot.alert_id])).over == {snapshot.alert_id}


async def test_the_channel_and_the_switches(bench: Bench) -> None:
    other, third = uuid4(), uuid4()
    async with bench.runtime.unit() as unit:
        await channel.failed(unit, CLINIC, "unreachable")
        for scope, state in ((CLINIC, "off"), (other, "on"), (switch.EVERY_CLINIC, "off-everything")):
            values = {"clinic_id": scope, "state": state, "key_id": uuid4(), "changed_at": unit.now}
            await unit.conn.execute(switch_table.insert().values(**values))
        probe = await channel.probe_at(unit)
        single = await switch.states(unit, [CLINIC, third])
    found = await read(bench, clinics=[CLINIC, third, switch.EVERY_CLINIC])
    assert found.switches == {CLINIC: "off", switch.EVERY_CLINIC: "off-everything"}
    assert (
        dict(switch.of_each([CLINIC, third], found.switches)) == dict(single) == dict.fromkeys((CLINIC, third), "off-everything")
    )
    assert found.probe_at == probe is not None
    async with bench.runtime.unit() as unit:
        await channel.works(unit)
    assert (await read(bench)).probe_at is None


@pytest.mark.parametrize("planned", [True, False])
async def test_a_plan_and_what_is_held_of_it(bench: Bench, planned: bool) -> None:
    """A hold holds where no plan has been heard of yet."""
    someone, nobody = await bench.patient(plan=planned), uuid4()
    held, resumed = uuid4(), uuid4()
    async with bench.runtime.unit() as unit:
        for medicine, holds in ((held, True), (resumed, False)):
            values = {"patient_id": someone.id, "medication_id": medicine, "clinic_id": CLINIC}
            await unit.conn.execute(asking_hold.insert().values(**values, hold_version=1, held=holds))
        states = await plans.states(unit, [someone.id, nobody])
    state = PlanState(someone.id, 1, "active", ZONE, 2) if planned else None
    found = await read(bench, patients=[someone.id, nobody])
    assert found.held == {someone.id: frozenset({held})}
    assert found.plans == states == ({someone.id: state} if planned else {})

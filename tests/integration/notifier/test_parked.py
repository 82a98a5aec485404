"""A key that is parked in the notifier: the clinic hears within the hour, also where no text is due (DESIGN.md rule 10)."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from services.notifier.app import SPEC
from shared.db import tables_of
from shared.messaging.work import KEY_PARKED, WorkItem
from shared.ops import OpsPass
from tests.integration.notifier.bench import CLINIC, Bench

pytestmark = pytest.mark.anyio
DUE = tables_of("notifier").due_work


async def park(bench: Bench, key: UUID) -> str:
    """Work of this key has failed for good; its ref."""
    ref = str(uuid4())
    async with bench.runtime.unit() as unit:
        values = {"kind": "other", "ref": ref, "key": key, "clinic_id": CLINIC, "due_at": unit.now, "data": {}}
        await unit.conn.execute(DUE.insert().values(**values, attempts=5, state="parked", error="Broken"))
    return ref


async def found_by_ops(bench: Bench) -> list[WorkItem]:
    """The pass "ops" has seen what is parked; half an hour later, what it planned."""
    ops = OpsPass(bench.runtime, tells_clinic=KEY_PARKED in SPEC.fires)
    await ops.run(bench.now)
    await bench.forward(minutes=31)
    async with bench.runtime.unit() as unit:
        planned = await unit.conn.execute(select(DUE).where(DUE.c.kind == KEY_PARKED, DUE.c.due_at <= unit.now))
        return [WorkItem(row.kind, row.ref, row.key, row.clinic_id, row.due_at, row.data) for row in planned]


async def tell(bench: Bench, items: list[WorkItem]) -> None:
    async with bench.runtime.unit() as unit:
        await unit.lock(*(item.key for item in items))
        await SPEC.fires[KEY_PARKED](unit, items)


@pytest.mark.parametrize("released", [False, True])
async def test_the_care_team_is_told_once_where_no_text_is_due(bench: Bench, released: bool) -> None:
    who = await bench.patient()
    ref = await park(bench, who.id)
    items = await found_by_ops(bench)
    assert [item.key for item in items] == [who.id]
    if released:
        async with bench.runtime.unit() as unit:
            await unit.conn.execute(DUE.delete().where(DUE.c.ref == ref))
    await tell(bench, items)
    await tell(bench, items)
    said = await bench.said("message-withheld")
    assert [(each["patient_id"], each["why"], each["occurrence_id"]) for each in said] == (
        [] if released else [(str(who.id), "key-parked", None)]
    )


async def test_a_colleagues_key_and_the_clinics_own_are_nobodys_record(bench: Bench) -> None:
    nurse = await bench.staff()
    for key in (nurse.id, CLINIC, uuid4()):
        await park(bench, key)
    await tell(bench, await found_by_ops(bench))
    assert await bench.said("message-withheld") == []

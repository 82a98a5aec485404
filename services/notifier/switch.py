"""The switch that stops all sending, of one clinic or of every one: a row each, read by every gate.

Safe reply, opt-out confirmation and crisis alerts go on, unless `everything` is said; then a crisis goes to the ops channel.
While a switch is off, ops is reminded of it daily.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from services.notifier.domain.gate import Switch
from services.notifier.storage import clinics, welcomes
from services.notifier.storage.tables import switch as switch_table
from shared.http import Caller
from shared.messaging.unit import Fire, Unit
from shared.messaging.work import WorkItem
from shared.ops import ops_say

#: The row that holds for every clinic there is or will be.
EVERY_CLINIC: Final = UUID(int=0)
STILL_OFF = "switch-still-off"
REMIND_EVERY = timedelta(days=1)
_STRENGTH: Mapping[Switch, int] = {"on": 0, "off": 1, "off-everything": 2}


async def states(unit: Unit, of: Collection[UUID]) -> Mapping[UUID, Switch]:
    """What holds for these clinics: the stronger of their own switch and everybody's. One that is absent is on."""
    rows = await unit.conn.execute(
        select(switch_table.c.clinic_id, switch_table.c.state).where(switch_table.c.clinic_id.in_({*of, EVERY_CLINIC}))
    )
    return of_each(of, {row.clinic_id: row.state for row in rows})


def of_each(of: Collection[UUID], own: Mapping[UUID, Switch]) -> Mapping[UUID, Switch]:
    """As `states`, from the rows of these clinics and of EVERY_CLINIC."""
    return {clinic_id: strongest(own.get(clinic_id, "on"), own.get(EVERY_CLINIC, "on")) for clinic_id in of}


async def own_state(unit: Unit, scope: UUID) -> Switch:
    """How this one switch stands."""
    found = await unit.conn.execute(select(switch_table.c.state).where(switch_table.c.clinic_id == scope))
    state: Switch | None = found.scalar_one_or_none()
    return state or "on"


def strongest(one: Switch, other: Switch) -> Switch:
    return max(one, other, key=lambda state: _STRENGTH[state])


async def turn(unit: Unit, caller: Caller, scope: UUID, state: Switch) -> bool:
    """Turns a switch; False where it stood so. Texts that wait are withheld at their gate, each with its reason; nothing is
    deleted. Why it was turned stands, sealed, in the audit of the command and nowhere else."""
    await unit.lock(scope)
    if await own_state(unit, scope) == state:
        return False
    values = {"state": state, "key_id": caller.key_id, "changed_at": unit.now}
    statement = insert(switch_table).values(clinic_id=scope, **values)
    await unit.conn.execute(statement.on_conflict_do_update(index_elements=["clinic_id"], set_=values))
    await ops_say(unit, "switch-turned", _details(scope, state), clinic_id=_clinic(scope))
    if state == "on":
        await unit.drop_work(STILL_OFF, str(scope))
        await _catch_up(unit, scope)
    else:
        await unit.plan_work(STILL_OFF, str(scope), unit.now + REMIND_EVERY, key=scope, clinic_id=scope)
    unit.after_commit("sender")
    return True


async def _catch_up(unit: Unit, scope: UUID) -> None:
    """Welcomes that a switch kept back go now, where no other switch still holds them."""
    of = await clinics.ids(unit) if scope == EVERY_CLINIC else [scope]
    for clinic_id, state in (await states(unit, of)).items():
        if state == "on":
            await welcomes.ask_again_in(unit, clinic_id)


async def remind(unit: Unit, items: Sequence[WorkItem]) -> None:
    """A day has passed and it is still off."""
    for item in items:
        scope = UUID(item.ref)
        state = await own_state(unit, scope)
        if state == "on":
            continue
        await ops_say(unit, STILL_OFF, _details(scope, state), clinic_id=_clinic(scope))
        await unit.plan_work(STILL_OFF, item.ref, unit.now + REMIND_EVERY, key=scope, clinic_id=scope)


def _details(scope: UUID, state: Switch) -> dict[str, str | int]:
    return (
        {"state": state, "scope": "all"} if scope == EVERY_CLINIC else {"state": state, "scope": "clinic", "clinic": str(scope)}
    )


def _clinic(scope: UUID) -> UUID | None:
    return None if scope == EVERY_CLINIC else scope


FIRES: Mapping[str, Fire] = {STILL_OFF: remind}

"""The switch that stops all sending of a clinic: one row, read by every gate. Safe reply, opt-out confirmation and crisis alerts
go on, unless `everything` is said; then a crisis goes to the ops channel."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, StringConstraints
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from services.notifier.domain.gate import Switch
from services.notifier.storage import welcomes
from services.notifier.storage.tables import switch as switch_table
from shared.http import Caller, requires
from shared.messaging.unit import Unit
from shared.ops import ops_say
from shared.service import Runtime


class SwitchIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sending: Literal["on", "off"]
    everything: bool = False
    reason: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9 -]{0,79}$")]


class SwitchOut(BaseModel):
    sending: Literal["on", "off"]
    everything: bool


async def states(unit: Unit, clinics: Collection[UUID]) -> Mapping[UUID, Switch]:
    """The switches of these clinics; a clinic that never used its switch is absent: on."""
    rows = await unit.conn.execute(
        select(switch_table.c.clinic_id, switch_table.c.state).where(switch_table.c.clinic_id.in_(clinics))
    )
    return {row.clinic_id: row.state for row in rows}


async def put(unit: Unit, caller: Caller, wanted: SwitchIn) -> Switch:
    """Turns the clinic's switch. Texts that wait are withheld at their gate, each with its reason; nothing is deleted. Why it was
    turned stands, sealed, in the audit of the command and nowhere else."""
    state: Switch = "on" if wanted.sending == "on" else "off-everything" if wanted.everything else "off"
    values = {"state": state, "key_id": caller.key_id, "changed_at": unit.now}
    statement = insert(switch_table).values(clinic_id=caller.clinic_id, **values)
    await unit.conn.execute(statement.on_conflict_do_update(index_elements=["clinic_id"], set_=values))
    await ops_say(unit, "switch-turned", {"state": state}, dedup=f"switch/{caller.clinic_id}/{unit.now.isoformat()}")
    if state == "on":
        await welcomes.ask_again_in(unit, caller.clinic_id)
    unit.after_commit("sender")
    return state


def router(runtime: Runtime) -> APIRouter:
    routes = APIRouter(tags=["switch"])

    @routes.put("/switch", summary="Stop or resume all sending of the clinic")
    async def turn(wanted: SwitchIn, caller: Caller = Depends(requires("ops"))) -> SwitchOut:  # noqa: B008
        async with runtime.unit() as unit:
            await put(unit, caller, wanted)
        return SwitchOut(sending=wanted.sending, everything=wanted.everything)

    @routes.get("/switch", summary="Whether the clinic's sending is on")
    async def look(caller: Caller = Depends(requires())) -> SwitchOut:  # noqa: B008
        async with runtime.unit() as unit:
            state = (await states(unit, {caller.clinic_id})).get(caller.clinic_id, "on")
        return SwitchOut(sending="on" if state == "on" else "off", everything=state == "off-everything")

    return routes

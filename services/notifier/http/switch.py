"""The switch over HTTP, and how it shows at /readyz and /metrics while it is off: never a reason to be unready."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends
from prometheus_client import Gauge
from pydantic import BaseModel, ConfigDict, StringConstraints
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.domain.gate import Switch
from services.notifier.storage.tables import switch as switch_table
from services.notifier.switch import EVERY_CLINIC, strongest, turn
from shared.errors import DomainError
from shared.health import Check, OwnCheck
from shared.http import Caller, requires
from shared.service import Runtime

Scope = Literal["clinic", "all"]


class SwitchIn(BaseModel):
    """`everything`: also safe replies, opt-out confirmations and crisis alerts. `scope` all: every clinic."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    sending: Literal["on", "off"]
    everything: bool = False
    scope: Scope = "clinic"
    reason: Annotated[str, StringConstraints(min_length=3, max_length=500, strip_whitespace=True)]


class SwitchOut(BaseModel):
    """What holds for the caller's clinic. `clinic` and `all`: how each of the two switches stands; the stronger one holds."""

    sending: Literal["on", "off"]
    everything: bool
    clinic: Switch
    all: Switch
    #: When the switch that was turned off last was turned off; clinical, UTC. None while sending is on.
    since: datetime | None


def router(runtime: Runtime) -> APIRouter:
    routes = APIRouter(tags=["switch"])

    @routes.put("/switch", summary="Stop or resume all sending of the clinic, or of every clinic")
    async def put_switch(wanted: SwitchIn, caller: Caller = Depends(requires("ops"))) -> SwitchOut:  # noqa: B008
        if wanted.scope == "all" and not caller.operator:
            raise DomainError(
                "scope", "This key is of one clinic.", accepted="clinic, or the installation's first key", status=403
            )
        state: Switch = "on" if wanted.sending == "on" else "off-everything" if wanted.everything else "off"
        async with runtime.unit() as unit:
            await turn(unit, caller, EVERY_CLINIC if wanted.scope == "all" else caller.clinic_id, state)
            return await _shown(unit.conn, caller.clinic_id)

    @routes.get("/switch", summary="Whether sending is on")
    async def get_switch(caller: Caller = Depends(requires())) -> SwitchOut:  # noqa: B008
        async with runtime.engine.connect() as conn:
            return await _shown(conn, caller.clinic_id)

    return routes


async def _shown(conn: AsyncConnection, clinic_id: UUID) -> SwitchOut:
    wanted = switch_table.c.clinic_id.in_((clinic_id, EVERY_CLINIC))
    rows = {row.clinic_id: row for row in await conn.execute(select(switch_table).where(wanted))}
    clinic: Switch = rows[clinic_id].state if clinic_id in rows else "on"
    every: Switch = rows[EVERY_CLINIC].state if EVERY_CLINIC in rows else "on"
    holds = strongest(clinic, every)
    return SwitchOut(
        sending="on" if holds == "on" else "off",
        everything=holds == "off-everything",
        clinic=clinic,
        all=every,
        since=max((row.changed_at for row in rows.values() if row.state != "on"), default=None),
    )


def checks(runtime: Runtime) -> Sequence[OwnCheck]:
    """One: `switch`, always passed; it says what is off. The gauge counts the same."""
    gauge = Gauge(
        "steadypath_switched_off",
        "Switches that stop texts: clinics that are off, and 1 where all are",
        ("scope",),
        registry=runtime.metrics.registry,
    )

    async def switch(conn: AsyncConnection) -> Check:
        off = switch_table.c.state != "on"
        every = switch_table.c.clinic_id == EVERY_CLINIC
        counts = select(func.count().filter(off, ~every), func.count().filter(off, every)).select_from(switch_table)
        of_clinics, of_all = (await conn.execute(counts)).one()
        gauge.labels("clinic").set(of_clinics)
        gauge.labels("all").set(of_all)
        return Check("switch", passed=True, detail={"clinics_off": of_clinics, "all_off": bool(of_all)})

    return (switch,)

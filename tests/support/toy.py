"""A service with next to nothing in it, to see the house around it: the scheduler's schema, one command, one fire, one pass.

`python -m tests.support.toy [--role ...]` runs it as any service is run.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import create_async_engine

from shared.db import asyncpg_url, metadata_for, tables_of
from shared.errors import DomainError, Transient
from shared.events.base import Slug, WallTime, stable_id
from shared.events.due import ReviewDueV1
from shared.events.registry import SCHEDULER
from shared.house_tables import append_only_ddl, house_tables
from shared.http import Caller, patient_id, requires
from shared.messaging.unit import Unit
from shared.messaging.work import WorkItem
from shared.service import Runtime, ServiceSpec, run
from shared.startup import heads
from tests.support.parts import Database

KEY = "spk_toy_" + "x" * 40


class Note(BaseModel):
    """A body with one field of each kind that an error may name."""

    model_config = ConfigDict(extra="forbid")

    kind: Slug
    at: WallTime | None = None
    count: int = 1
    reason: str | None = None


class Noted(BaseModel):
    patient: UUID
    runs: int


Prescriber = Annotated[Caller, Depends(requires("prescriber"))]


def review_due(clinic_id: UUID, patient: UUID, now: datetime) -> ReviewDueV1:
    return ReviewDueV1(
        clinic_id=clinic_id,
        patient_id=patient,
        occurrence_id=stable_id(patient, "toy", now.isoformat()),
        plan_version=1,
        series_id=stable_id(patient, "toy"),
        local_date=now.date(),
        zone="America/New_York",
        due_at=now,
        useful_until=now + timedelta(hours=1),
        answer_until=now + timedelta(hours=1),
        reason="toy",
    )


class Toy:
    """Counts what was really carried out, so that a test sees a command done twice."""

    def __init__(self) -> None:
        self.runs = 0
        self.failing: Exception | None = None

    def router(self, runtime: Runtime) -> APIRouter:
        routes = APIRouter()

        @routes.put("/patients/{raw}/note")
        async def put_note(raw: str, body: Note, caller: Prescriber) -> Noted:
            patient = patient_id(caller, raw)
            async with runtime.unit() as unit:
                await unit.lock(patient)
                self.runs += 1
                if body.kind == "refuse":
                    raise DomainError("kind", "This cannot be.", accepted="another kind", status=409)
                if body.kind == "busy":
                    raise Transient("a busy peer")
                if body.kind == "break":
                    raise RuntimeError("canary-value-in-an-exception")
                await unit.plan_work(
                    "toy", str(patient), unit.now, key=patient, clinic_id=caller.clinic_id, data={"count": body.count}
                )
            return Noted(patient=patient, runs=self.runs)

        @routes.get("/patients/{raw}/note")
        async def get_note(raw: str, caller: Prescriber) -> Noted:
            return Noted(patient=patient_id(caller, raw), runs=self.runs)

        return routes

    async def fire(self, unit: Unit, items: Sequence[WorkItem]) -> None:
        """Says one event for each item."""
        for item in items:
            unit.emit(review_due(item.clinic_id, item.key, unit.now))

    def spec(self) -> ServiceSpec:
        return ServiceSpec(
            name=SCHEDULER, handlers={}, fires={"toy": self.fire}, tables=metadata_for(SCHEDULER), router=self.router
        )


async def prepare(database: Database, service: str = SCHEDULER) -> str:
    """The shared tables of one service in an empty database, at this release's revision; the service's address."""
    url = database.url(service)
    engine = create_async_engine(asyncpg_url(url))
    tables: list[Any] = [*vars(tables_of(service)).values(), *vars(house_tables(metadata_for(service))).values()]
    async with engine.begin() as conn:
        await conn.run_sync(lambda sync: metadata_for(service).create_all(sync, tables=tables))
        for statement in append_only_ddl(service):
            await conn.exec_driver_sql(statement)
        await conn.exec_driver_sql(f"CREATE TABLE {service}.alembic_version (version_num text PRIMARY KEY)")
        for revision in heads(service):
            await conn.exec_driver_sql(f"INSERT INTO {service}.alembic_version VALUES ('{revision}')")
    await engine.dispose()
    return url


if __name__ == "__main__":
    run(Toy().spec())

"""Many plans at once: whole ones, or parts that join the plan there is (a FHIR request, a visit)."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field, SkipValidation

from services.scheduler import bulk as many
from services.scheduler.bodies import Body, PlanBody
from services.scheduler.bulk import Item, Put
from services.scheduler.http.common import Prescriber, external_of
from services.scheduler.http.plan import DryRun
from services.scheduler.pieces import Piece
from shared.errors import DomainError
from shared.http import Caller, bulk, patient_id
from shared.http.bulk import ItemResult
from shared.runtime import Runtime


class PlanItem(Body):
    """`patient`: our id or the clinic's own. The plan is checked item by item."""

    patient: str
    plan: SkipValidation[PlanBody]
    #: False: what the plan does not name stays as it is.
    whole: bool = True
    #: Nothing says when it starts, so `starts_on` is today; sent again, the day of the first time stays.
    starts_assumed: bool = False
    #: It is on hold: it goes in paused.
    paused: bool = False


class Plans(Body):
    items: Annotated[list[PlanItem], Field(min_length=1, max_length=bulk.MOST)]


class PlanResult(ItemResult):
    """`status` and `plan_version` as they stand then; `medicines` that are new or differ from what was stated before."""

    status: str | None = None
    plan_version: int | None = None
    medicines: list[str] = Field(default_factory=list)
    #: What must be known before a text can go.
    missing: list[str] = Field(default_factory=list)


class PlansAnswer(BaseModel):
    items: list[PlanResult]


def add(routes: APIRouter, runtime: Runtime) -> None:
    @routes.post("/bulk/plans")
    async def put_plans(body: Plans, caller: Prescriber, dry_run: DryRun = False) -> PlansAnswer:
        """Puts up to 500 plans in one transaction, each as PUT /patients/{id}/plan would. An item that is refused changes
        nothing and harms no other; with `dry_run` nothing is written at all."""
        once = bulk.Once()
        items = [_read(caller, one, once) for one in body.items]
        if dry_run:
            async with bulk.reading(runtime) as unit:
                done = await many.decide(unit, caller.clinic_id, items)
        else:
            async with runtime.unit() as unit:
                await unit.lock(*(one.patient for one in bulk.good(items)))
                decided = await many.decide(unit, caller.clinic_id, items)
                done = await bulk.write_good(unit, decided, partial(many.write, unit))
                bulk.audited("patient", [one.patient for one in bulk.good(items)])
        return PlansAnswer(items=[_result(one.patient, made, dry_run) for one, made in zip(body.items, done, strict=True)])


def _read(caller: Caller, item: PlanItem, once: bulk.Once) -> Item | DomainError:
    try:
        patient = patient_id(caller, item.patient)
        once.check(patient)
        body = bulk.read(PlanBody, item.plan)
    except DomainError as refusal:
        return refusal
    return Item(patient, external_of(item.patient), body, Piece(item.whole, item.starts_assumed, item.paused))


def _result(external: str, done: Put | DomainError, dry_run: bool) -> PlanResult:
    if isinstance(done, DomainError):
        return PlanResult(id=external, **bulk.refused(done))
    plan, outcome = done.decided.change.plan, done.decided.outcome
    return PlanResult.model_validate(
        {
            "id": external,
            "outcome": "valid" if dry_run else outcome,
            "status": plan.status,
            "plan_version": plan.version,
            "medicines": sorted(done.fresh),
            "missing": [] if plan.zone else ["zone"],
        }
    )

"""Many care teams at once: the chain of each patient, as PUT /patients/{id}/care-team would set it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field, SkipValidation

from services.adherence.http.parts import Body, set_up
from services.adherence.http.team import CareTeamBody, members
from services.adherence.storage import people
from services.adherence.storage.people import Member
from shared.errors import DomainError
from shared.http import Caller, bulk, patient_id
from shared.http.bulk import ItemResult
from shared.messaging.unit import Unit
from shared.own_numbers import own
from shared.runtime import Runtime


class CareTeamItem(Body):
    """`patient`: our id or the clinic's own. The care team is checked item by item."""

    patient: str
    care_team: SkipValidation[CareTeamBody]


class CareTeams(Body):
    items: Annotated[list[CareTeamItem], Field(min_length=1, max_length=bulk.MOST)]


class CareTeamsAnswer(BaseModel):
    items: list[ItemResult]


def routes(runtime: Runtime) -> APIRouter:
    router = APIRouter(tags=["care team"])

    @router.post("/bulk/care-teams")
    async def put_care_teams(
        body: CareTeams, caller: Annotated[Caller, Depends(set_up)], dry_run: Annotated[bool, Query()] = False
    ) -> CareTeamsAnswer:
        """Sets up to 500 care teams in one transaction. An item that is refused changes nothing and harms no other; with
        `dry_run` nothing is written at all."""
        if dry_run:
            async with bulk.reading(runtime) as unit:
                read = await _read_all(unit, caller, body)
                done = await _decided(unit, caller.clinic_id, read)
        else:
            async with runtime.unit() as unit:
                read = await _read_all(unit, caller, body)
                await unit.lock(*(one.patient for one in bulk.good(read)))
                decided = await _decided(unit, caller.clinic_id, read)
                done = await bulk.write_good(unit, decided, partial(_write, unit, caller.clinic_id))
                bulk.audited("patient", [one.patient for one in bulk.good(read)])
        return CareTeamsAnswer(items=[_result(one, made, dry_run) for one, made in zip(body.items, done, strict=True)])

    return router


@dataclass(frozen=True)
class Team:
    """A patient's chain as it is to stand. `outcome` is what that means, once it has been compared."""

    patient: UUID
    chain: tuple[Member, ...]
    outcome: Literal["changed", "unchanged"] = "changed"


def _result(item: CareTeamItem, done: Team | DomainError, dry_run: bool) -> ItemResult:
    if isinstance(done, DomainError):
        return bulk.result(item.patient, done)
    return bulk.result(item.patient, "valid" if dry_run else done.outcome)


async def _read_all(unit: Unit, caller: Caller, body: CareTeams) -> list[Team | DomainError]:
    """The items as stated; a member without a wait has the clinic's own."""
    wait = own("adherence", "default_wait", (await people.clinic(unit, caller.clinic_id)).numbers)
    once = bulk.Once()
    return [_read(caller, one, once, wait) for one in body.items]


def _read(caller: Caller, item: CareTeamItem, once: bulk.Once, wait: timedelta) -> Team | DomainError:
    try:
        identity = patient_id(caller, item.patient)
        once.check(identity)
        return Team(identity, members(caller, bulk.read(CareTeamBody, item.care_team).chain, wait))
    except DomainError as refusal:
        return refusal


async def _decided(unit: Unit, clinic_id: UUID, read: Sequence[Team | DomainError]) -> list[Team | DomainError]:
    known = await people.chains(unit, [one.patient for one in bulk.good(read)])

    def decide(one: Team | DomainError) -> Team | DomainError:
        if isinstance(one, DomainError) or one.patient not in known:
            return one
        owner, chain = known[one.patient]
        if owner != clinic_id:
            return people.no_such_patient()
        return replace(one, outcome="unchanged") if chain == one.chain else one

    return [decide(one) for one in read]


async def _write(unit: Unit, clinic_id: UUID, teams: Sequence[Team]) -> Sequence[Team]:
    await people.put_chains(unit, clinic_id, {one.patient: one.chain for one in teams if one.outcome == "changed"})
    return teams

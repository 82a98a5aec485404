"""Who is responsible: the clinic's zone and chains, and a patient's care team. Their names and numbers are the notifier's."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import APIRouter, Depends
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from services.adherence.commands.policy import check_own
from services.adherence.http.parts import Body, Json, Wait, care_team, set_up
from services.adherence.storage import people
from services.adherence.storage.people import Clinic, Member
from shared.defaults import default, duration
from shared.http import Caller, patient_id, person_id
from shared.own_numbers import own
from shared.runtime import Runtime


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        accepted = "an IANA zone such as America/New_York"
        raise PydanticCustomError("zone", "a zone is needed", {"expected": accepted}) from None
    return name


class MemberBody(Body):
    """`person`: our id or the clinic's own. `wait`: how long they have before it is the next one's turn (default PT30M)."""

    person: Annotated[str, Field(min_length=1, max_length=64)]
    wait: Wait | None = None
    #: A gap in doses goes to prescribers first.
    role: Literal["prescriber", "therapist", "coordinator"] | None = None


Chain = Annotated[list[MemberBody], Field(min_length=1, max_length=20)]


class ClinicBody(Body):
    """`chain` is the clinic's on-call, and the chain of every patient without a care team."""

    zone: Annotated[str, Field(max_length=64), AfterValidator(_zone)]
    chain: Chain
    crisis_chain: Chain | None = None
    #: The clinic's own in place of defaults.toml [adherence]: low_from, low_until, default_wait, severity_<kind>.
    numbers: dict[str, Any] = Field(default_factory=dict)


class CareTeamBody(Body):
    chain: Chain


def members(caller: Caller, chain: list[MemberBody] | None, wait: timedelta | None = None) -> tuple[Member, ...]:
    """The chain with our ids of the people in it. `wait`: the clinic's own, where a member has none; else the house's."""
    usual = wait or default("adherence", "default_wait")
    return tuple(
        Member(
            person_id(caller, each.person),
            duration(each.wait) if each.wait is not None else usual,
            each.role,
        )
        for each in chain or ()
    )


def _shown(chain: tuple[Member, ...]) -> list[Json]:
    return [
        {"person": str(each.person), "wait": f"PT{int(each.wait.total_seconds() // 60)}M", "role": each.role} for each in chain
    ]


def _clinic(one: Clinic) -> Json:
    return {
        "zone": one.zone,
        "chain": _shown(one.chain),
        "crisis_chain": _shown(one.crisis_chain),
        "numbers": dict(one.numbers),
    }


def routes(runtime: Runtime) -> APIRouter:
    router = APIRouter(tags=["care team"])

    @router.put("/clinic")
    async def put_clinic(body: ClinicBody, caller: Annotated[Caller, Depends(set_up)]) -> Json:
        """Sets the clinic's zone, its chain and, where there is one, its crisis chain. Running alerts keep their own chain."""
        check_own(body.numbers)
        wait = own("adherence", "default_wait", body.numbers)
        one = Clinic(body.zone, members(caller, body.chain, wait), members(caller, body.crisis_chain, wait), body.numbers)
        async with runtime.unit() as unit:
            await unit.lock(caller.clinic_id)
            await people.put_clinic(unit, caller.clinic_id, one)
        return _clinic(one)

    @router.get("/clinic")
    async def get_clinic(caller: Annotated[Caller, Depends(care_team)]) -> Json:
        async with runtime.unit() as unit:
            one = await people.clinic(unit, caller.clinic_id)
        return _clinic(one)

    @router.put("/patients/{patient}/care-team")
    async def put_care_team(patient: str, body: CareTeamBody, caller: Annotated[Caller, Depends(set_up)]) -> Json:
        """Sets who is responsible for the patient, in what order. Running alerts keep the chain they were raised with."""
        identity = patient_id(caller, patient)
        async with runtime.unit() as unit:
            await unit.lock(identity)
            await people.known_or_new(unit, caller.clinic_id, identity)
            numbers = (await people.clinic(unit, caller.clinic_id)).numbers
            chain = members(caller, body.chain, own("adherence", "default_wait", numbers))
            await people.put_chain(unit, caller.clinic_id, identity, chain)
        return {"patient": str(identity), "chain": _shown(chain)}

    return router

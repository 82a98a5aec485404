"""What the scheduler's routes share: who may, and how a command on a plan is run and answered."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends

from services.scheduler import answers, commands
from services.scheduler.answers import CommandAnswer
from services.scheduler.commands import Decide, Outcome
from services.scheduler.domain import identity
from shared.http import Caller, patient_id, requires
from shared.runtime import Runtime

#: Starts, changes and stops medicine.
Prescriber = Annotated[Caller, Depends(requires("prescriber"))]
#: Appointments, outcomes, zone, routine: what the front desk knows first.
Coordinator = Annotated[Caller, Depends(requires("coordinator", "prescriber"))]
#: Looks.
Looker = Annotated[Caller, Depends(requires("prescriber", "therapist", "coordinator", "ops", "service"))]
Manager = Annotated[Caller, Depends(requires("ops", "coordinator"))]


def external_of(raw: str) -> str | None:
    """The clinic's own id of the patient, where the caller used it."""
    try:
        UUID(raw)
    except ValueError:
        return raw
    return None


def answer(outcome: Outcome) -> CommandAnswer:
    plan_id = identity.plan_id(outcome.patient_id)
    return answers.command(outcome.patient_id, plan_id, outcome.plan, outcome.outcome, outcome.events)


async def run(runtime: Runtime, caller: Caller, raw: str, decide: Callable[[datetime], Decide]) -> CommandAnswer:
    """One command on one plan in one transaction. `decide` is made with the transaction's own clinical now."""
    patient = patient_id(caller, raw)
    async with runtime.unit() as unit:
        outcome = await commands.change(unit, caller.clinic_id, patient, external_of(raw), decide(unit.now))
    return answer(outcome)

"""A whole plan: put it, pause, resume and stop it, move its zone and routine."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from services.scheduler import bodies, commands, events
from services.scheduler.answers import CommandAnswer
from services.scheduler.commands import Outcome
from services.scheduler.domain import transitions
from services.scheduler.http.common import Coordinator, Prescriber, answer, external_of, run
from shared.http import patient_id
from shared.runtime import Runtime

DryRun = Annotated[bool, Query(description="Validate only; nothing is written.")]


def add(routes: APIRouter, runtime: Runtime) -> None:
    _statement(routes, runtime)
    _course(routes, runtime)
    _times(routes, runtime)


def _statement(routes: APIRouter, runtime: Runtime) -> None:
    @routes.put("/patients/{patient}/plan")
    async def put_plan(patient: str, body: bodies.PlanBody, caller: Prescriber, dry_run: DryRun = False) -> CommandAnswer:
        """Starts the patient's plan, or changes what this statement changes against the one put before. The same statement
        again is `unchanged`, also after dose changes and ladder steps. 422 names the element and what would be accepted."""
        one = patient_id(caller, patient)
        if dry_run:
            return await _validate(runtime, caller.clinic_id, one, external_of(patient), body)
        async with runtime.unit() as unit:
            return answer(await commands.put_plan(unit, caller.clinic_id, one, external_of(patient), body))


async def _validate(
    runtime: Runtime, clinic_id: UUID, patient: UUID, external: str | None, body: bodies.PlanBody
) -> CommandAnswer:
    async with runtime.engine.connect() as conn:
        statement = await commands.state(conn, runtime.cipher, clinic_id, patient, external, body)
    with commands.answered():
        commands.decide_put(statement, runtime.clock.now())
    standing = statement.row.plan if statement.row else statement.plan
    return answer(Outcome(patient, "valid", standing))


def _course(routes: APIRouter, runtime: Runtime) -> None:
    @routes.post("/patients/{patient}/plan/pause")
    async def pause(patient: str, body: bodies.PauseBody, caller: Prescriber) -> CommandAnswer:
        """Nothing is due until resumed, by a command or at 00:00 local of `resume_on`. Ladders stand still meanwhile."""
        reason = events.reason_code(body.reason)
        return await run(
            runtime, caller, patient, lambda now: lambda plan, _: transitions.pause(plan, now, reason, body.resume_on)
        )

    @routes.post("/patients/{patient}/plan/resume")
    async def resume(patient: str, caller: Prescriber, body: bodies.ResumeBody | None = None) -> CommandAnswer:
        """Goes on from now. Later steps of a ladder come as many days later as the pause was long."""
        return await run(runtime, caller, patient, lambda now: lambda plan, _: transitions.resume(plan, now))

    @routes.post("/patients/{patient}/plan/stop")
    async def stop(patient: str, body: bodies.StopBody, caller: Prescriber) -> CommandAnswer:
        """For good: what was planned is forgotten, what was said and not yet texted is withdrawn."""
        reason = events.reason_code(body.reason)
        return await run(runtime, caller, patient, lambda _: lambda plan, _reader: transitions.stop(plan, reason))


def _times(routes: APIRouter, runtime: Runtime) -> None:
    @routes.post("/patients/{patient}/zone", include_in_schema=False)
    @routes.put("/patients/{patient}/zone")
    async def zone(patient: str, body: bodies.ZoneBody, caller: Coordinator) -> CommandAnswer:
        """The patient lives by another zone from now on: wall times stay, each (slot, local date) still happens once."""
        return await run(runtime, caller, patient, lambda now: commands.zone(body, now))

    @routes.post("/patients/{patient}/routine", include_in_schema=False)
    @routes.put("/patients/{patient}/routine")
    async def routine(patient: str, body: bodies.RoutineBody, caller: Coordinator) -> CommandAnswer:
        """Moves the slots that take their time from the routine; times that the plan states stay."""
        return await run(
            runtime, caller, patient, lambda _: lambda plan, _reader: transitions.change_routine(plan, dict(body.routine))
        )

"""Appointments and their outcomes, and that a monitoring result is on record."""

from __future__ import annotations

from fastapi import APIRouter

from services.scheduler import bodies, commands
from services.scheduler.answers import CommandAnswer
from services.scheduler.http.common import Coordinator, run
from shared.errors import DomainError
from shared.runtime import Runtime


def _checked(raw: str, element: str) -> str:
    if not 1 <= len(raw) <= 64 or not raw.isascii() or not raw.isprintable() or " " in raw:
        raise DomainError(element, "This is not an id.", accepted="a UUID, or 1 to 64 letters, digits and . _ : @ -")
    return raw


def add(routes: APIRouter, runtime: Runtime) -> None:
    @routes.put("/patients/{patient}/appointments/{appointment}")
    async def put_appointment(patient: str, appointment: str, body: bodies.AppointmentBody, caller: Coordinator) -> CommandAnswer:
        """Books, or moves the appointment of this id. `starts_at` is local wall time in `zone` (default the plan's)."""
        one = _checked(appointment, "appointment")
        return await run(runtime, caller, patient, lambda _: commands.put_appointment(one, body))

    @routes.post("/patients/{patient}/appointments/{appointment}/outcome")
    async def outcome(patient: str, appointment: str, body: bodies.OutcomeBody, caller: Coordinator) -> CommandAnswer:
        """Kept, missed or cancelled, because a person or an appointment feed says so; silence never does."""
        one = _checked(appointment, "appointment")
        return await run(runtime, caller, patient, lambda _: commands.appointment_outcome(one, body))

    @routes.post("/patients/{patient}/monitoring/{monitoring}/results")
    async def result(patient: str, monitoring: str, body: bodies.ResultBody, caller: Coordinator) -> CommandAnswer:
        """A result is on record since that local date. Its value stays where it was measured."""
        one = _checked(monitoring, "monitoring")
        return await run(runtime, caller, patient, lambda now: commands.monitoring_result(one, body, now))

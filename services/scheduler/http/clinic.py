"""The clinic's zone, routine and own numbers."""

from __future__ import annotations

from fastapi import APIRouter

from services.scheduler import bodies, commands
from services.scheduler.answers import ClinicAnswer
from services.scheduler.http.common import Looker, Manager
from services.scheduler.storage import clinics
from services.scheduler.storage.clinics import Clinic
from shared.runtime import Runtime


def add(routes: APIRouter, runtime: Runtime) -> None:
    @routes.put("/clinic")
    async def put_clinic(body: bodies.ClinicBody, caller: Manager) -> ClinicAnswer:
        """Sets the clinic's zone, its routine and the numbers it wants otherwise than the house (shared/defaults.toml)."""
        clinic = Clinic(caller.clinic_id, body.zone, dict(body.routine), dict(body.numbers))
        async with runtime.unit() as unit:
            await commands.put_clinic(unit, clinic)
        return _answer(clinic)

    @routes.get("/clinic")
    async def get_clinic(caller: Looker) -> ClinicAnswer:
        async with runtime.engine.connect() as conn:
            found = await clinics.load(conn, [caller.clinic_id])
        return _answer(found[caller.clinic_id])


def _answer(clinic: Clinic) -> ClinicAnswer:
    routine = {word: at.strftime("%H:%M") for word, at in clinic.routine.items()}
    return ClinicAnswer(clinic=clinic.id, zone=clinic.zone, routine=routine, numbers=dict(clinic.numbers))

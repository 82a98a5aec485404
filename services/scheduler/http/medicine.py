"""Medicine: doses changed, added, removed, switched. A prescriber's key."""

from __future__ import annotations

from fastapi import APIRouter

from services.scheduler import bodies, commands
from services.scheduler.answers import CommandAnswer
from services.scheduler.http.common import Prescriber, run
from shared.runtime import Runtime


def add(routes: APIRouter, runtime: Runtime) -> None:
    @routes.post("/patients/{patient}/plan/dose-change")
    async def dose_change(patient: str, body: bodies.DoseChangeBody, caller: Prescriber) -> CommandAnswer:
        """A new ladder for one medicine from `effective_on` (local date, day 1 of `steps`) on; `doses` is a single step. With
        `taper` one that ends. What was said under the old version and not yet texted is withdrawn or said again."""
        return await run(runtime, caller, patient, lambda now: commands.dose_change(body, now))

    @routes.post("/patients/{patient}/plan/medicines")
    async def add_medicine(patient: str, body: bodies.MedicineChangeBody, caller: Prescriber) -> CommandAnswer:
        """Adds a medicine whose day 1 is today or its `starts_on`."""
        return await run(runtime, caller, patient, lambda now: commands.add_medicine(body, now))

    @routes.post("/patients/{patient}/plan/medicines/remove")
    async def remove_medicine(patient: str, body: bodies.RemoveBody, caller: Prescriber) -> CommandAnswer:
        return await run(runtime, caller, patient, lambda _: commands.remove_medicine(body))

    @routes.post("/patients/{patient}/plan/medicines/switch")
    async def switch_medicine(patient: str, body: bodies.SwitchBody, caller: Prescriber) -> CommandAnswer:
        """From one medicine to another at once. A cross-taper is a taper of the old beside an added one that `replaces` it."""
        return await run(runtime, caller, patient, lambda now: commands.switch_medicine(body, now))

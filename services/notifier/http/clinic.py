"""The clinic's settings over HTTP: name, zone, country, sending number, crisis contact, its own numbers."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import available_timezones

from fastapi import APIRouter, Depends

from services.notifier.http.bodies import ClinicBody, ClinicView, Outcome
from services.notifier.numbers import e164, is_country
from services.notifier.storage.clinics import SECTION, Clinic, clinic, put_clinic
from shared import own_numbers
from shared.errors import DomainError
from shared.http import Caller, person_id, requires
from shared.runtime import Runtime

Manager = Annotated[Caller, Depends(requires("coordinator", "prescriber", "ops", "service"))]
#: The defaults of [notifier] that a clinic may replace, here those that are read per clinic.
OWN_NUMBERS = ("quiet_from", "quiet_until", "texts_a_day", "alerts_an_hour", "dose_late_after", "conversation_runs_for")


def checked_zone(zone: str, element: str = "zone") -> str:
    """The IANA name as given. Raises DomainError (422)."""
    if zone not in available_timezones():
        raise DomainError(element, "This is no time zone.", accepted="an IANA name, for example America/Chicago")
    return zone


def checked_country(country: str, element: str = "country") -> str:
    if not is_country(country):
        raise DomainError(element, "This is no country.", accepted="ISO 3166-1 alpha-2, for example US")
    return country


def router(runtime: Runtime) -> APIRouter:
    routes = APIRouter(tags=["clinic"])

    @routes.put("/clinic", summary="Put the clinic's settings for texts")
    async def put(
        body: ClinicBody, caller: Annotated[Caller, Depends(requires("coordinator", "prescriber", "ops", "service"))]
    ) -> Outcome:
        country = checked_country(body.country)
        own_numbers.check(SECTION, body.numbers, OWN_NUMBERS, {})
        wanted = Clinic(
            clinic_id=caller.clinic_id,
            name=body.name,
            zone=checked_zone(body.zone),
            country=country,
            sender=e164(body.sender, country=country, element="sender"),
            language=body.language,
            crisis_contact_id=person_id(caller, body.crisis_contact) if body.crisis_contact else None,
            phone_for_help=body.phone_for_help,
            numbers=body.numbers,
        )
        async with runtime.unit() as unit:
            await unit.lock(caller.clinic_id)
            known = await clinic(unit, caller.clinic_id)
            changed = await put_clinic(unit, wanted)
        return Outcome(id=caller.clinic_id, outcome="created" if known is None else "changed" if changed else "unchanged")

    @routes.get("/clinic", summary="The clinic's settings for texts")
    async def get(caller: Annotated[Caller, Depends(requires())]) -> ClinicView:
        async with runtime.unit() as unit:
            known = await clinic(unit, caller.clinic_id)
        if known is None:
            raise DomainError("clinic", "This clinic has no settings yet.", accepted="PUT /notifier/clinic", status=404)
        return ClinicView(
            id=known.clinic_id,
            name=known.name,
            zone=known.zone,
            country=known.country,
            sender=known.sender,
            language=known.language,
            crisis_contact=known.crisis_contact_id,
            phone_for_help=known.phone_for_help,
            numbers=dict(known.numbers),
        )

    return routes

"""The adherence service's own API, under /adherence: the care team, alerts, follow-ups, doses, a patient's timeline."""

from __future__ import annotations

from fastapi import APIRouter

from services.adherence.http import alerts, bulk, patients, records, team
from shared.runtime import Runtime


def router(runtime: Runtime) -> APIRouter:
    """All routes; the prefix is the service's."""
    routes = APIRouter()
    for part in (team, bulk, alerts, records, patients):
        routes.include_router(part.routes(runtime))
    return routes

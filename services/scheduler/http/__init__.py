"""The scheduler's HTTP surface: what changes medicine needs a prescriber's key, visits and routine a coordinator's.

`{patient}` is ours (a UUID) or the clinic's own id; both lead to the same row. Every command answers with the plan's version and
where to ask whether the notifier has heard of it.
"""

from __future__ import annotations

from fastapi import APIRouter

from services.scheduler.http import bulk, clinic, medicine, plan, reads, visits
from shared.runtime import Runtime


def router(runtime: Runtime) -> APIRouter:
    """All routes, to be put under /scheduler."""
    routes = APIRouter()
    for part in (clinic, plan, bulk, medicine, visits, reads):
        part.add(routes, runtime)
    return routes

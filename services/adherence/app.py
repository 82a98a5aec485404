"""Composition root of the adherence service. Nothing else wires."""

from __future__ import annotations

from services.adherence.board import page
from services.adherence.handlers import HANDLERS
from services.adherence.http import router
from services.adherence.restore import AdherenceRecollection
from services.adherence.shown import checks
from services.adherence.storage import metadata
from services.adherence.ticker import FIRES
from shared.service import ServiceSpec

SPEC = ServiceSpec(
    name="adherence",
    handlers=HANDLERS,
    fires=FIRES,
    tables=metadata,
    router=router,
    pages=page,
    checks=checks,
    recollection=AdherenceRecollection,
)

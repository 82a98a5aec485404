"""Composition root of the scheduler: everything it is made of, declared once. Nothing else wires."""

from __future__ import annotations

from services.scheduler.handlers import HANDLERS
from services.scheduler.http import router
from services.scheduler.restore import SchedulerRecollection
from services.scheduler.sealed import TABLES as SEALED
from services.scheduler.storage import METADATA
from services.scheduler.ticker import FIRES
from shared.service import ServiceSpec

SPEC = ServiceSpec(
    name="scheduler",
    handlers=HANDLERS,
    fires=FIRES,
    tables=METADATA,
    router=router,
    sealed=SEALED,
    recollection=SchedulerRecollection,
)

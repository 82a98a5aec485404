"""What the scheduler keeps sealed: what a change of the data key seals again."""

from __future__ import annotations

from services.scheduler.storage.tables import PLAN
from shared.rotation import Sealed, SealedTable

TABLES = (SealedTable(PLAN, "patient_id", (Sealed("names", ("plan", "names")),)),)

"""Due work: rows with a clinical due time, and the ticker that fires them (skeleton of the public names; see `Ticker`)."""

from __future__ import annotations

from shared.messaging.unit import Fire, Fires
from shared.messaging.work import WorkItem

__all__ = ["Fire", "Fires", "WorkItem"]

"""The scheduler's tables and the few ways in which they are read and written. Importing it puts them into the metadata."""

from __future__ import annotations

from services.scheduler.storage.tables import METADATA

__all__ = ["METADATA"]

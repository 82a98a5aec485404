"""Rows of the adherence service: the tables, and functions that map rows to the domain's values and back."""

from __future__ import annotations

from services.adherence.storage.tables import metadata

__all__ = ["metadata"]

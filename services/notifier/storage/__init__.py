"""Everything that the notifier keeps. `METADATA` is the one metadata of the schema, whole once this package is imported; a module
a group of tables."""

from __future__ import annotations

from sqlalchemy import MetaData

from shared.db import metadata_for

SERVICE = "notifier"
METADATA: MetaData = metadata_for(SERVICE)

from services.notifier.storage import hearing_tables, tables  # noqa: E402  tables are declared on METADATA above

__all__ = ["METADATA", "SERVICE", "hearing_tables", "tables"]

"""Everything that the notifier keeps. `METADATA` is the one metadata of the schema; a module a group of tables."""

from __future__ import annotations

from sqlalchemy import MetaData

from shared.db import metadata_for

SERVICE = "notifier"
METADATA: MetaData = metadata_for(SERVICE)

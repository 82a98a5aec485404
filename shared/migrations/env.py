"""Alembic's environment, one for all services: runs on the connection that `shared.schema` hands it, inside its transaction."""

from __future__ import annotations

from alembic import context
from sqlalchemy.dialects.postgresql.base import PGDialect

from shared.db import metadata_for
from shared.messaging.tables import Xid8

PGDialect.ischema_names["xid8"] = Xid8

service: str = context.config.attributes["service"]

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata_for(service),
    version_table_schema=service,
    include_schemas=True,
    include_name=lambda name, kind, _parents: kind != "schema" or name == service,
    compare_server_default=False,
    transaction_per_migration=False,
)
context.run_migrations()

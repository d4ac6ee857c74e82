"""Run by Alembic inside `core.storage.database.migrate`, on the connection given there."""

from __future__ import annotations

from alembic import context

from core.storage import (  # noqa: F401  (tables of Base)
    access_tables,
    batch_store,
    memory_tables,
    review_tables,
    schema_tables,
    tuning_tables,
)
from core.storage.tables import Base

# Logging is left as the application set it up; `render_as_batch` because SQLite alters few things in place.
context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()

"""The table of changes to schemas: which types became which, and the corrections that were rewritten for it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from core.storage.tables import Base, UtcDateTime, utc_now


class SchemaChangeRow(Base):
    """A change of types (core.schemas.changes) that made the version `schema_id` of a schema.

    `batch` marks the steps in the history of the corrections of `runs` that followed the change; `documents` counts
    them.
    """

    __tablename__ = "schema_changes"

    id: Mapped[int] = mapped_column(primary_key=True)
    schema_id: Mapped[int] = mapped_column(ForeignKey("schemas.id", ondelete="CASCADE"), index=True)
    change: Mapped[dict[str, Any]] = mapped_column(JSON)
    batch: Mapped[str] = mapped_column(String(32), default="")
    runs: Mapped[list[int]] = mapped_column(JSON, default=list)
    documents: Mapped[int] = mapped_column(default=0)
    author: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    undone_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

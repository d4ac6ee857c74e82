"""The table of fine-tuning jobs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.storage.tables import Base, UtcDateTime, utc_now

TUNING_STATES = ("running", "done", "failed", "cancelled", "kept", "discarded")


class TuningRow(Base):
    """One fine-tuning: what it starts from and learns from, how far it is, and what became of the result."""

    __tablename__ = "tunings"
    __table_args__ = (
        CheckConstraint(f"state IN {TUNING_STATES}", name="state"),
        Index(None, "user_id", "id"),
        Index(None, "project_id", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(default=1, server_default="1")
    project_id: Mapped[int] = mapped_column(default=1, server_default="1")
    # what the result is to be called
    name: Mapped[str] = mapped_column(String(255))
    # the checkpoint that it starts from, as settings name it
    source: Mapped[str] = mapped_column(String(512))
    # records, log and result, until the result is kept or discarded
    folder: Mapped[str] = mapped_column(String(1024))
    options: Mapped[dict[str, Any]] = mapped_column(JSON)
    # runs, counts of documents, hashes of the texts that it learns from
    data: Mapped[dict[str, Any]] = mapped_column(JSON)
    progress: Mapped[dict[str, Any]] = mapped_column(JSON)
    # points of the curve
    history: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    # before and after, on corrections held back
    scores: Mapped[dict[str, Any]] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(String(16), index=True)
    error: Mapped[str] = mapped_column(Text, default="", server_default="")
    # how many processes have begun it
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    # the process that works on it, and when that was last heard of; see `core.jobs.lease`
    owner: Mapped[str] = mapped_column(String(255), default="", server_default="")
    heartbeat_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

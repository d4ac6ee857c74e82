"""The tables of corrections: how a document of a run stands now, and every step that led there."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from core.storage.tables import Base, UtcDateTime, utc_now


class ReviewRow(Base):
    """A document of a run that somebody has worked on.

    It hangs on run and document, not on the run's result: what people did stays when a document is read again.
    """

    __tablename__ = "reviews"
    __table_args__ = (
        CheckConstraint("state IN ('unreviewed', 'started', 'approved', 'corrected', 'rejected', 'skipped')", "state"),
        Index(None, "run_id", "state"),
    )

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    document_id: Mapped[int] = mapped_column(
        ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    state: Mapped[str] = mapped_column(String(16))
    # the number of the newest revision: who writes must have seen it
    version: Mapped[int]
    # every annotation with what the machine said of it (core.review.nodes)
    nodes: Mapped[list[list[Any]]] = mapped_column(JSON)
    open: Mapped[int]
    author: Mapped[str] = mapped_column(String(255))
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)


class RevisionRow(Base):
    """One step: what it changed, who did it and when. Steps are only ever added.

    `undo` and `redo` are the numbers of the steps to be turned round next; `undo_below` and `redo_below` those after
    them, for the step itself lies on top of one of the two piles.
    """

    __tablename__ = "review_revisions"
    __table_args__ = (
        ForeignKeyConstraint(["run_id", "document_id"], ["reviews.run_id", "reviews.document_id"], ondelete="CASCADE"),
        Index(None, "batch"),
    )

    run_id: Mapped[int] = mapped_column(primary_key=True)
    document_id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    action: Mapped[str] = mapped_column(String(32))
    change: Mapped[dict[str, Any]] = mapped_column(JSON)
    undo: Mapped[int | None]
    undo_below: Mapped[int | None]
    redo: Mapped[int | None]
    redo_below: Mapped[int | None]
    # steps of one action over many documents share it; empty otherwise
    batch: Mapped[str] = mapped_column(String(32), default="")
    author: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)

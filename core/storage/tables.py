"""The database tables. Rows never leave this room: `queries` turns them into frozen records and `core.types`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

RUN_STATES = ("queued", "running", "paused", "done", "failed", "cancelled")


def utc_now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time; SQLite itself keeps no time zone."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """Parent of all tables; constraints get names so that later migrations can address them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class DocumentRow(Base):
    """An imported text with what some tasks need besides it."""

    __tablename__ = "documents"
    __table_args__ = (Index(None, "user_id", "id"), Index(None, "project_id", "id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(String(255), index=True)
    name: Mapped[str] = mapped_column(String(255))
    text: Mapped[str] = mapped_column(Text)
    text_pair: Mapped[str | None] = mapped_column(Text)
    # aspects as strings, candidates and pronouns as [start, end] in code points of `text`
    inputs: Mapped[dict[str, Any]] = mapped_column(JSON)
    meta: Mapped[dict[str, str]] = mapped_column("metadata", JSON)
    # of every content column: a document is stored again only when something in it differs
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    # whose it is, numbers of UserRow and ProjectRow
    user_id: Mapped[int] = mapped_column(default=1, server_default="1")
    project_id: Mapped[int] = mapped_column(default=1, server_default="1")


class DocumentMetadataRow(Base):
    """One entry of a document's metadata, cut to what an index holds; `documents.metadata` has it whole."""

    __tablename__ = "document_metadata"
    __table_args__ = (Index(None, "key", "value", "document_id"), {"sqlite_with_rowid": False})

    document_id: Mapped[int] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    value: Mapped[str] = mapped_column(String(255))


class SchemaRow(Base):
    """One version of a named schema."""

    __tablename__ = "schemas"
    __table_args__ = (
        UniqueConstraint("name", "version"),
        Index(None, "user_id", "name"),
        Index(None, "project_id", "name"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(255))
    task: Mapped[str] = mapped_column(String(32), index=True)
    version: Mapped[int]
    body: Mapped[Any] = mapped_column(JSON)
    # what changed and why, in the words of whoever saved it
    note: Mapped[str] = mapped_column(Text, default="", server_default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    # whose it is, numbers of UserRow and ProjectRow
    user_id: Mapped[int] = mapped_column(default=1, server_default="1")
    project_id: Mapped[int] = mapped_column(default=1, server_default="1")


class RunRow(Base):
    """A job: one task asked of a set of documents, with the model and settings that answered."""

    __tablename__ = "runs"
    __table_args__ = (
        CheckConstraint(f"state IN {RUN_STATES}", name="state"),
        Index(None, "user_id", "started_at"),
        Index(None, "project_id", "started_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    task: Mapped[str] = mapped_column(String(32), index=True)
    schema_id: Mapped[int | None] = mapped_column(ForeignKey("schemas.id", ondelete="SET NULL"), index=True)
    # the schema as it was asked, whatever becomes of the saved one
    schema: Mapped[Any] = mapped_column(JSON)
    model: Mapped[str] = mapped_column(String(512))
    revision: Mapped[str] = mapped_column(String(255))
    dtype: Mapped[str] = mapped_column(String(32))
    device: Mapped[str] = mapped_column(String(64))
    threshold: Mapped[float] = mapped_column(Float)
    # candidates between this and the threshold are kept; NULL: none
    floor: Mapped[float | None] = mapped_column(Float)
    state: Mapped[str] = mapped_column(String(16), default="running")
    total: Mapped[int]
    done: Mapped[int] = mapped_column(default=0)
    windows: Mapped[int] = mapped_column(default=0)
    # findings of all its documents, children included: counting millions would make every list wait
    annotations: Mapped[int] = mapped_column(default=0, server_default="0")
    started_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now, index=True)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error: Mapped[str | None] = mapped_column(Text)
    # the checkpoint that is to answer, as it was asked for; empty for what was imported
    source: Mapped[str] = mapped_column(String(512), default="", server_default="")
    # documents that could not be annotated
    failed: Mapped[int] = mapped_column(default=0, server_default="0")
    # the process that works on it, and when that was last heard of; see `core.jobs.lease`
    owner: Mapped[str] = mapped_column(String(255), default="", server_default="")
    heartbeat_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # seconds spent on it by all processes together
    worked_s: Mapped[float] = mapped_column(Float, default=0.0, server_default="0")
    # whose it is, numbers of UserRow and ProjectRow
    user_id: Mapped[int] = mapped_column(default=1, server_default="1")
    project_id: Mapped[int] = mapped_column(default=1, server_default="1")


class RunDocumentRow(Base):
    """What one run says of one document besides its annotations."""

    __tablename__ = "run_documents"
    # the order in which results are shown and exported
    __table_args__ = (Index(None, "run_id", "position", "document_id"),)

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    document_id: Mapped[int] = mapped_column(
        ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    position: Mapped[int] = mapped_column(default=0)
    windows: Mapped[int]
    # the reference's flat form: a list of paths of [type, start, end, text, score, confidence]
    paths: Mapped[list[list[list[Any]]]] = mapped_column(JSON)
    notes: Mapped[list[str]] = mapped_column(JSON)
    error: Mapped[str] = mapped_column(Text, default="")
    duration_s: Mapped[float] = mapped_column(Float)
    # what this very document was read on: a job may go on elsewhere
    dtype: Mapped[str] = mapped_column(String(32), default="", server_default="")
    device: Mapped[str] = mapped_column(String(64), default="", server_default="")


class CandidatesRow(Base):
    """What came near the threshold of a run in one document; there is no row where nothing did or nobody asked."""

    __tablename__ = "candidates"
    __table_args__ = (
        ForeignKeyConstraint(
            ["run_id", "document_id"], ["run_documents.run_id", "run_documents.document_id"], ondelete="CASCADE"
        ),
    )

    run_id: Mapped[int] = mapped_column(primary_key=True)
    document_id: Mapped[int] = mapped_column(primary_key=True)
    # best first: [confidence, [type, start, end, text, score] for each link of the chain]; read and written whole
    found: Mapped[list[list[Any]]] = mapped_column(JSON)


class JobDocumentRow(Base):
    """A document that a job has still to read; it leaves in the transaction that keeps what was found."""

    __tablename__ = "job_documents"
    __table_args__ = (Index(None, "run_id", "position"),)

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    document_id: Mapped[int] = mapped_column(
        ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    position: Mapped[int]
    # how many processes ended with it in their hands; `taken`: it is in the hands of the job's owner
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    taken: Mapped[bool] = mapped_column(default=False, server_default=false())


class AnnotationRow(Base):
    """One node of a document's annotation tree; `position` is its place in depth-first order."""

    __tablename__ = "annotations"
    __table_args__ = (
        ForeignKeyConstraint(
            ["run_id", "document_id"], ["run_documents.run_id", "run_documents.document_id"], ondelete="CASCADE"
        ),
        Index(None, "run_id", "document_id", "position"),
        Index(None, "run_id", "type"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int]
    document_id: Mapped[int]
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("annotations.id", ondelete="CASCADE"), index=True)
    type: Mapped[str] = mapped_column(Text)
    start: Mapped[int | None]
    end: Mapped[int | None]
    text: Mapped[str] = mapped_column(Text)
    score: Mapped[float] = mapped_column(Float)
    position: Mapped[int]

"""Batches as the desk remembers them: what was asked, by whom, and how far they were when somebody last looked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Engine, String, Text, delete, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.access.principal import principal_of
from core.errors import StorageError
from core.storage.database import storage_errors, writing
from core.storage.tables import Base, UtcDateTime, utc_now

STATES = ("running", "done", "failed", "cancelled")


class BatchRow(Base):
    """One batch; its results are files in `output`, not rows."""

    __tablename__ = "batches"
    __table_args__ = (CheckConstraint(f"state IN {STATES}", name="state"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    # below the folder of batches
    input: Mapped[str] = mapped_column(String(1024))
    output: Mapped[str] = mapped_column(String(1024))
    task: Mapped[str] = mapped_column(String(32))
    schema: Mapped[dict[str, Any]] = mapped_column(JSON)
    # columns, form, threshold, model, cluster
    options: Mapped[dict[str, Any]] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(String(16))
    # who works on it, as "pid/start"
    process: Mapped[str] = mapped_column(String(64), default="", server_default="")
    # the last note of that process, see `core.cluster.batch.Progress`
    progress: Mapped[dict[str, Any]] = mapped_column(JSON)
    error: Mapped[str] = mapped_column(Text, default="", server_default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


@dataclass(frozen=True, slots=True)
class BatchInfo:
    """A batch as it was when it was last looked at."""

    id: int
    input: str
    output: str
    task: str
    schema: Mapping[str, Any]
    options: Mapping[str, Any]
    state: str
    process: str
    progress: Mapping[str, Any]
    error: str
    created_at: datetime
    finished_at: datetime | None

    @property
    def active(self) -> bool:
        """Whether a process works on it, as far as is known."""
        return self.state == "running"


def add_batch(
    engine: Engine, *, input: str, output: str, task: str, schema: Mapping[str, Any], options: Mapping[str, Any]
) -> int:
    """Remember a batch that is about to start; `{id}` in `output` becomes its number, which is returned."""
    with storage_errors(engine), Session(writing(engine)) as session, session.begin():
        row = BatchRow(
            user_id=principal_of(engine).user_id,
            input=input,
            output=output,
            task=task,
            schema=dict(schema),
            options=dict(options),
            state="running",
            progress={},
        )
        session.add(row)
        session.flush()
        row.output = output.replace("{id}", str(row.id))
        return row.id


def list_batches(engine: Engine, *, limit: int = 50) -> list[BatchInfo]:
    """Batches, newest first."""
    with storage_errors(engine), Session(engine) as session:
        rows = session.scalars(select(BatchRow).order_by(BatchRow.id.desc()).limit(limit))
        return [_info(row) for row in rows]


def get_batch(engine: Engine, batch_id: int) -> BatchInfo:
    """One batch. Raises StorageError when there is none of that number."""
    with storage_errors(engine), Session(engine) as session:
        row = session.get(BatchRow, batch_id)
        if row is None:
            raise StorageError(f"没有编号为 {batch_id} 的批量处理，它可能已被删除。请刷新列表。")
        return _info(row)


def note_batch(
    engine: Engine, batch_id: int, *, state: str, process: str, progress: Mapping[str, Any], error: str = ""
) -> None:
    """Remember how far a batch is."""
    ended = None if state == "running" else utc_now()
    values = {"state": state, "process": process, "progress": dict(progress), "error": error, "finished_at": ended}
    with storage_errors(engine), writing(engine).begin() as connection:
        connection.execute(update(BatchRow).where(BatchRow.id == batch_id).values(**values))


def forget_batch(engine: Engine, batch_id: int) -> None:
    """Remove a batch from the list; its files stay."""
    with storage_errors(engine), writing(engine).begin() as connection:
        connection.execute(delete(BatchRow).where(BatchRow.id == batch_id))


def _info(row: BatchRow) -> BatchInfo:
    return BatchInfo(**{name: getattr(row, name) for name in BatchInfo.__dataclass_fields__})

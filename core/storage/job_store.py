"""Writes of the job queue. A job is a run; what it has still to read stands in `job_documents`.

Every change of state is one bound UPDATE that names the states, and where it matters the owner, that it changes from:
of two processes only one succeeds. Who works on a job holds it by a token of its own; a result is kept in the same
transaction that checks the token and takes the document off the list, so that a document is never read into a job
twice, whatever is killed when.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import Connection, CursorResult, Engine, Update, delete, insert, select, update
from sqlalchemy.orm import Session

from core.errors import StorageError
from core.storage.database import storage_errors, writing
from core.storage.rows import Finished, insert_results
from core.storage.tables import JobDocumentRow, RunDocumentRow, RunRow, utc_now
from core.storage.visibility import owner_values

# Rows of one INSERT; SQLite allows 32,766 bound values.
BATCH = 5_000
ENDED = ("done", "failed", "cancelled")
STATES = {
    "queued": "排队中",
    "running": "运行中",
    "paused": "已暂停",
    "done": "完成",
    "failed": "失败",
    "cancelled": "已取消",
}
"""What messages call the states."""


class Provenance(NamedTuple):
    """What answers: the checkpoint with its revision, and what it runs on."""

    model: str
    revision: str
    dtype: str
    device: str


def submit(
    engine: Engine,
    document_ids: Sequence[int],
    *,
    task: str,
    schema: Mapping[str, Any],
    schema_id: int | None,
    source: str,
    threshold: float,
    owner: str = "",
    floor: float | None = None,
) -> int:
    """Queue one task over stored documents, each once, in their order; returns the number of the job.

    With an `owner` nobody else can take it: it is being worked on from its first moment. With a `floor`, what exceeds
    it but not the threshold is kept as candidates.
    """
    waiting = list(dict.fromkeys(document_ids))
    with _transaction(engine) as session:
        row = RunRow(
            task=task,
            schema_id=schema_id,
            schema=dict(schema),
            model="",
            revision="",
            dtype="",
            device="",
            threshold=threshold,
            floor=floor,
            state="running" if owner else "queued",
            total=len(waiting),
            source=source,
            owner=owner,
            heartbeat_at=utc_now() if owner else None,
            **owner_values(engine),
        )
        session.add(row)
        session.flush()
        listed = [{"run_id": row.id, "document_id": id, "position": place} for place, id in enumerate(waiting)]
        for first in range(0, len(listed), BATCH):
            session.execute(insert(JobDocumentRow), listed[first : first + BATCH])
        return row.id


def claim(engine: Engine, job_id: int, owner: str, *, source: str) -> bool:
    """Take a queued job that asks for `source`; False when another process was quicker or it no longer waits."""
    now = utc_now()
    taking = (
        update(RunRow)
        .where(RunRow.id == job_id, RunRow.state == "queued", RunRow.source == source)
        .values(state="running", owner=owner, heartbeat_at=now, error=None)
    )
    with _connection(engine) as connection:
        if not _count(connection.execute(taking)):
            return False
        connection.execute(_taken(job_id).values(taken=False))  # whoever had them put them back
    return True


def take(engine: Engine, job_id: int, owner: str, *, document_ids: Collection[int]) -> bool:
    """Note that the owner begins to read these documents; False when it does not hold the job."""
    mine = (JobDocumentRow.run_id == job_id) & JobDocumentRow.document_id.in_(document_ids)
    with _connection(engine) as connection:
        if not _count(connection.execute(_held(job_id, owner).values(heartbeat_at=utc_now()))):
            return False
        connection.execute(update(JobDocumentRow).where(mine).values(taken=True))
    return True


def lose(engine: Engine, job_id: int, owner: str) -> bool:
    """Put the job of an owner that is gone back into the queue, and count that it ended with its documents in hand."""
    with _connection(engine) as connection:
        if not _count(connection.execute(_held(job_id, owner).values(state="queued", owner=""))):
            return False
        connection.execute(_taken(job_id).values(taken=False, attempts=JobDocumentRow.attempts + 1))
    return True


def begin(engine: Engine, job_id: int, owner: str, *, provenance: Provenance, fresh: bool) -> bool:
    """Write down what answers from now on; `fresh`: nothing has been read yet, so that the clock starts now."""
    values: dict[str, Any] = dict(provenance._asdict())
    if fresh:
        values["started_at"] = utc_now()
    return _changed(engine, _held(job_id, owner).values(**values))


def save(engine: Engine, job_id: int, owner: str, *, finished: Sequence[Finished]) -> bool:
    """Keep what was found in documents and take them off the list, in one transaction.

    False when the job is no longer held by `owner`; a document that was deleted meanwhile is passed over.
    """
    worked_s = sum(one.duration_s for one in finished)
    with _transaction(engine) as session:
        # first: on PostgreSQL it locks the job's row against everyone who would take the job away
        counted = _held(job_id, owner).values(worked_s=RunRow.worked_s + worked_s, heartbeat_at=utc_now())
        if not _count(session.execute(counted)):
            return False
        mine = (JobDocumentRow.run_id == job_id) & JobDocumentRow.document_id.in_([one.document_id for one in finished])
        there = set(session.scalars(delete(JobDocumentRow).where(mine).returning(JobDocumentRow.document_id)))
        if kept := [one for one in finished if one.document_id in there]:
            insert_results(session, job_id, kept)
    return True


def finish(engine: Engine, job_id: int, owner: str) -> bool:
    """Close a held job as done unless something is left to read."""
    left = select(JobDocumentRow.run_id).where(JobDocumentRow.run_id == job_id).exists()
    return _changed(engine, _held(job_id, owner).where(~left).values(state="done", owner="", finished_at=utc_now()))


def fail(engine: Engine, job_id: int, owner: str, *, error: str) -> bool:
    """Close a held job because of an error that stopped it; the rest waits for `resume`."""
    return _changed(engine, _held(job_id, owner).values(state="failed", owner="", error=error, finished_at=utc_now()))


def release(engine: Engine, job_id: int, owner: str) -> bool:
    """Put a held job back into the queue."""
    return _changed(engine, _held(job_id, owner).values(state="queued", owner=""))


def heartbeat(engine: Engine, owners: Collection[str]) -> set[str]:
    """Say that the owners live; returns those that still hold a job."""
    with _connection(engine) as connection:
        mine = RunRow.owner.in_(owners) & (RunRow.state == "running")
        connection.execute(update(RunRow).where(mine).values(heartbeat_at=utc_now()))
        return set(connection.scalars(select(RunRow.owner).where(mine)))


def pause(engine: Engine, job_id: int) -> None:
    """Stop a job for now; whoever works on it loses it at once. Raises StorageError when it does not run."""
    _move(engine, job_id, ("queued", "running"), verb="暂停", state="paused")


def resume(engine: Engine, job_id: int) -> None:
    """Let a paused, failed or cancelled job go on where it stopped. Raises StorageError when nothing is left of it."""
    with storage_errors(engine), engine.connect() as connection:
        left = connection.scalar(select(JobDocumentRow.run_id).where(JobDocumentRow.run_id == job_id).limit(1))
    if left is None and _state(engine, job_id) in ENDED:
        raise StorageError(f"作业 {job_id} 没有剩下的文档。失败的文档可以用“重试失败”再跑一次。")
    _move(engine, job_id, ("paused", "failed", "cancelled"), verb="继续", state="queued", error=None, finished_at=None)


def cancel(engine: Engine, job_id: int) -> None:
    """End a job; what is finished stays. Raises StorageError when it has ended."""
    _move(engine, job_id, ("queued", "running", "paused"), verb="取消", state="cancelled", finished_at=utc_now())


def retry_failed(engine: Engine, job_id: int) -> int:
    """Queue the documents that could not be annotated again, and only they lose their result; returns their number.

    Raises StorageError when the job runs or none failed.
    """
    mine = (RunDocumentRow.run_id == job_id) & (RunDocumentRow.error != "")
    with _transaction(engine) as session:
        moved = update(RunRow).where(RunRow.id == job_id, RunRow.state.in_((*ENDED, "paused")), RunRow.failed > 0)
        if not _count(session.execute(moved.values(state="queued", error=None, finished_at=None, owner=""))):
            raise StorageError(f"作业 {job_id} 没有可重试的文档：它正在运行，或没有失败的文档。")
        columns = (RunDocumentRow.run_id, RunDocumentRow.document_id, RunDocumentRow.position)
        session.execute(
            insert(JobDocumentRow).from_select(["run_id", "document_id", "position"], select(*columns).where(mine))
        )
        windows = sum(session.scalars(select(RunDocumentRow.windows).where(mine)))
        count = _count(session.execute(delete(RunDocumentRow).where(mine)))
        session.execute(
            update(RunRow)
            .where(RunRow.id == job_id)
            .values(done=RunRow.done - count, failed=RunRow.failed - count, windows=RunRow.windows - windows)
        )
        return count


def _held(job_id: int, owner: str) -> Update:
    return update(RunRow).where(RunRow.id == job_id, RunRow.owner == owner, RunRow.state == "running")


def _taken(job_id: int) -> Update:
    return update(JobDocumentRow).where(JobDocumentRow.run_id == job_id, JobDocumentRow.taken)


def _move(engine: Engine, job_id: int, states: Sequence[str], *, verb: str, **values: Any) -> None:
    moved = update(RunRow).where(RunRow.id == job_id, RunRow.state.in_(states), RunRow.source != "")
    if not _changed(engine, moved.values(owner="", **values)):
        raise StorageError(f"作业 {job_id} 现在不能{verb}：它的状态是“{STATES[_state(engine, job_id)]}”。请刷新列表。")


def _state(engine: Engine, job_id: int) -> str:
    with storage_errors(engine), engine.connect() as connection:
        state = connection.scalar(select(RunRow.state).where(RunRow.id == job_id))
    if state is None:
        raise StorageError(f"没有编号为 {job_id} 的作业，它可能已被删除。请刷新列表。")
    return state


def _changed(engine: Engine, statement: Update) -> bool:
    with _connection(engine) as connection:
        return bool(_count(connection.execute(statement)))


def _count(result: Any) -> int:
    assert isinstance(result, CursorResult)
    return result.rowcount


@contextmanager
def _connection(engine: Engine) -> Iterator[Connection]:
    with storage_errors(engine), writing(engine).begin() as connection:
        yield connection


@contextmanager
def _transaction(engine: Engine) -> Iterator[Session]:
    with storage_errors(engine), Session(writing(engine)) as session, session.begin():
        yield session

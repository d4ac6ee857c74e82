"""What the product can do with jobs, one function each: submit, start, watch, pause, resume, cancel, retry, delete."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from core.access.principal import ANALYST
from core.errors import BusyError, EngineAwayError, InputError, StorageError
from core.guard import guarded
from core.inference.assembly import check_schema
from core.inference.engine import Item
from core.jobs.lease import make_owner
from core.schemas.schema import Schema
from core.services import FLOOR, URGENT_DOCUMENTS, Application, check_item, make_items
from core.storage import job_store, queries
from core.storage.queries import RunInfo
from core.storage.tables import utc_now
from core.storage.visibility import check_documents, documents_read
from core.types import Document, Reading

LOOK_S = 0.1


@guarded(ANALYST, "job.submit", about="run {result} {task}")
def submit_job(
    app: Application,
    documents: Sequence[Document],
    *,
    task: str,
    schema: Any = None,
    schema_name: str | None = None,
    schema_id: int | None = None,
    threshold: float | None = None,
) -> int:
    """Store documents and queue one task over them; returns the number of the job. The model is not loaded.

    A schema with a name is saved under it; `schema_id` is the version that `schema` was taken from. Raises SchemaError
    or InputError when the schema cannot be asked or there is no document.
    """
    items = _items(documents, task=task, schema=schema)
    _check(app, items[0])
    check_limits(app, len(documents))
    rows = app.store.add_documents(documents)
    return _submit(app, items[0], rows, schema_name=schema_name, schema_id=schema_id, threshold=threshold)


@guarded(ANALYST, "job.submit", about="run {result} {task}")
def submit_stored(
    app: Application,
    document_ids: Sequence[int],
    *,
    task: str,
    schema: Any = None,
    schema_id: int | None = None,
    threshold: float | None = None,
    floor: float | None = None,
) -> int:
    """Queue one task over documents that are stored already; as `submit_job` otherwise.

    With a `floor`, what exceeds it but not the threshold is kept as candidates.
    """
    check_documents(app.database, document_ids)
    first = [queries.get_document(app.database, one) for one in document_ids[:1]]
    (item,) = _items(first, task=task, schema=schema)
    _check(app, item)
    check_limits(app, len(document_ids))
    return _submit(app, item, document_ids, schema_id=schema_id, threshold=threshold, floor=floor)


@guarded(ANALYST, "job.submit", about="run {result} {task}")
def start_job(
    app: Application,
    documents: Sequence[Document],
    *,
    task: str,
    schema: Any = None,
    schema_name: str | None = None,
    threshold: float | None = None,
) -> int:
    """Submit and work it off in this process; every document is stored as it finishes. Returns the number of the job.

    A few documents, for which somebody sits and waits, begin at once and go before all others; many take their turn.
    What a few documents hold below the threshold is kept as candidates. Loads the model. Raises as `submit_job`, and
    CheckpointError or DeviceError when there is no model.
    """
    (item,) = _items(documents, task=task, schema=schema)
    check_item(app, item)
    check_limits(app, len(documents))
    return _start(app, item, app.store.add_documents(documents), schema_name=schema_name, threshold=threshold)


@guarded(ANALYST, "job.submit", about="run {result} {task}")
def start_stored(
    app: Application,
    document_ids: Sequence[int],
    *,
    task: str,
    schema: Any = None,
    schema_name: str | None = None,
    threshold: float | None = None,
) -> int:
    """As `start_job` over documents that are stored already."""
    check_documents(app.database, document_ids)
    (item,) = _items([queries.get_document(app.database, one) for one in document_ids[:1]], task=task, schema=schema)
    check_item(app, item)
    check_limits(app, len(document_ids))
    return _start(app, item, document_ids, schema_name=schema_name, threshold=threshold)


@guarded(ANALYST, "job.submit", about="runs {result}")
def start_overview(
    app: Application, document: Document, *, schemas: Mapping[str, Any], threshold: float | None = None
) -> tuple[int, ...]:
    """Read one document with several tasks in shared batches; one job a task, in the order of `schemas`."""
    _wake(app)  # a missing model is told here, not by every job
    check_limits(app, len(schemas))
    (row,) = app.store.add_documents([document])
    items = [_items([document], task=task, schema=schema)[0] for task, schema in schemas.items()]
    owner = make_owner()
    jobs = [_submit(app, one, [row], threshold=threshold, owner=owner, floor=FLOOR) for one in items]
    app.runner.begin(jobs, owner, urgent=True)
    app.runner.start()
    return tuple(jobs)


def get_job(app: Application, job_id: int) -> RunInfo | None:
    """A job, None when it was deleted."""
    try:
        return queries.get_run(app.database, job_id)
    except StorageError:
        return None


def reading(app: Application, job: RunInfo) -> Reading | None:
    """How far the documents of a job are that are being read now; None when this process reads none of them."""
    engine = app.loaded_engine
    return None if engine is None or not job.owner else engine.reading(job.owner)


def wait_for_jobs(app: Application, job_ids: Sequence[int], timeout_s: float) -> bool:
    """Wait until none of the jobs waits or runs, wherever that is; False when the time is over first."""
    deadline = time.monotonic() + timeout_s
    while any(job is not None and job.active for job in (get_job(app, one) for one in job_ids)):
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        app.runner.join(job_ids, min(left, LOOK_S))
    return True


@guarded(ANALYST, "job.pause", run="job_id")
def pause_job(app: Application, job_id: int) -> None:
    """Stop a job for now, in whichever process it runs; what is finished stays. Raises StorageError if it does not."""
    job_store.pause(app.database, job_id)
    app.runner.look()


@guarded(ANALYST, "job.resume", run="job_id")
def resume_job(app: Application, job_id: int) -> None:
    """Let a paused, failed or cancelled job go on where it stopped. Raises StorageError when it cannot."""
    job_store.resume(app.database, job_id)
    app.runner.look()


@guarded(ANALYST, "job.cancel", run="job_id")
def cancel_job(app: Application, job_id: int) -> None:
    """End a job, in whichever process it runs; what is finished stays. Raises StorageError when it has ended."""
    job_store.cancel(app.database, job_id)
    app.runner.look()


@guarded(ANALYST, "job.retry", run="job_id")
def retry_job(app: Application, job_id: int) -> int:
    """Queue a job's failed documents again, alone; returns their number. Raises StorageError when it cannot."""
    count = job_store.retry_failed(app.database, job_id)
    app.runner.look()
    return count


@guarded(ANALYST, "job.delete", run="job_id")
def delete_job(app: Application, job_id: int) -> None:
    """Remove a job and what it found; its documents stay. Whoever works on it stops."""
    app.store.delete_run(job_id)
    app.runner.look()


def check_limits(app: Application, documents: int) -> None:
    """Count a request of whoever acts. Raises BusyError when he asks too often, or for too many documents a day."""
    who, most = app.principal, app.settings.documents_per_day
    if who.local:
        return
    app.requests.count(who.user_id)
    if most:
        before = documents_read(app.database, who.user_id, utc_now() - timedelta(days=1))
        if before + documents > most:
            raise BusyError(
                f"24 小时内最多分析 {most} 篇文档：已用 {before} 篇，这次要 {documents} 篇，没有开始。"
                "请减少文档、明天再试，或请管理员调大 REX_DOCUMENTS_PER_DAY。"
            )


def _items(documents: Sequence[Document], *, task: str, schema: Any) -> list[Item]:
    """The first document as it will be asked: the others are asked the same."""
    if not documents:
        raise InputError("没有可分析的文档：请输入正文或上传文件")
    return make_items(documents[:1], task=task, schema=schema)


def _start(
    app: Application, item: Item, document_ids: Sequence[int], *, schema_name: str | None, threshold: float | None
) -> int:
    urgent = len(document_ids) <= URGENT_DOCUMENTS
    owner, floor = (make_owner(), FLOOR) if urgent else ("", None)
    job = _submit(app, item, document_ids, schema_name=schema_name, threshold=threshold, owner=owner, floor=floor)
    if urgent:
        app.runner.begin([job], owner, urgent=True)
    app.runner.start()
    return job


def _submit(
    app: Application,
    item: Item,
    document_ids: Sequence[int],
    *,
    threshold: float | None,
    schema_name: str | None = None,
    schema_id: int | None = None,
    owner: str = "",
    floor: float | None = None,
) -> int:
    limit = app.settings.threshold if threshold is None else threshold
    if not 0.0 <= limit < 1.0:
        raise InputError(f"阈值 {limit} 无效：请取 0 到 1 之间（不含 1）的数")
    asked: Schema = item.schema
    body = asked.to_dict()
    if body and schema_name and schema_id is None:
        schema_id = app.store.save_schema(schema_name, item.task.name, body=body)
    return job_store.submit(
        app.database,
        document_ids,
        task=item.task.name,
        schema=body,
        schema_id=schema_id,
        source=app.settings.model_source,
        threshold=limit,
        owner=owner,
        floor=floor,
    )


def _check(app: Application, item: Item) -> None:
    """Raise SchemaError when the model cannot be asked this, without loading it; an engine that is away asks later."""
    if app.remote is None:
        check_schema(app.settings, item.schema)
        return
    try:
        check_item(app, item)
    except EngineAwayError:
        return  # the job waits for it, and learns then


def _wake(app: Application) -> None:
    """Load the model, or hear of the engine elsewhere. Raises what keeps it from answering."""
    if app.remote is None:
        app.engine  # noqa: B018  # the first use loads it
    else:
        app.remote.model()

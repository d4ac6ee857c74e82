"""One stretch of work: reads what is left of some jobs and keeps every document as it is finished."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Engine

from core.errors import Cancelled, RexError
from core.jobs.writer import kept
from core.storage import job_queries, job_store
from core.storage.job_store import Provenance
from core.storage.queries import RunInfo
from core.storage.rows import Finished
from core.types import AnnotatedDocument, Document

SLICE = 100
"""Documents fetched at a time; those who annotate take them one by one, no more than keep the device busy."""

Question = tuple[RunInfo, Document]


class Answer(Protocol):
    """Annotates documents, each as its job asks; yields (place in `questions`, result) as they finish.

    Raises Cancelled soon after `cancelled()` is true, and whatever stops the device.
    """

    def __call__(
        self,
        questions: Iterable[Question],
        *,
        threshold: float,
        urgent: bool,
        client: str,
        cancelled: Callable[[], bool],
    ) -> Iterator[tuple[int, AnnotatedDocument]]: ...


@dataclass(frozen=True, slots=True)
class Reader:
    """What answers jobs: `provenance` loads the model if need be and names it."""

    provenance: Callable[[], Provenance]
    answer: Answer


def work(
    database: Engine,
    jobs: Sequence[RunInfo],
    owner: str,
    *,
    reader: Reader,
    urgent: bool,
    stopped: Callable[[], bool],
) -> None:
    """Work on jobs of one threshold that `owner` holds until they end, are taken away, or `stopped()` is true.

    What is stopped goes back into the queue; what cannot go on fails with the reason. Never raises RexError except
    StorageError, when the database cannot even be told.
    """
    held = {job.id: job for job in jobs}
    try:
        provenance = reader.provenance()
        for job in jobs:
            _begin(database, job, owner, provenance=provenance, held=held)
        if held:
            _read(database, held, owner, reader=reader, provenance=provenance, urgent=urgent, stopped=stopped)
        for job_id in list(held):
            if not job_store.finish(database, job_id, owner):
                job_store.fail(database, job_id, owner, error="有文档没有得到结果：请继续这个作业")
    except Cancelled:
        for job_id in list(held):
            job_store.release(database, job_id, owner)
    except Exception as problem:  # the thread has nobody above it: the user must still learn what happened
        error = str(problem) if isinstance(problem, RexError) else f"{type(problem).__name__}: {problem}"
        for job_id in list(held):
            job_store.fail(database, job_id, owner, error=error)


def _begin(database: Engine, job: RunInfo, owner: str, *, provenance: Provenance, held: dict[int, RunInfo]) -> None:
    """Note what answers; a job begun with other weights fails: its results would be of two models."""
    if job.model and (job.model, job.revision) != (provenance.model, provenance.revision):
        error = (
            f"作业由模型 {job.model}（版本 {job.revision or '未知'}）开始，现在的模型是 {provenance.model}"
            f"（版本 {provenance.revision or '未知'}）：请换回原来的模型后继续，或另交一个作业"
        )
        job_store.fail(database, job.id, owner, error=error)
        del held[job.id]
    elif not job_store.begin(database, job.id, owner, provenance=provenance, fresh=not job.model):
        del held[job.id]


def _read(
    database: Engine,
    held: dict[int, RunInfo],
    owner: str,
    *,
    reader: Reader,
    provenance: Provenance,
    urgent: bool,
    stopped: Callable[[], bool],
) -> None:
    flying: dict[int, tuple[int, job_queries.Pending]] = {}
    threshold = next(iter(held.values())).threshold
    with kept(database, owner, lost=held.pop) as keep:
        answers = reader.answer(
            _questions(database, held, flying),
            threshold=threshold,
            urgent=urgent,
            client=owner,
            cancelled=lambda: stopped() or not held,
        )
        last = time.perf_counter()
        for place, result in answers:
            job_id, one = flying.pop(place)
            now = time.perf_counter()
            ground = {"dtype": provenance.dtype, "device": provenance.device}
            keep(job_id, Finished(one.document_id, result, now - last, one.position, **ground))
            last = now


def _questions(
    database: Engine, held: dict[int, RunInfo], flying: dict[int, tuple[int, job_queries.Pending]]
) -> Iterator[Question]:
    """What is left of the jobs, fetched when it is asked for; `flying` says which document has which place."""
    place = 0
    for job_id, job in list(held.items()):
        after = -1
        while job_id in held and (some := job_queries.pending(database, job_id, after=after, limit=SLICE)):
            after = some[-1].position
            for one in some:
                flying[place] = (job_id, one)
                place += 1
                yield job, one.document

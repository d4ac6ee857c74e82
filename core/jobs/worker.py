"""One stretch of work: reads what is left of some jobs and keeps every document as it is finished."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Engine

from core.errors import Cancelled, DatabaseAwayError, EngineAwayError, RexError
from core.jobs.writer import kept
from core.storage import job_queries, job_store
from core.storage.job_queries import Pending
from core.storage.job_store import Provenance
from core.storage.queries import RunInfo
from core.storage.rows import Finished
from core.types import AnnotatedDocument, Document

SLICE = 100
"""Documents fetched at a time; those who annotate take them one by one, no more than keep the device busy."""

SUSPECT = 2
"""A document that so many processes ended with in hand is read alone from then on, after all others."""

ATTEMPTS = 4
"""So many processes may end with a document in hand; then it has failed. Two of them had it alone: one power cut or
kill while an innocent document is read alone must not condemn it."""

ALONE = threading.Lock()
"""Of the documents under suspicion this process reads one at a time, whichever jobs they belong to."""

Keep = Callable[[int, Finished], None]
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
        floor: float | None,
        urgent: bool,
        client: str,
        cancelled: Callable[[], bool],
    ) -> Iterator[tuple[int, AnnotatedDocument]]: ...


@dataclass(frozen=True, slots=True)
class Reader:
    """What answers jobs: `provenance` loads the model if need be and names it; `source` is how jobs ask for it.

    Nothing is taken from the queue while it is not `ready`.
    """

    provenance: Callable[[], Provenance]
    answer: Answer
    source: Callable[[], str]
    ready: Callable[[], bool] = lambda: True


def work(
    database: Engine,
    jobs: Sequence[RunInfo],
    owner: str,
    *,
    reader: Reader,
    urgent: bool,
    stopped: Callable[[], bool],
    measured: Callable[[], None] = lambda: None,
) -> None:
    """Work on jobs of one threshold and floor that `owner` holds till they end, are taken away, or `stopped()` is true.

    What is stopped goes back into the queue; what cannot go on fails with the reason. Never raises RexError except
    StorageError, when the database is away or cannot even be told: whoever called puts the jobs back when it can.
    `measured` is called when all is read, before a job ends.
    """
    held = {job.id: job for job in jobs}
    try:
        provenance = reader.provenance()
        source = reader.source()
        for job in jobs:
            if job.source != source:  # another checkpoint was chosen meanwhile: the job waits for its own
                del held[job.id]
                job_store.release(database, job.id, owner)
                continue
            _begin(database, job, owner, provenance=provenance, held=held)
        if held:
            _read(database, held, owner, reader=reader, provenance=provenance, urgent=urgent, stopped=stopped)
            measured()
        for job_id in list(held):
            if not job_store.finish(database, job_id, owner):
                job_store.fail(database, job_id, owner, error="有文档没有得到结果：请继续这个作业")
    except DatabaseAwayError:
        raise
    except (Cancelled, EngineAwayError):
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
    threshold, floor = next((job.threshold, job.floor) for job in held.values())
    ground = {"dtype": provenance.dtype, "device": provenance.device}

    def read(questions: Iterable[Question], flying: dict[int, tuple[int, Pending]], keep: Keep) -> None:
        answers = reader.answer(
            questions,
            threshold=threshold,
            floor=floor,
            urgent=urgent,
            client=owner,
            cancelled=lambda: stopped() or not held,
        )
        # A clock for each job: of jobs that share batches, every one took the time until its answer.
        last: dict[int, float] = {}
        begun = time.perf_counter()
        for place, result in answers:
            job_id, one = flying.pop(place)
            now = time.perf_counter()
            keep(job_id, Finished(one.document_id, result, now - last.get(job_id, begun), one.position, **ground))
            last[job_id] = now

    flying: dict[int, tuple[int, Pending]] = {}
    with kept(database, owner, lost=held.pop) as keep:
        read(_questions(database, held, owner, flying), flying, keep)
    for job_id, job in list(held.items()):
        attempts, after = SUSPECT, -1
        while job_id in held and attempts <= ATTEMPTS:
            # What was read before is stored when the next begins: only the next can be blamed.
            with ALONE, kept(database, owner, lost=held.pop) as keep:
                # The most suspected last: whatever ends this process meanwhile rarely meets the same one twice.
                some = job_queries.pending(
                    database, job_id, after=after, limit=1, least=attempts, below=_below(attempts)
                )
                if not some:
                    attempts, after = attempts + 1, -1
                    continue
                if not _take(database, held, job_id, owner, some):
                    break
                (one,) = some
                after = one.position
                if one.attempts >= ATTEMPTS:
                    refused = AnnotatedDocument(one.document, job.task, (), error=_blame(one.attempts))
                    keep(job_id, Finished(one.document_id, refused, 0.0, one.position, **ground))
                else:
                    read([(job, one.document)], {0: (job_id, one)}, keep)


def _questions(
    database: Engine, held: dict[int, RunInfo], owner: str, flying: dict[int, tuple[int, Pending]]
) -> Iterator[Question]:
    """What is left of the jobs, fetched when it is asked for; `flying` says which document has which place.

    Without the documents that must be read alone.
    """
    place = 0
    for job_id, job in list(held.items()):
        after = -1
        while job_id in held and (
            some := job_queries.pending(database, job_id, after=after, limit=SLICE, below=SUSPECT)
        ):
            if not _take(database, held, job_id, owner, some):
                break
            after = some[-1].position
            for one in some:
                flying[place] = (job_id, one)
                place += 1
                yield job, one.document


def _take(database: Engine, held: dict[int, RunInfo], job_id: int, owner: str, some: Sequence[Pending]) -> bool:
    """Note what is read next; whatever ends this process leaves the note behind."""
    mine = job_store.take(database, job_id, owner, document_ids=[one.document_id for one in some])
    if not mine:
        held.pop(job_id, None)
    return mine


def _below(attempts: int) -> int | None:
    """The documents of one round have as many attempts; those of the last as many or more."""
    return attempts + 1 if attempts < ATTEMPTS else None


def _blame(attempts: int) -> str:
    return (
        f"读这篇文档时程序 {attempts} 次意外退出，已跳过，其余文档照常进行。"
        "请检查它的内容和机器的内存，再用“重试失败”单独重读"
    )

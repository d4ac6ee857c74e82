"""Reads of the job queue: who waits, who works, what is left, what failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Engine, func, select

from core.storage.codec import build_document
from core.storage.database import storage_errors
from core.storage.search import Search, conditions
from core.storage.tables import DocumentRow, JobDocumentRow, RunDocumentRow, RunRow
from core.storage.visibility import visible_runs
from core.types import Document

PREVIEW_CHARACTERS = 60


class Pending(NamedTuple):
    """A document that a job has still to read, and its place in the job.

    `attempts`: how many processes ended while they read it.
    """

    document_id: int
    position: int
    document: Document
    attempts: int = 0


class Holder(NamedTuple):
    """A job that is being worked on, by whom, and when that was last heard of."""

    job_id: int
    owner: str
    heartbeat_at: datetime | None


@dataclass(frozen=True, slots=True)
class FailedDocument:
    """A document that a job could not annotate, and why."""

    document_id: int
    external_id: str
    name: str
    preview: str
    error: str


class Ground(NamedTuple):
    """How many documents of a job were read on one device with one number type, and how long that took."""

    device: str
    dtype: str
    documents: int
    duration_s: float


def queued(engine: Engine, source: str | None = None) -> list[int]:
    """The jobs that wait, oldest first: all, or those that ask for one checkpoint."""
    query = select(RunRow.id).where(RunRow.state == "queued").order_by(RunRow.id)
    if source is not None:
        query = query.where(RunRow.source == source)
    with storage_errors(engine), engine.connect() as connection:
        return list(connection.scalars(query))


def count_by_state(engine: Engine) -> dict[str, int]:
    """How many jobs are in each state, those of everybody."""
    query = select(RunRow.state, func.count()).group_by(RunRow.state)
    with storage_errors(engine), engine.connect() as connection:
        return {state: int(count) for state, count in connection.execute(query)}


def sources(engine: Engine) -> list[str]:
    """The checkpoints that queued jobs ask for, that of the oldest job first."""
    first = func.min(RunRow.id)
    query = select(RunRow.source).where(RunRow.state == "queued").group_by(RunRow.source).order_by(first)
    with storage_errors(engine), engine.connect() as connection:
        return list(connection.scalars(query))


def holders(engine: Engine) -> list[Holder]:
    """The jobs that are being worked on, by any process."""
    query = select(RunRow.id, RunRow.owner, RunRow.heartbeat_at).where(RunRow.state == "running", RunRow.owner != "")
    with storage_errors(engine), engine.connect() as connection:
        return [Holder(*row) for row in connection.execute(query)]


def pending(
    engine: Engine, job_id: int, *, after: int = -1, limit: int, least: int = 0, below: int | None = None
) -> list[Pending]:
    """The next documents that a job has to read, those behind position `after`.

    least, below: only those with so many attempts or more, and with fewer.
    """
    query = (
        select(
            JobDocumentRow.position,
            JobDocumentRow.attempts,
            DocumentRow.id,
            DocumentRow.external_id,
            DocumentRow.name,
            DocumentRow.text,
            DocumentRow.text_pair,
            DocumentRow.inputs,
            DocumentRow.meta.label("metadata"),
        )
        .join(DocumentRow, DocumentRow.id == JobDocumentRow.document_id)
        .where(JobDocumentRow.run_id == job_id, JobDocumentRow.position > after, JobDocumentRow.attempts >= least)
        .order_by(JobDocumentRow.position)
        .limit(limit)
    )
    if below is not None:
        query = query.where(JobDocumentRow.attempts < below)
    with storage_errors(engine), engine.connect() as connection:
        rows = connection.execute(query).all()
    return [
        Pending(
            row.id,
            row.position,
            build_document(
                row.text,
                row.inputs,
                external_id=row.external_id,
                name=row.name,
                text_pair=row.text_pair,
                metadata=row._mapping["metadata"],
            ),
            row.attempts,
        )
        for row in rows
    ]


def find_documents(engine: Engine, search: Search) -> list[int]:
    """The numbers of the stored documents that a search finds, oldest first."""
    with storage_errors(engine), engine.connect() as connection:
        query = select(DocumentRow.id).where(*conditions(connection, search)).order_by(DocumentRow.id)
        return list(connection.scalars(query))


def failed_documents(engine: Engine, job_id: int, *, limit: int = 50, offset: int = 0) -> list[FailedDocument]:
    """The documents that a job could not annotate, in the order of its input."""
    query = (
        select(
            DocumentRow.id,
            DocumentRow.external_id,
            DocumentRow.name,
            func.substr(DocumentRow.text, 1, PREVIEW_CHARACTERS),
            RunDocumentRow.error,
        )
        .join(RunDocumentRow, RunDocumentRow.document_id == DocumentRow.id)
        .where(RunDocumentRow.run_id.in_(visible_runs(engine, [job_id])), RunDocumentRow.error != "")
        .order_by(RunDocumentRow.position)
        .limit(limit)
        .offset(offset)
    )
    with storage_errors(engine), engine.connect() as connection:
        return [FailedDocument(*row) for row in connection.execute(query)]


def grounds(engine: Engine, job_id: int) -> Sequence[Ground]:
    """What the documents of a job were read on, most first: more than one where it was carried on elsewhere."""
    count = func.count()
    columns = (RunDocumentRow.device, RunDocumentRow.dtype)
    query = (
        select(*columns, count, func.sum(RunDocumentRow.duration_s))
        .where(RunDocumentRow.run_id.in_(visible_runs(engine, [job_id])))
        .group_by(*columns)
        .order_by(count.desc(), *columns)
    )
    with storage_errors(engine), engine.connect() as connection:
        return [Ground(*row) for row in connection.execute(query)]

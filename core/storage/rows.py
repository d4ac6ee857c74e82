"""Many rows in few statements: documents with their metadata, results with their annotation trees."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ScalarSelect, delete, func, insert, select, text, update
from sqlalchemy.orm import Session

from core.storage.codec import document_inputs, dump_candidates, dump_paths, flatten
from core.storage.tables import (
    AnnotationRow,
    CandidatesRow,
    DocumentMetadataRow,
    DocumentRow,
    RunDocumentRow,
    RunRow,
    utc_now,
)
from core.storage.visibility import owner_values
from core.types import AnnotatedDocument, Document

# What an index holds of a key or value of metadata.
INDEXED_CHARACTERS = 255


class Finished(NamedTuple):
    """What a run found in the stored document `document_id`, which stands at `position` of its input.

    `dtype` and `device` are what it was read on.
    """

    document_id: int
    result: AnnotatedDocument
    duration_s: float = 0.0
    position: int = 0
    dtype: str = ""
    device: str = ""


def insert_documents(session: Session, documents: Sequence[tuple[Document, str]]) -> list[int]:
    """Insert documents, each with its hash; returns their row ids in order."""
    if not documents:
        return []
    now = utc_now()
    owner = owner_values(session.connection())
    ids = _new_ids(session, DocumentRow, len(documents))
    rows = [
        {
            "id": row_id,
            "external_id": document.id,
            "name": document.name,
            "text": document.text,
            "text_pair": document.text_pair,
            "inputs": document_inputs(document),
            "metadata": dict(document.metadata),
            "sha256": sha256,
            "created_at": now,
            **owner,
        }
        for row_id, (document, sha256) in zip(ids, documents, strict=True)
    ]
    session.connection().execute(insert(DocumentRow), rows)
    entries = [
        {"document_id": row_id, "key": key, "value": value}
        for row_id, (document, _) in zip(ids, documents, strict=True)
        for key, value in _entries(document).items()
    ]
    if entries:
        session.connection().execute(insert(DocumentMetadataRow), entries)
    return list(ids)


def _new_ids(session: Session, table: type[DocumentRow] | type[AnnotationRow], count: int) -> range | list[int]:
    """Row ids for rows to come: known before, they need not be asked back row by row.

    On SQLite the transaction holds the write lock and these are the ids that it would give; PostgreSQL's come from
    the sequence of the column.
    """
    if session.get_bind().dialect.name == "sqlite":
        last = session.scalar(select(func.max(table.id))) or 0
        return range(last + 1, last + 1 + count)
    name = table.__tablename__
    query = text("SELECT nextval(pg_get_serial_sequence(:name, 'id')) FROM generate_series(1, :count)")
    return list(session.scalars(query, {"name": name, "count": count}))


def _entries(document: Document) -> dict[str, str]:
    """Metadata as an index holds it; of keys that begin alike beyond its length the first stays."""
    cut = INDEXED_CHARACTERS
    return {key[:cut]: value[:cut] for key, value in reversed(list(document.metadata.items()))}


def insert_results(session: Session, run_id: int, finished: Sequence[Finished]) -> None:
    """Insert what a run found, replacing what it found before in the same documents, and count it in the run."""
    ids = [one.document_id for one in finished]
    mine = (RunDocumentRow.run_id == run_id) & RunDocumentRow.document_id.in_(ids)
    old = session.execute(
        select(
            RunDocumentRow.document_id,
            RunDocumentRow.windows,
            findings(RunDocumentRow.document_id),
            RunDocumentRow.error,
        ).where(mine)
    ).all()
    if old:
        session.execute(delete(RunDocumentRow).where(mine))
    rows = [
        {
            "run_id": run_id,
            "document_id": one.document_id,
            "position": one.position,
            "windows": one.result.windows,
            "paths": dump_paths(one.result.paths),
            "notes": list(one.result.notes),
            "error": one.result.error,
            "duration_s": one.duration_s,
            "dtype": one.dtype,
            "device": one.device,
        }
        for one in finished
    ]
    session.execute(insert(RunDocumentRow), rows)
    near = [
        {"run_id": run_id, "document_id": one.document_id, "found": dump_candidates(one.result.candidates)}
        for one in finished
        if one.result.candidates
    ]
    if near:
        session.execute(insert(CandidatesRow), near)
    count = _insert_annotations(session, run_id, finished)
    windows = sum(one.result.windows for one in finished) - sum(row[1] for row in old)
    failed = sum(bool(one.result.error) for one in finished) - sum(bool(row[3]) for row in old)
    session.execute(
        update(RunRow)
        .where(RunRow.id == run_id)
        .values(
            done=RunRow.done + len(finished) - len(old),
            windows=RunRow.windows + windows,
            annotations=RunRow.annotations + count - sum(row[2] for row in old),
            failed=RunRow.failed + failed,
        )
    )


def findings(document_id: Any) -> ScalarSelect[int]:
    """How many annotations a run has in a document, for a query over RunDocumentRow."""
    mine = (AnnotationRow.run_id == RunDocumentRow.run_id) & (AnnotationRow.document_id == document_id)
    return select(func.count()).select_from(AnnotationRow).where(mine).correlate(RunDocumentRow).scalar_subquery()


def _insert_annotations(session: Session, run_id: int, finished: Iterable[Finished]) -> int:
    """Insert the trees of all documents, parents before children; returns the number of annotations."""
    nodes = [(one.document_id, node) for one in finished for node in flatten(one.result.annotations)]
    if not nodes:
        return 0
    ids: dict[tuple[int, int], int] = {}
    rows = []
    for row_id, (document_id, node) in zip(_new_ids(session, AnnotationRow, len(nodes)), nodes, strict=True):
        ids[document_id, node.position] = row_id
        one = node.annotation
        rows.append(
            {
                "id": row_id,
                "run_id": run_id,
                "document_id": document_id,
                "parent_id": None if node.parent is None else ids[document_id, node.parent],
                "type": one.type,
                "start": one.start,
                "end": one.end,
                "text": one.text,
                "score": one.score,
                "position": node.position,
            }
        )
    session.connection().execute(insert(AnnotationRow), rows)
    return len(nodes)

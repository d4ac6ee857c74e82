"""Reads of corrections: the queue, one document under review, its history, and what reviewed documents came to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Engine, Row, Select, and_, func, select, true
from sqlalchemy.orm import aliased

from core.errors import StorageError
from core.review.changes import Change, load_change
from core.review.nodes import (
    REVIEWED,
    UNREVIEWED,
    Nodes,
    from_annotations,
    load_nodes,
    machine_annotations,
    to_annotations,
)
from core.storage.database import storage_errors
from core.storage.queries import get_documents, iter_numbered
from core.storage.review_tables import ReviewRow, RevisionRow
from core.storage.tables import AnnotationRow, DocumentRow, RunDocumentRow
from core.storage.visibility import visible_runs
from core.types import AnnotatedDocument, Annotation, Document

PREVIEW_CHARACTERS = 60
BATCH = 500
ONE_BY_ONE = 100
MAX_DEPTH = 3
POSITION, CERTAINTY = "position", "certainty"


@dataclass(frozen=True, slots=True)
class ReviewPair:
    """A reviewed document of a run: what the machine said and what a person made of it, both in text order.

    Rejected annotations, with all below them, are not in `corrected`; added ones are, with score 1.0.
    """

    document_id: int
    document: Document
    state: str
    machine: tuple[Annotation, ...]
    corrected: tuple[Annotation, ...]


@dataclass(frozen=True, slots=True)
class Review:
    """A document of a run as it stands; version 0 when nobody has touched it. `can_undo` and `can_redo`: steps left."""

    run_id: int
    document_id: int
    document: Document
    task: str
    state: str
    version: int
    nodes: Nodes
    author: str
    updated_at: datetime | None
    can_undo: bool
    can_redo: bool


@dataclass(frozen=True, slots=True)
class Revision:
    """One step of a document's history."""

    number: int
    action: str
    change: Change
    author: str
    created_at: datetime
    batch: str


@dataclass(frozen=True, slots=True)
class QueueItem:
    """A document in the queue; `score` is its least certain annotation, None without any."""

    document_id: int
    external_id: str
    preview: str
    state: str
    annotations: int
    score: float | None
    author: str
    updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class QueueFilter:
    """Which documents of a run to review, and in which order.

    states: empty for all. type: only documents in which the machine found it. below, at_least: only documents with an
    annotation of a lower score, or of that score or more (of `type`, if given). order: "position" (of the input) or
    "certainty" (least first).
    """

    states: tuple[str, ...] = ()
    type: str | None = None
    below: float | None = None
    at_least: float | None = None
    order: str = POSITION


def reviewed_pairs(engine: Engine, run_id: int) -> Iterator[ReviewPair]:
    """The reviewed documents of a run, in the order of its input.

    Reviewed are documents whose state is "approved" (a person finished it and changed nothing) or "corrected" (a
    person finished it and added, rejected, retyped or moved something). Documents that are unreviewed, started but
    not finished, rejected as a whole, or skipped are left out: nobody vouches for them. `machine` is what the
    machine said when the review began. Reads some documents at a time.
    """
    ids = queue_ids(engine, run_id, QueueFilter(states=REVIEWED))
    for start in range(0, len(ids), BATCH):
        some = ids[start : start + BATCH]
        rows = {row.document_id: row for row in review_rows(engine, run_id, some)}
        documents = get_documents(engine, some)
        for one in some:
            if one in rows and one in documents and rows[one].state in REVIEWED:  # deleted or reopened meanwhile
                nodes = load_nodes(rows[one].nodes)
                trees = machine_annotations(nodes), to_annotations(nodes)
                yield ReviewPair(one, documents[one], rows[one].state, *trees)


def count_states(engine: Engine, run_id: int) -> dict[str, int]:
    """How many documents of a run are in each state; states without any are left out."""
    if not visible_runs(engine, [run_id]):
        return {}
    read = select(func.count()).select_from(RunDocumentRow).where(RunDocumentRow.run_id == run_id)
    query = (
        select(ReviewRow.state, func.count())
        .join(RunDocumentRow, _same())
        .where(ReviewRow.run_id == run_id)
        .group_by(ReviewRow.state)
    )
    with storage_errors(engine), engine.connect() as connection:
        counts = {row[0]: row[1] for row in connection.execute(query)}
        # most documents of a large run have no review: they are counted, not joined
        untouched = (connection.scalar(read) or 0) - sum(counts.values())
    counts[UNREVIEWED] = counts.get(UNREVIEWED, 0) + untouched
    return {state: count for state, count in counts.items() if count}


def reviewed_runs(engine: Engine) -> frozenset[int]:
    """The runs with reviewed documents, as `reviewed_pairs` means them, that may be seen."""
    query = select(ReviewRow.run_id).where(ReviewRow.state.in_(REVIEWED)).distinct()
    with storage_errors(engine), engine.connect() as connection:
        found = connection.scalars(query).all()
    return frozenset(visible_runs(engine, found))


def found_types(engine: Engine, run_id: int) -> dict[str, Any]:
    """The types of a run's findings, nested as they were found: what stands for a schema where none was asked."""
    above = aliased(AnnotationRow)
    query = (
        select(AnnotationRow.type, above.type)
        .join(above, AnnotationRow.parent_id == above.id, isouter=True)
        .where(AnnotationRow.run_id.in_(visible_runs(engine, [run_id])))
        .distinct()
    )
    below: dict[str | None, list[str]] = {}
    with storage_errors(engine), engine.connect() as connection:
        for name, parent in sorted(connection.execute(query), key=lambda row: row[0]):
            below.setdefault(parent, []).append(name)

    def tree(name: str | None, depth: int) -> dict[str, Any] | None:
        # a type may stand below itself: the depth ends what would not end
        found = below.get(name, []) if depth else []
        return {one: tree(one, depth - 1) for one in found} or None

    return tree(None, MAX_DEPTH) or {}


def queue_ids(engine: Engine, run_id: int, chosen: QueueFilter) -> list[int]:
    """The numbers of all documents of the queue, in its order."""
    if not visible_runs(engine, [run_id]):
        return []
    with storage_errors(engine), engine.connect() as connection:
        return list(connection.scalars(_queue(run_id, chosen)))


def queue_items(engine: Engine, run_id: int, document_ids: list[int]) -> list[QueueItem]:
    """What a list shows of these documents, in the order given."""
    if not visible_runs(engine, [run_id]):
        return []
    mine = (AnnotationRow.run_id == run_id) & (AnnotationRow.document_id == DocumentRow.id)
    query = (
        select(
            DocumentRow.id,
            DocumentRow.external_id,
            func.substr(DocumentRow.text, 1, PREVIEW_CHARACTERS),
            func.coalesce(ReviewRow.state, UNREVIEWED),
            select(func.count()).where(mine).scalar_subquery(),
            select(func.min(AnnotationRow.score)).where(mine).scalar_subquery(),
            func.coalesce(ReviewRow.author, ""),
            ReviewRow.updated_at,
        )
        .join(ReviewRow, and_(ReviewRow.document_id == DocumentRow.id, ReviewRow.run_id == run_id), isouter=True)
        .where(DocumentRow.id.in_(document_ids))
    )
    with storage_errors(engine), engine.connect() as connection:
        found = {row[0]: QueueItem(*row) for row in connection.execute(query)}
    return [found[one] for one in document_ids if one in found]


def get_review(engine: Engine, run_id: int, document_id: int) -> Review:
    """A document of a run as it stands, whether somebody has worked on it or not.

    Raises StorageError when the run has no such document.
    """
    found = next((result for _, result in iter_numbered(engine, run_id, document_id=document_id)), None)
    if found is None:
        raise StorageError(f"运行 {run_id} 里没有编号为 {document_id} 的文档，它可能已被删除。请刷新列表。")
    query = (
        select(*ReviewRow.__table__.columns, RevisionRow.undo, RevisionRow.redo)
        .join(
            RevisionRow,
            and_(
                RevisionRow.run_id == ReviewRow.run_id,
                RevisionRow.document_id == ReviewRow.document_id,
                RevisionRow.number == ReviewRow.version,
            ),
        )
        .where(ReviewRow.run_id == run_id, ReviewRow.document_id == document_id)
    )
    with storage_errors(engine), engine.connect() as connection:
        row = connection.execute(query).first()
    untouched = _untouched(run_id, document_id, found)
    if row is None:
        return untouched
    return replace(
        untouched,
        state=row.state,
        version=row.version,
        nodes=load_nodes(row.nodes),
        author=row.author,
        updated_at=row.updated_at,
        can_undo=row.undo is not None,
        can_redo=row.redo is not None,
    )


def iter_reviews(engine: Engine, run_id: int, document_ids: Sequence[int]) -> Iterator[Review]:
    """Several documents of a run as they stand, to look at: whether a step can be undone is not looked up.

    A few are read one by one, many in the order of the run's input, some at a time.
    """
    if len(document_ids) <= ONE_BY_ONE:
        yield from (get_review(engine, run_id, one) for one in document_ids)
        return
    wanted = set(document_ids)
    results = iter_numbered(engine, run_id, batch=BATCH)
    while some := list(islice(results, BATCH)):
        found = {number: result for number, result in some if number in wanted}
        rows = {row.document_id: row for row in review_rows(engine, run_id, list(found))}
        for number, result in found.items():
            review = _untouched(run_id, number, result)
            if number in rows:
                row = rows[number]
                review = replace(review, state=row.state, version=row.version, nodes=load_nodes(row.nodes))
            yield review


def _untouched(run_id: int, document_id: int, found: AnnotatedDocument) -> Review:
    """A document that nobody has worked on."""
    return Review(
        run_id=run_id,
        document_id=document_id,
        document=found.document,
        task=found.task,
        state=UNREVIEWED,
        version=0,
        nodes=from_annotations(found.annotations),
        author="",
        updated_at=None,
        can_undo=False,
        can_redo=False,
    )


def history(engine: Engine, run_id: int, document_id: int) -> list[Revision]:
    """Every step of a document, newest first."""
    query = (
        select(
            RevisionRow.number,
            RevisionRow.action,
            RevisionRow.change,
            RevisionRow.author,
            RevisionRow.created_at,
            RevisionRow.batch,
        )
        .where(RevisionRow.run_id.in_(visible_runs(engine, [run_id])), RevisionRow.document_id == document_id)
        .order_by(RevisionRow.number.desc())
    )
    with storage_errors(engine), engine.connect() as connection:
        return [
            Revision(row.number, row.action, load_change(row.change), row.author, row.created_at, row.batch)
            for row in connection.execute(query)
        ]


def documents_with(engine: Engine, run_id: int, words: str) -> list[int]:
    """The documents of a run whose text contains `words`; letters of either case count, so check again."""
    query = (
        select(RunDocumentRow.document_id)
        .join(DocumentRow, DocumentRow.id == RunDocumentRow.document_id)
        .where(
            RunDocumentRow.run_id.in_(visible_runs(engine, [run_id])), DocumentRow.text.contains(words, autoescape=True)
        )
        .order_by(RunDocumentRow.position, RunDocumentRow.document_id)
    )
    with storage_errors(engine), engine.connect() as connection:
        return list(connection.scalars(query))


def batch_documents(engine: Engine, run_id: int, batch: str) -> list[int]:
    """The documents of a run that one action over many of them has changed."""
    read = RevisionRow.run_id.in_(visible_runs(engine, [run_id]))
    query = select(RevisionRow.document_id).where(read, RevisionRow.batch == batch)
    with storage_errors(engine), engine.connect() as connection:
        return list(connection.scalars(query.distinct().order_by(RevisionRow.document_id)))


def review_rows(engine: Engine, run_id: int, document_ids: Sequence[int]) -> Sequence[Row[Any]]:
    """The reviews of some documents."""
    query = select(*ReviewRow.__table__.columns).where(
        ReviewRow.run_id.in_(visible_runs(engine, [run_id])), ReviewRow.document_id.in_(document_ids)
    )
    with storage_errors(engine), engine.connect() as connection:
        return connection.execute(query).all()


def _same() -> ColumnElement[bool]:
    return and_(ReviewRow.run_id == RunDocumentRow.run_id, ReviewRow.document_id == RunDocumentRow.document_id)


def _queue(run_id: int, chosen: QueueFilter) -> Select[int]:
    # The annotations are read once for all documents: asked for each document, a run of many takes minutes.
    mine = [AnnotationRow.run_id == run_id]
    if chosen.type is not None:
        mine.append(AnnotationRow.type == chosen.type)
    query = (
        select(RunDocumentRow.document_id).join(ReviewRow, _same(), isouter=True).where(RunDocumentRow.run_id == run_id)
    )
    if chosen.states:
        query = query.where(func.coalesce(ReviewRow.state, UNREVIEWED).in_(chosen.states))
    limits = []
    if chosen.below is not None:
        limits.append(AnnotationRow.score < chosen.below)
    if chosen.at_least is not None:
        limits.append(AnnotationRow.score >= chosen.at_least)
    for limit in limits or ([true()] if chosen.type is not None else []):
        query = query.where(RunDocumentRow.document_id.in_(select(AnnotationRow.document_id).where(*mine, limit)))
    place = (RunDocumentRow.position, RunDocumentRow.document_id)
    if chosen.order == CERTAINTY:
        least = (
            select(AnnotationRow.document_id, func.min(AnnotationRow.score).label("score"))
            .where(*mine)
            .group_by(AnnotationRow.document_id)
            .subquery()
        )
        query = query.join(least, least.c.document_id == RunDocumentRow.document_id, isouter=True)
        # where nothing was found nothing is uncertain: those come last
        return query.order_by(func.coalesce(least.c.score, 2.0), *place)
    return query.order_by(*place)

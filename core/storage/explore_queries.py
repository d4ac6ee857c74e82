"""Counts over the stored findings of one or several runs, made by the database for the screen that explores them.

Every function asks for the findings that a `Filter` means and returns frozen records; no finding is loaded by itself.
Of a large corpus a `Filter` may take only every n-th document, so that an answer comes at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Engine, Integer, Row, Select, cast, func, select

from core.storage.database import storage_errors
from core.storage.tables import AnnotationRow, DocumentMetadataRow, RunDocumentRow
from core.storage.visibility import visible_runs

BINS = 20


@dataclass(frozen=True, slots=True)
class Filter:
    """Which findings are meant: those of `runs` that meet all the rest.

    types: one of these; empty: all. contains: in the words found. lowest, highest: the score, both included.
    metadata: (key, value) pairs that the document has. every: only documents whose number is a multiple of it.
    """

    runs: tuple[int, ...]
    types: tuple[str, ...] = ()
    contains: str = ""
    lowest: float = 0.0
    highest: float = 1.0
    metadata: tuple[tuple[str, str], ...] = ()
    every: int = 1


@dataclass(frozen=True, slots=True)
class TypeCount:
    """How often a run found a type; `score` is the mean."""

    run_id: int
    type: str
    count: int
    score: float


@dataclass(frozen=True, slots=True)
class TextCount:
    """How often words were found as a type, and in how many documents."""

    type: str
    text: str
    count: int
    documents: int


def document_count(engine: Engine, runs: Sequence[int]) -> int:
    """How many documents the runs have read, each counted once."""
    read = RunDocumentRow.run_id.in_(visible_runs(engine, runs))
    query = select(func.count(func.distinct(RunDocumentRow.document_id))).where(read)
    return int(fetch(engine, query)[0][0])


def type_counts(engine: Engine, chosen: Filter) -> list[TypeCount]:
    """Every type of every run, the most frequent first."""
    row = rows(visible(engine, chosen), "run_id", "type", "score")
    count = func.count()
    query = (
        select(row.run_id, row.type, count, func.avg(row.score))
        .group_by(row.run_id, row.type)
        .order_by(count.desc(), row.type, row.run_id)
    )
    return [TypeCount(*one) for one in fetch(engine, query)]


def text_counts(engine: Engine, chosen: Filter, *, limit: int = 30) -> list[TextCount]:
    """The most frequent words with their type; classes, which have no words, are left out."""
    row = rows(visible(engine, chosen), "type", "text", "document_id")
    count = func.count()
    query = (
        select(row.type, row.text, count, func.count(func.distinct(row.document_id)))
        .where(row.text != "")
        .group_by(row.type, row.text)
        .order_by(count.desc(), row.type, row.text)
        .limit(limit)
    )
    return [TextCount(*one) for one in fetch(engine, query)]


def score_bins(engine: Engine, chosen: Filter) -> dict[str, list[int]]:
    """For each type, how many scores lie in each of `BINS` equal parts of [0, 1]; a score of 1 is in the last."""
    row = rows(visible(engine, chosen), "type", "score")
    scaled = row.score * BINS
    # CAST cuts off in SQLite and rounds in PostgreSQL, ROUND takes a half to the even number in PostgreSQL only, and
    # FLOOR is missing from some builds of SQLite.
    part: Any = cast(scaled, Integer) if engine.dialect.name == "sqlite" else func.floor(scaled)
    bins: dict[str, list[int]] = {}
    for kind, number, count in fetch(engine, select(row.type, part, func.count()).group_by(row.type, part)):
        bins.setdefault(kind, [0] * BINS)[min(max(int(number), 0), BINS - 1)] += count
    return bins


def value_counts(engine: Engine, chosen: Filter, *, key: str, limit: int = 5000) -> list[tuple[str, str, int]]:
    """How often each type was found in documents with each value of `key`: (value, type, count), at most `limit`."""
    row = rows(visible(engine, chosen), "type", "document_id")
    value = DocumentMetadataRow.value
    query = (
        select(value, row.type, func.count())
        .join(DocumentMetadataRow, DocumentMetadataRow.document_id == row.document_id)
        .where(DocumentMetadataRow.key == key)
        .group_by(value, row.type)
        .order_by(value, row.type)
        .limit(limit)
    )
    return [(one[0], one[1], one[2]) for one in fetch(engine, query)]


def visible(engine: Engine, chosen: Filter) -> Filter:
    """The filter without runs that may not be seen."""
    return replace(chosen, runs=visible_runs(engine, chosen.runs))


def rows(chosen: Filter, *columns: str) -> Any:
    """These columns of the findings that the filter means, made before anything is counted.

    Otherwise SQLite walks an index in the order of the groups and reads every row of the run from a place of its own.
    """
    query = select(*(getattr(AnnotationRow, name) for name in columns)).where(*conditions(chosen))
    if chosen.every == 1:
        # In the order in which they were stored, so that the rows are read one after the other.
        query = query.order_by(AnnotationRow.run_id, AnnotationRow.document_id)
    return query.cte("found").prefix_with("MATERIALIZED").c


def conditions(chosen: Filter) -> list[ColumnElement[bool]]:
    """What a query over annotations must ask for."""
    found = [AnnotationRow.run_id.in_(chosen.runs), *of_documents(chosen)]
    if chosen.types:
        # In a sample the documents are the quicker way in: hidden in a function, the type offers no index.
        type = AnnotationRow.type if chosen.every == 1 else func.coalesce(AnnotationRow.type, "")
        found.append(type.in_(chosen.types))
    if chosen.contains:
        found.append(AnnotationRow.text.contains(chosen.contains, autoescape=True))
    return [*found, *of_scores(chosen)]


def of_scores(chosen: Filter) -> list[ColumnElement[bool]]:
    """The part of the conditions that bounds the score; nothing where every score is welcome."""
    found: list[ColumnElement[bool]] = []
    if chosen.lowest > 0:
        found.append(AnnotationRow.score >= chosen.lowest)
    if chosen.highest < 1:
        found.append(AnnotationRow.score <= chosen.highest)
    return found


def of_documents(chosen: Filter) -> list[ColumnElement[bool]]:
    """The part of the conditions that chooses documents."""
    found: list[ColumnElement[bool]] = []
    if chosen.every > 1:
        sample = select(RunDocumentRow.document_id).where(
            RunDocumentRow.run_id.in_(chosen.runs), RunDocumentRow.document_id % chosen.every == 0
        )
        found.append(AnnotationRow.document_id.in_(sample))
    row = DocumentMetadataRow
    for key, value in chosen.metadata:
        found.append(AnnotationRow.document_id.in_(select(row.document_id).where(row.key == key, row.value == value)))
    return found


def fetch(engine: Engine, query: Select[*tuple[Any, ...]]) -> Sequence[Row[*tuple[Any, ...]]]:
    """All rows of a query; what the database refuses becomes a StorageError."""
    with storage_errors(engine), engine.connect() as connection:
        return connection.execute(query).all()

"""Findings and words in their context, a page at a time, and the documents that hold them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Engine, func, select

from core.storage.database import storage_errors
from core.storage.explore_queries import Filter, conditions, fetch, visible
from core.storage.search import Search
from core.storage.search import conditions as search_conditions
from core.storage.tables import AnnotationRow, DocumentRow, RunDocumentRow

WIDTH = 30
MOST_IN_ONE = 50
"""Occurrences of a word that one document shows; how many more there are is told."""
PREVIEW_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Line:
    """One occurrence with `left` and `right` of it, at most `WIDTH` characters each; `type` is empty for a word.

    begins, ends: whether the text begins with `left` and ends with `right`.
    `more` counts occurrences in the same document that are not shown, on its last line.
    """

    run_id: int
    document_id: int
    left: str
    words: str
    right: str
    begins: bool
    ends: bool
    type: str = ""
    score: float | None = None
    more: int = 0


@dataclass(frozen=True, slots=True)
class Match:
    """A document in which a run made findings that a filter means: how many, and the best score of them."""

    run_id: int
    document_id: int
    external_id: str
    preview: str
    findings: int
    score: float


def count_findings(engine: Engine, chosen: Filter) -> int:
    """How many findings with a place in the text `find_lines` would give without a limit."""
    chosen = visible(engine, chosen)
    query = select(func.count()).where(*conditions(chosen), AnnotationRow.start.is_not(None))
    return int(fetch(engine, query)[0][0])


def find_lines(engine: Engine, chosen: Filter, *, limit: int = 25, offset: int = 0) -> list[Line]:
    """The findings of the filter in their context, in the order of runs, documents and places."""
    chosen, row = visible(engine, chosen), AnnotationRow
    query = (
        select(row.run_id, row.document_id, row.start, row.end, row.type, row.score)
        .where(*conditions(chosen), row.start.is_not(None))
        .order_by(row.run_id, row.document_id, row.position)
        .limit(limit)
        .offset(offset)
    )
    found = fetch(engine, query)
    # Cut here and not by the database: only Python counts every character as the offsets do.
    texts = _texts(engine, {one.document_id for one in found})
    return [
        Line(
            one.run_id, one.document_id, *_cut(texts[one.document_id], one.start, one.end), type=one.type,
            score=one.score,
        )
        for one in found
        if one.document_id in texts
    ]  # fmt: skip


def count_word(engine: Engine, chosen: Filter, word: str) -> int:
    """How many documents of the filter's runs hold `word`."""
    chosen = visible(engine, chosen)
    with storage_errors(engine), engine.connect() as connection:
        query = select(func.count(func.distinct(DocumentRow.id))).select_from(DocumentRow)
        return int(connection.scalar(query.where(*_holding(connection, chosen, word))) or 0)


def word_lines(engine: Engine, chosen: Filter, word: str, *, limit: int = 10, offset: int = 0) -> list[Line]:
    """`word` in its context in `limit` documents of the filter's runs; Latin letters match in both cases.

    Of the filter, runs, metadata and sample count. A document shows at most `MOST_IN_ONE` occurrences.
    """
    chosen = visible(engine, chosen)
    with storage_errors(engine), engine.connect() as connection:
        query = select(DocumentRow.id, DocumentRow.text).where(*_holding(connection, chosen, word))
        rows = connection.execute(query.order_by(DocumentRow.id).limit(limit).offset(offset)).all()
        ids = [row.id for row in rows]
        newest = func.max(RunDocumentRow.run_id)
        mine = select(RunDocumentRow.document_id, newest).where(
            RunDocumentRow.run_id.in_(chosen.runs), RunDocumentRow.document_id.in_(ids)
        )
        runs = {row[0]: row[1] for row in connection.execute(mine.group_by(RunDocumentRow.document_id))}
    lines = []
    for number, text in rows:
        places = [one.span() for one in re.finditer(re.escape(word), text, re.IGNORECASE | re.ASCII)]
        shown = places[:MOST_IN_ONE]
        for place in shown:
            more = len(places) - len(shown) if place == shown[-1] else 0
            lines.append(Line(runs[number], number, *_cut(text, *place), more=more))
    return lines


def count_matches(engine: Engine, chosen: Filter) -> int:
    """How many pairs of a run and a document `find_matches` would give without a limit."""
    chosen = visible(engine, chosen)
    pairs = select(AnnotationRow.run_id, AnnotationRow.document_id).where(*conditions(chosen)).distinct().subquery()
    return int(fetch(engine, select(func.count()).select_from(pairs))[0][0])


def find_matches(engine: Engine, chosen: Filter, *, limit: int = 25, offset: int = 0) -> list[Match]:
    """The documents of each run with findings that the filter means."""
    chosen, row = visible(engine, chosen), AnnotationRow
    pairs = (
        select(row.run_id, row.document_id, func.count().label("findings"), func.max(row.score).label("score"))
        .where(*conditions(chosen))
        .group_by(row.run_id, row.document_id)
        .order_by(row.run_id, row.document_id)
        .limit(limit)
        .offset(offset)
        .subquery()
    )
    preview = func.substr(DocumentRow.text, 1, PREVIEW_CHARACTERS)
    query = (
        select(pairs.c.run_id, DocumentRow.id, DocumentRow.external_id, preview, pairs.c.findings, pairs.c.score)
        .join(pairs, pairs.c.document_id == DocumentRow.id)
        .order_by(pairs.c.run_id, DocumentRow.id)
    )
    return [Match(*one) for one in fetch(engine, query)]


def _holding(connection: Connection, chosen: Filter, word: str) -> list[ColumnElement[bool]]:
    """What a query over documents must ask for, to get those of the filter's runs whose text holds `word`."""
    mine = select(RunDocumentRow.document_id).where(RunDocumentRow.run_id.in_(chosen.runs))
    if chosen.every > 1:
        mine = mine.where(RunDocumentRow.document_id % chosen.every == 0)
    # The index over pieces of text leaves few documents, in whose text alone the word is then looked for.
    search = Search(word, {key: [value] for key, value in chosen.metadata})
    held = DocumentRow.text.icontains(word, autoescape=True)
    return [*search_conditions(connection, search), DocumentRow.id.in_(mine), held]


def _texts(engine: Engine, ids: set[int]) -> dict[int, str]:
    rows = fetch(engine, select(DocumentRow.id, DocumentRow.text).where(DocumentRow.id.in_(ids)))
    return {row.id: row.text for row in rows}


def _cut(text: str, start: int, end: int) -> tuple[str, str, str, bool, bool]:
    """What stands left of a place, in it and right of it; whether nothing stands farther left, or farther right."""
    left, right = max(start - WIDTH, 0), end + WIDTH
    return text[left:start], text[start:end], text[end:right], left == 0, right >= len(text)

"""The results of a run as they stand, for whoever reads results: with the corrections of people in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from sqlalchemy import Engine, Row

from core.review.edits import edited
from core.review.nodes import REVIEWED, UNREVIEWED, load_nodes, to_annotations
from core.storage.queries import iter_numbered
from core.storage.review_queries import BATCH, review_rows
from core.types import AnnotatedDocument

STATE_WORDS = {
    "unreviewed": "未复核",
    "started": "复核中",
    "approved": "已通过",
    "corrected": "已修正",
    "rejected": "整篇驳回",
    "skipped": "已跳过",
}


def current_results(engine: Engine, run_id: int) -> Iterator[AnnotatedDocument]:
    """Every document of a run as it stands: with the corrections where there are some, else as the machine left it.

    A document that somebody has worked on carries a note that says its state, who and when.
    """
    yield from (result for result, _ in _with_states(engine, run_id))


def reviewed_results(engine: Engine, run_id: int) -> Iterator[AnnotatedDocument]:
    """Only the documents that a person vouches for, as `reviewed_pairs` counts them, corrected."""
    yield from (result for result, state in _with_states(engine, run_id) if state in REVIEWED)


def _with_states(engine: Engine, run_id: int) -> Iterator[tuple[AnnotatedDocument, str]]:
    results = iter_numbered(engine, run_id, batch=BATCH)
    while some := list(islice(results, BATCH)):
        rows = {row.document_id: row for row in review_rows(engine, run_id, [number for number, _ in some])}
        for number, result in some:
            yield (_as_it_stands(result, rows[number]) if number in rows else (result, UNREVIEWED))


def _as_it_stands(result: AnnotatedDocument, row: Row[Any]) -> tuple[AnnotatedDocument, str]:
    when = row.updated_at.isoformat(timespec="seconds")
    note = f"复核：{STATE_WORDS[row.state]}（{row.author}，{when}）"
    nodes = load_nodes(row.nodes)
    noted = replace(result, notes=(*result.notes, note))
    if not edited(nodes):
        return noted, row.state
    # the flat paths are the machine's own answer and say nothing of the corrections
    return replace(noted, annotations=to_annotations(nodes), paths=()), row.state

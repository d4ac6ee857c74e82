"""A stored run -> a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import Engine

from core.access.principal import VIEWER
from core.errors import FormatError
from core.exporters.files import find_format, write_file
from core.exporters.report import About, Loss
from core.guard import guarded
from core.review.nodes import REVIEWED as FINISHED
from core.storage import queries, review_queries, review_results
from core.types import AnnotatedDocument

CURRENT, REVIEWED, MACHINE = "current", "reviewed", "machine"
VERSIONS: dict[str, Callable[[Engine, int], Iterator[AnnotatedDocument]]] = {
    CURRENT: review_results.current_results,
    REVIEWED: review_results.reviewed_results,
    MACHINE: queries.iter_results,
}


def about_run(database: Engine, run_id: int) -> About:
    """What an exported file says of a stored run. Raises StorageError when there is none of that number."""
    run = queries.get_run(database, run_id)
    return About(
        run=str(run.id),
        schema=dict(run.schema) if run.schema else None,
        model=run.model,
        revision=run.revision,
        threshold=run.threshold,
        finished=run.finished_at.isoformat(timespec="seconds") if run.finished_at else "",
    )


@guarded(VIEWER, "run.export", about="run {run_id} {format} {which}", run="run_id")
def export_run(
    database: Engine,
    run_id: int,
    format: str,
    *,
    path: Path,
    which: str = CURRENT,
    on_document: Callable[[int], None] = lambda number: None,
) -> tuple[Loss, ...]:
    """Write a stored run to a file; returns what the format could not hold.

    `on_document` hears the number of each document, from 1, before it is written; what it raises stops the export.

    which: "current" (every document, corrected where somebody corrected it), "reviewed" (only documents that a
    person has finished; what to fine-tune on) or "machine" (as the model left them). Raises StorageError for an
    unknown run; FormatError for an unknown format or `which`, when there is nothing to write and when the file
    cannot be written.
    """
    find_format(format)
    if which not in VERSIONS:
        raise FormatError(f"没有“{which}”这种结果：可选 {'、'.join(VERSIONS)}。")
    about = about_run(database, run_id)
    states = review_queries.count_states(database, run_id)
    written = sum(count for state, count in states.items() if which != REVIEWED or state in FINISHED)
    if not states:
        raise FormatError(f"运行 {run_id} 没有已完成的文档，没有可导出的内容。请等它完成或选择另一次运行。")
    if not written:
        raise FormatError(f"运行 {run_id} 还没有复核完的文档。请先在“复核修正”页完成几篇，或导出全部文档。")
    losses = write_file(_told(VERSIONS[which](database, run_id), on_document), format, path=path, about=about)
    left = sum(states.values()) - written
    return (*losses, Loss("没有复核完、整篇驳回或跳过的文档没有写入", left, ())) if left else losses


def _told(results: Iterator[AnnotatedDocument], on_document: Callable[[int], None]) -> Iterator[AnnotatedDocument]:
    for number, result in enumerate(results, 1):
        on_document(number)
        yield result

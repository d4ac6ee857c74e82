"""A stored run -> a file."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine

from core.errors import FormatError
from core.exporters.files import find_format, write_file
from core.exporters.report import About, Loss
from core.storage import queries


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


def export_run(database: Engine, run_id: int, format: str, *, path: Path) -> tuple[Loss, ...]:
    """Write what a stored run found to a file; returns what the format could not hold.

    Raises StorageError for an unknown run; FormatError for an unknown format, for a run without finished documents
    and when the file cannot be written.
    """
    find_format(format)
    about = about_run(database, run_id)
    if not queries.get_run(database, run_id).done:
        raise FormatError(f"运行 {run_id} 没有已完成的文档，没有可导出的内容。请等它完成或选择另一次运行。")
    return write_file(queries.iter_results(database, run_id), format, path=path, about=about)

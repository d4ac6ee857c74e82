"""Annotated files -> stored documents and runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from core.errors import RexError
from core.readers import ImportReport, read_annotated
from core.storage.store import Store
from core.types import AnnotatedDocument

BATCH = 500


def import_annotated(
    store: Store,
    path: Path,
    format: str,
    *,
    name: str | None = None,
    encoding: str | None = None,
    offsets: str = "auto",
) -> tuple[ImportReport, list[int]]:
    """Store an annotated file, shown as `name`: its documents, and one finished run for each task found in it.

    Returns the report and the numbers of the runs. Raises FormatError or StorageError.
    """
    documents, report = read_annotated(path, format, encoding=encoding, offsets=offsets)
    tasks = dict.fromkeys(one.task for one in documents)
    groups = [[one for one in documents if one.task == task] for task in tasks]
    return report, [keep_annotated(store, group, format=format, name=name or path.name) for group in groups]


def keep_annotated(store: Store, documents: Sequence[AnnotatedDocument], *, format: str, name: str) -> int:
    """Store annotated documents of one task as a finished run; its model is the file `name`. Returns its number."""
    run = store.start_run(
        task=documents[0].task,
        schema_id=None,
        schema={},
        model=f"{format}:{name}"[:512],
        revision="",
        dtype="",
        device="",
        threshold=0.0,
        total=len(documents),
    )
    try:
        for start in range(0, len(documents), BATCH):
            batch = documents[start : start + BATCH]
            # equal documents of one file are two documents: each needs an object of its own
            rows = store.add_documents([replace(one.document, name=one.document.name or name) for one in batch])
            for position, (row, one) in enumerate(zip(rows, batch, strict=True), start=start):
                store.save_result(run, row, result=one, duration_s=0.0, position=position)
    except RexError as error:
        store.finish_run(run, "failed", error=str(error))
        raise
    store.finish_run(run, "done")
    return run

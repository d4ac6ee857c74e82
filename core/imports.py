"""Annotated files -> stored documents and runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.errors import RexError
from core.readers import ImportReport, read_annotated
from core.storage.rows import Finished
from core.storage.store import Store
from core.tasks import TASKS, schema_for
from core.types import AnnotatedDocument, Annotation

BATCH = 1000


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


def schema_of(documents: Sequence[AnnotatedDocument]) -> dict[str, Any]:
    """The schema that the types of the findings form: what one would have had to ask to get them. All of one task."""
    task = TASKS.get(documents[0].task)
    if task is not None and task.schema_kind == "none":
        return schema_for(task, None).to_dict()
    schema: dict[str, Any] = {}
    for one in documents:
        # the aspects are given or found; the question is about their polarity
        aspects = one.task == "atsc"
        _grow(schema, [below for top in one.annotations for below in top.children] if aspects else one.annotations)
    return schema


def _grow(schema: dict[str, Any], annotations: Iterable[Annotation]) -> None:
    for one in annotations:
        below = schema.setdefault(one.type, None)
        if one.children:
            if below is None:
                below = schema[one.type] = {}
            _grow(below, one.children)


def keep_annotated(store: Store, documents: Sequence[AnnotatedDocument], *, format: str, name: str) -> int:
    """Store annotated documents of one task as a finished run; its model is the file `name`. Returns its number."""
    run = store.start_run(
        task=documents[0].task,
        schema_id=None,
        schema=schema_of(documents),
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
            store.save_results(
                run,
                [
                    Finished(row, one, position=position)
                    for position, (row, one) in enumerate(zip(rows, batch, strict=True), start=start)
                ],
            )
    except RexError as error:
        store.finish_run(run, "failed", error=str(error))
        raise
    store.finish_run(run, "done")
    return run

"""The library of schemas: changes of types, what they touch, and corrections that follow them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import replace

from sqlalchemy import Engine

from core.access.principal import ANALYST
from core.errors import ConflictError
from core.guard import guarded
from core.review.edits import edited
from core.review.nodes import APPROVED, CORRECTED, from_annotations, to_annotations
from core.review.retyping import ROOTS, retyped
from core.reviews import Progress, signed, undo_everywhere
from core.schemas.changes import Change, Path, changed
from core.storage import schema_store
from core.storage.queries import get_run
from core.storage.review_queries import Review, ReviewPair, get_review
from core.storage.review_store import Step, save_step
from core.storage.schema_store import Recorded, Touched, Version
from core.storage.store import Store


def preview(database: Engine, version: Version, change: Change) -> list[Touched]:
    """What the runs that used any version of the schema found as each of the types. Raises SchemaError as `changed`."""
    changed(version.schema, change)
    runs = schema_store.runs_of(database, version.name)
    return [schema_store.touched(database, runs, (*ROOTS.get(version.task, ()), *path)) for path in change.paths]


def words_of(database: Engine, version: Version, path: Path, *, limit: int = 200) -> list[tuple[str, int]]:
    """The most frequent words that the machine found at a path, with their number; classes have none."""
    runs = schema_store.runs_of(database, version.name)
    found = schema_store.touched(database, runs, (*ROOTS.get(version.task, ()), *path), examples=limit)
    return [one for one in found.examples if one[0]]


@guarded(ANALYST, "schema.change", about="schema {version.name}")
def apply(database: Engine, version: Version, change: Change, *, author: str) -> int:
    """Make a new version of the schema; stored findings stay as they are. Returns the number of the change.

    Raises SchemaError when the change cannot be made, ConflictError when `version` is not the newest any more.
    """
    after = changed(version.schema, change)
    return schema_store.record_change(
        database, version.name, change, after=after, seen=version.number, author=signed(database, author)
    )


@guarded(ANALYST, "schema.rewrite", about="schema {name} change {recorded.id}")
def rewrite(
    database: Engine, name: str, recorded: Recorded, *, task: str, author: str, corrected_only: bool = False
) -> Iterator[Progress]:
    """Carry a change into the corrections of every run that used the schema; the machine's findings stay.

    corrected_only: only documents that somebody has worked on; otherwise also those in which the machine found the
    types, which get a correction by that. One step a document in its history; stop whenever you like.
    """
    paths = [(*ROOTS.get(task, ()), *path) for path in recorded.change.paths]
    runs = schema_store.runs_of(database, name)
    places = [
        (run, document)
        for run in runs
        for document in schema_store.documents_at(database, run, paths, corrected_only=corrected_only)
    ]
    going_on = bool(recorded.batch) and recorded.undone_at is None
    batch = recorded.batch if going_on else uuid.uuid4().hex
    before = recorded.documents if going_on else 0
    conflicts = written = 0
    try:
        for done, (run, document) in enumerate(places, 1):
            try:
                written += _carry(database, get_review(database, run, document), recorded.change, batch, author)
            except ConflictError:
                conflicts += 1
            yield Progress(done, len(places), written, conflicts, batch)
    finally:
        # What was done counts also when somebody stops half-way: it can be undone.
        schema_store.record_rewriting(database, recorded.id, batch=batch, runs=runs, documents=before + written)


@guarded(ANALYST, "schema.undo", about="change {recorded.id}")
def undo(database: Engine, recorded: Recorded, *, author: str) -> Iterator[Progress]:
    """Take back what `rewrite` did, wherever it was the last thing done to a document; elsewhere it is a conflict."""
    for run in recorded.runs:
        yield from undo_everywhere(database, run, recorded.batch, author=author)
    schema_store.record_undoing(database, recorded.id)


@guarded(ANALYST, "schema.restore", about="schema {version.name} {version.number}")
def restore(database: Engine, version: Version, *, note: str) -> int:
    """Make an old version the newest one again, as a version of its own; returns its row id."""
    return Store(database).save_schema(version.name, version.task, body=version.schema.to_dict(), note=note)


def followed(database: Engine, run_id: int, pairs: Iterable[ReviewPair]) -> Iterator[ReviewPair]:
    """Reviewed documents of a run with the machine's types called as they are now.

    A change of names that the corrections followed is no mistake of the machine's, and must not count as one.
    """
    run = get_run(database, run_id)
    recorded = schema_store.changes(database, run.schema_name) if run.schema_name else []
    changes = [one.change for one in reversed(recorded) if run_id in one.runs and one.undone_at is None]
    for pair in pairs:
        nodes = from_annotations(pair.machine)
        for change in changes:
            nodes = retyped(nodes, change, task=run.task)
        yield replace(pair, machine=to_annotations(nodes)) if changes else pair


def _carry(database: Engine, review: Review, change: Change, batch: str, author: str) -> bool:
    """Write one step when the change does something to the document; whether it did."""
    after = retyped(review.nodes, change, task=review.task)
    if after == review.nodes:
        return False
    state = CORRECTED if review.state == APPROVED and edited(after) else review.state
    step = Step(review.run_id, review.document_id, review.version, "schema", signed(database, author), batch)
    save_step(database, step, before=review.nodes, after=after, states=(review.state, state))
    return True

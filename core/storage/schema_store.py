"""Named schemas with their versions, the runs that used them, and recorded changes of their types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Select, func, select, update
from sqlalchemy.orm import Session, aliased

from core.errors import ConflictError, StorageError
from core.schemas.changes import Change, Path, dump_change, load_change
from core.schemas.schema import Schema, parse_schema
from core.storage.database import storage_errors, writing
from core.storage.review_tables import ReviewRow
from core.storage.schema_tables import SchemaChangeRow
from core.storage.tables import AnnotationRow, RunRow, SchemaRow, utc_now
from core.storage.visibility import mine, visible_runs

EXAMPLES = 8


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a schema; `runs` used it."""

    id: int
    name: str
    task: str
    number: int
    schema: Schema
    note: str
    created_at: datetime
    runs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A change that made version `number`; `documents` of `runs` have corrections that follow it, unless undone."""

    id: int
    number: int
    change: Change
    author: str
    created_at: datetime
    batch: str
    runs: tuple[int, ...]
    documents: int
    undone_at: datetime | None


@dataclass(frozen=True, slots=True)
class Touched:
    """What the machine found as one type: in how many documents of which runs, with frequent words as examples."""

    path: Path
    findings: int
    documents: int
    runs: tuple[int, ...]
    examples: tuple[tuple[str, int], ...]


def versions(engine: Engine, name: str) -> list[Version]:
    """Every version of a schema, newest first. Raises StorageError when there is none of that name."""
    with storage_errors(engine), engine.connect() as connection:
        asked = (SchemaRow.name == name, *mine(engine, SchemaRow))
        query = select(SchemaRow.__table__).where(*asked).order_by(SchemaRow.version.desc())
        rows = connection.execute(query).all()
        used = select(RunRow.schema_id, RunRow.id).where(
            RunRow.schema_id.in_([row.id for row in rows]), *mine(engine, RunRow)
        )
        runs: dict[int | None, list[int]] = {}
        for schema_id, run_id in connection.execute(used.order_by(RunRow.id.desc())):
            runs.setdefault(schema_id, []).append(run_id)
    if not rows:
        raise StorageError(f"没有名为“{name}”的模式，它可能已被改名或删除。请刷新列表。")
    return [
        Version(
            row.id, row.name, row.task, row.version, parse_schema(row.body), row.note, row.created_at,
            tuple(runs.get(row.id, ())),
        )
        for row in rows
    ]  # fmt: skip


def runs_of(engine: Engine, name: str) -> list[int]:
    """The runs that used any version of a schema, newest first."""
    query = select(RunRow.id).join(SchemaRow, SchemaRow.id == RunRow.schema_id)
    query = query.where(SchemaRow.name == name, *mine(engine, RunRow), *mine(engine, SchemaRow))
    with storage_errors(engine), engine.connect() as connection:
        return list(connection.scalars(query.order_by(RunRow.id.desc())))


def touched(engine: Engine, runs: Sequence[int], path: Path, *, examples: int = EXAMPLES) -> Touched:
    """What the runs found at a path of types from the top of the trees."""
    runs = visible_runs(engine, runs)
    with storage_errors(engine), engine.connect() as connection:
        row = AnnotationRow
        count, documents = func.count(), func.count(func.distinct(row.document_id))
        findings, held = connection.execute(_at(path, count, documents).where(row.run_id.in_(runs))).one()
        used = _at(path, row.run_id).where(row.run_id.in_(runs)).distinct()
        words = _at(path, row.text, count).where(row.run_id.in_(runs)).group_by(row.text)
        words = words.order_by(count.desc(), row.text).limit(examples)
        return Touched(
            path,
            findings,
            held,
            tuple(sorted(connection.scalars(used), reverse=True)),
            tuple((text, number) for text, number in connection.execute(words)),
        )


def documents_at(engine: Engine, run_id: int, paths: Sequence[Path], *, corrected_only: bool) -> list[int]:
    """The documents of a run with a finding at one of the paths, and all that somebody has worked on."""
    if not visible_runs(engine, [run_id]):
        return []
    with storage_errors(engine), engine.connect() as connection:
        found = set(connection.scalars(select(ReviewRow.document_id).where(ReviewRow.run_id == run_id)))
        if not corrected_only:
            for path in paths:
                query = _at(path, AnnotationRow.document_id).where(AnnotationRow.run_id == run_id).distinct()
                found |= set(connection.scalars(query))
    return sorted(found)


def record_change(engine: Engine, name: str, change: Change, *, after: Schema, seen: int, author: str) -> int:
    """Keep the schema after a change as a new version, and the change; returns the number of the change.

    `seen` is the version that the change was made to: raises ConflictError when there is a newer one.
    """
    with storage_errors(engine), Session(writing(engine)) as session, session.begin():
        last = session.scalars(
            select(SchemaRow)
            .where(SchemaRow.name == name, *mine(engine, SchemaRow))
            .order_by(SchemaRow.version.desc())
            .limit(1)
        ).first()
        if last is None:
            raise StorageError(f"没有名为“{name}”的模式，它可能已被改名或删除。请刷新列表。")
        if last.version != seen:
            raise ConflictError(
                f"模式“{name}”刚被改过（现为第 {last.version} 版，您看到的是第 {seen} 版）；"
                "这次没有保存。请刷新后重试。"
            )
        owner = {"user_id": last.user_id, "project_id": last.project_id}
        version = SchemaRow(
            name=name, task=last.task, version=seen + 1, body=after.to_dict(), note=str(change), **owner
        )
        session.add(version)
        session.flush()
        row = SchemaChangeRow(schema_id=version.id, change=dump_change(change), author=author)
        session.add(row)
        session.flush()
        return row.id


def changes(engine: Engine, name: str) -> list[Recorded]:
    """The recorded changes of a schema, newest first."""
    row = SchemaChangeRow
    query = (
        select(row.__table__, SchemaRow.version)
        .join(SchemaRow, SchemaRow.id == row.schema_id)
        .where(SchemaRow.name == name, *mine(engine, SchemaRow))
        .order_by(row.id.desc())
    )
    with storage_errors(engine), engine.connect() as connection:
        return [
            Recorded(
                one.id, one.version, load_change(one.change), one.author, one.created_at, one.batch, tuple(one.runs),
                one.documents, one.undone_at,
            )
            for one in connection.execute(query)
        ]  # fmt: skip


def record_rewriting(engine: Engine, change_id: int, *, batch: str, runs: Sequence[int], documents: int) -> None:
    """Keep which corrections followed a change."""
    values: dict[str, Any] = {"batch": batch, "runs": list(runs), "documents": documents, "undone_at": None}
    _update(engine, change_id, values)


def record_undoing(engine: Engine, change_id: int) -> None:
    """Keep that the corrections no longer follow a change."""
    _update(engine, change_id, {"undone_at": utc_now()})


def _update(engine: Engine, change_id: int, values: dict[str, Any]) -> None:
    with storage_errors(engine), Session(writing(engine)) as session, session.begin():
        session.execute(update(SchemaChangeRow).where(SchemaChangeRow.id == change_id).values(**values))


def _at(path: Path, *columns: Any) -> Select[Any]:
    """A query for columns of AnnotationRow at a path: each parent has the type before, the first one has no parent."""
    query = select(*columns).select_from(AnnotationRow).where(AnnotationRow.type == path[-1])
    below: Any = AnnotationRow
    for name in reversed(path[:-1]):
        above = aliased(AnnotationRow)
        query = query.join(above, below.parent_id == above.id).where(above.type == name)
        below = above
    return query.where(below.parent_id.is_(None))

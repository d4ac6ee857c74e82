"""Which documents, runs, schemas and fine-tunings who acts may see: conditions of queries, and checks of numbers given.

Nothing is asked where everybody sees everything, so that a desk of one user runs the queries it always ran.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, func, select
from sqlalchemy.orm import Session

from core.access.principal import EVERYBODY, USER, principal_of
from core.errors import InputError, StorageError
from core.storage.tables import DocumentRow, RunDocumentRow, RunRow, SchemaRow
from core.storage.tuning_tables import TuningRow

# Numbers looked up in one statement.
LOOKUP = 5_000


def mine(bind: Engine | Connection, row: Any) -> list[ColumnElement[bool]]:
    """What a query over DocumentRow, RunRow, SchemaRow or TuningRow (or an alias of it) must ask for."""
    who = principal_of(bind)
    if who.sees_all:
        return []
    return [row.user_id == who.user_id if who.sharing == USER else row.project_id.in_(who.projects)]


def owner_values(bind: Engine | Connection) -> dict[str, int]:
    """The owner of a new document, run, schema or fine-tuning, as values of its row."""
    who = principal_of(bind)
    return {"user_id": who.user_id, "project_id": who.project_id}


def same_shelf(bind: Engine | Connection) -> list[ColumnElement[bool]]:
    """Where a document is looked for that may be stored already: among those that go to the same place."""
    who = principal_of(bind)
    if who.sharing == EVERYBODY:
        return []
    return [DocumentRow.user_id == who.user_id] if who.sharing == USER else [DocumentRow.project_id == who.project_id]


def owns(session: Session, row: DocumentRow | RunRow | SchemaRow) -> bool:
    """Whether a row may be seen by who acts."""
    who = principal_of(session.connection())
    return who.sees_all or (row.user_id == who.user_id if who.sharing == USER else row.project_id in who.projects)


def visible_runs(engine: Engine, run_ids: Collection[int]) -> tuple[int, ...]:
    """Those of the runs that may be seen, in the order given."""
    if principal_of(engine).sees_all or not run_ids:
        return tuple(run_ids)
    with engine.connect() as connection:
        found = set(connection.scalars(select(RunRow.id).where(RunRow.id.in_(run_ids), *mine(connection, RunRow))))
    return tuple(one for one in run_ids if one in found)


def check_run(engine: Engine, run_id: int) -> None:
    """Raise StorageError, as for a run that is not there, when it may not be seen."""
    if not visible_runs(engine, (run_id,)):
        raise StorageError(f"没有编号为 {run_id} 的运行记录，它可能已被删除。请刷新列表。")


def check_tuning(engine: Engine, tuning_id: int) -> None:
    """Raise StorageError, as for a fine-tuning that is not there, when it may not be seen."""
    if principal_of(engine).sees_all:
        return
    query = select(TuningRow.id).where(TuningRow.id == tuning_id, *mine(engine, TuningRow))
    with engine.connect() as connection:
        if connection.scalar(query) is None:
            raise StorageError(f"没有编号为 {tuning_id} 的微调，它可能已被删除。请刷新列表。")


def check_documents(engine: Engine, document_ids: Sequence[int]) -> None:
    """Raise StorageError when one of the documents may not be seen or is gone.

    Where projects part what is seen, raises InputError when they belong to another project than the one worked in.
    """
    who = principal_of(engine)
    if who.sees_all:
        return
    waiting = iter(document_ids)
    while some := list(islice(waiting, LOOKUP)):
        query = select(DocumentRow.id, DocumentRow.project_id).where(
            DocumentRow.id.in_(some), *mine(engine, DocumentRow)
        )
        with engine.connect() as connection:
            projects = {row.id: row.project_id for row in connection.execute(query)}
        for one in some:
            if one not in projects:
                raise StorageError(f"没有编号为 {one} 的文档，它可能已被删除。请刷新列表。")
            if who.sharing != USER and projects[one] != who.project_id:
                raise InputError(f"文档 {one} 属于另一个项目。请先在左侧切换到那个项目，再开始作业。")


def documents_of_runs(engine: Engine) -> list[ColumnElement[bool]]:
    """What a query over RunDocumentRow must ask for, to be of runs that may be seen."""
    asked = mine(engine, RunRow)
    return [RunDocumentRow.run_id.in_(select(RunRow.id).where(*asked))] if asked else []


def documents_read(engine: Engine, user_id: int, since: Any) -> int:
    """How many documents the runs have that a user started since then."""
    query = select(func.coalesce(func.sum(RunRow.total), 0)).where(
        RunRow.user_id == user_id, RunRow.started_at >= since
    )
    with engine.connect() as connection:
        return int(connection.scalar(query) or 0)

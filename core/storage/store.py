"""Writes to the database. Each method is one transaction: it happens wholly or not at all."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

from sqlalchemy import Engine, delete, select, update
from sqlalchemy.orm import Session

from core.errors import StorageError
from core.storage.codec import document_sha256
from core.storage.database import storage_errors, writing
from core.storage.rows import Finished, findings, insert_documents, insert_results
from core.storage.tables import DocumentRow, JobDocumentRow, RunDocumentRow, RunRow, SchemaRow, utc_now
from core.storage.visibility import mine, owner_values, owns, same_shelf
from core.types import AnnotatedDocument, Document

# Hashes looked up in one statement; SQLite allows 32,766 bound values.
LOOKUP = 500


class Store:
    """The only holder of database sessions; safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @contextmanager
    def _transaction(self) -> Iterator[Session]:
        with storage_errors(self.engine), Session(writing(self.engine)) as session, session.begin():
            yield session

    def add_documents(self, documents: Sequence[Document]) -> list[int]:
        """Keep `documents`; returns one row id for each, in order.

        A document that is stored already, equal in every field, keeps its row. Equal documents within one
        call get rows of their own, so that no line of an uploaded table disappears; one and the same object
        given several times (one text for several tasks) is one document. Where users or projects see only their own,
        only those are looked through.
        """
        distinct = {id(document): document for document in documents}
        hashes = {key: document_sha256(document) for key, document in distinct.items()}
        with self._transaction() as session:
            stored = _rows_by_hash(session, list(hashes.values()))
            ids: dict[int, int] = {}
            new: list[int] = []
            for key in distinct:
                known = stored[hashes[key]]
                if known:
                    ids[key] = known.pop(0)
                else:
                    new.append(key)
            added = insert_documents(session, [(distinct[key], hashes[key]) for key in new])
            ids.update(zip(new, added, strict=True))
            return [ids[id(document)] for document in documents]

    def save_schema(self, name: str, task: str, *, body: Mapping[str, Any], note: str = "") -> int:
        """Keep a schema under a name; returns its row id. A new version is made only when it differs from the last.

        `note` says what changed; it belongs to a new version only.
        """
        if not name.strip():
            raise StorageError("模式名称为空，请填写名称后再保存。")
        with self._transaction() as session:
            last = session.scalars(
                select(SchemaRow).where(SchemaRow.name == name).order_by(SchemaRow.version.desc()).limit(1)
            ).first()
            if last is not None and not owns(session, last):
                raise StorageError(f"模式名称“{name}”已被其他用户或项目使用，请换一个名称。")
            # As text: the analyst's order of types counts as part of the schema.
            if last is not None and last.task == task and json.dumps(last.body) == json.dumps(body):
                return last.id
            version = 1 if last is None else last.version + 1
            row = SchemaRow(
                name=name, task=task, version=version, body=dict(body), note=note, **owner_values(session.connection())
            )
            session.add(row)
            session.flush()
            return row.id

    def start_run(
        self,
        *,
        task: str,
        schema_id: int | None,
        schema: Mapping[str, Any],
        model: str,
        revision: str,
        dtype: str,
        device: str,
        threshold: float,
        total: int,
    ) -> int:
        """Open a run over `total` documents; returns its row id."""
        row = RunRow(
            task=task,
            schema_id=schema_id,
            schema=dict(schema),
            model=model,
            revision=revision,
            dtype=dtype,
            device=device,
            threshold=threshold,
            total=total,
            **owner_values(self.engine),
        )
        with self._transaction() as session:
            session.add(row)
            session.flush()
            return row.id

    def save_result(
        self, run_id: int, document_id: int, *, result: AnnotatedDocument, duration_s: float, position: int = 0
    ) -> None:
        """Keep what a run found in a document, replacing what it found before.

        `position` is the document's place in the run's input; `queries.load_results` keeps that order.
        Raises StorageError when the run or the document does not exist.
        """
        self.save_results(run_id, [Finished(document_id, result, duration_s, position)])

    def save_results(self, run_id: int, finished: Sequence[Finished]) -> None:
        """Keep what a run found in several documents, in one transaction; as `save_result` otherwise."""
        with self._transaction() as session:
            insert_results(session, run_id, finished)

    def finish_run(self, run_id: int, state: str, *, error: str | None = None) -> None:
        """Close a run as done, failed or cancelled. Raises StorageError for another state or an unknown run."""
        with self._transaction() as session:
            run = session.get(RunRow, run_id)
            if run is None:
                raise StorageError(f"没有编号为 {run_id} 的运行记录，它可能已被删除。请刷新列表。")
            run.state, run.error, run.finished_at = state, error, utc_now()

    def close_abandoned_imports(self) -> int:
        """Close the runs that a killed import left open; what they hold stays. Returns their number.

        Jobs are not among them: they go on.
        """
        note = "程序在导入途中退出：已导入的文档保留，其余请重新导入。"
        with self._transaction() as session:
            imports = (RunRow.state == "running") & (RunRow.source == "")
            left = session.scalars(select(RunRow).where(imports)).all()
            for run in left:
                run.state, run.error, run.finished_at = "failed", note, utc_now()
            return len(left)

    def delete_run(self, run_id: int) -> None:
        """Remove a run with its annotations; its documents stay."""
        with self._transaction() as session:
            session.execute(delete(RunRow).where(RunRow.id == run_id, *mine(self.engine, RunRow)))

    def delete_document(self, document_id: int) -> None:
        """Remove a document and what every run found in it; the runs' totals shrink accordingly."""
        with self._transaction() as session:
            allowed = (DocumentRow.id == document_id, *mine(self.engine, DocumentRow))
            if session.scalar(select(DocumentRow.id).where(*allowed)) is None:
                return
            found = session.execute(
                select(
                    RunDocumentRow.run_id, RunDocumentRow.windows, findings(document_id), RunDocumentRow.error
                ).where(RunDocumentRow.document_id == document_id)
            ).all()
            waiting = select(JobDocumentRow.run_id).where(JobDocumentRow.document_id == document_id)
            session.execute(update(RunRow).where(RunRow.id.in_(waiting)).values(total=RunRow.total - 1))
            session.execute(delete(DocumentRow).where(DocumentRow.id == document_id))
            for run_id, windows, count, error in found:
                session.execute(
                    update(RunRow)
                    .where(RunRow.id == run_id)
                    .values(
                        total=RunRow.total - 1,
                        done=RunRow.done - 1,
                        windows=RunRow.windows - windows,
                        annotations=RunRow.annotations - count,
                        failed=RunRow.failed - int(bool(error)),
                    )
                )


def _rows_by_hash(session: Session, hashes: Sequence[str]) -> defaultdict[str, list[int]]:
    """The ids stored under each hash, oldest first."""
    rows: defaultdict[str, list[int]] = defaultdict(list)
    waiting = iter(dict.fromkeys(hashes))
    while some := list(islice(waiting, LOOKUP)):
        known = (DocumentRow.sha256.in_(some), *same_shelf(session.connection()))
        query = select(DocumentRow.sha256, DocumentRow.id).where(*known).order_by(DocumentRow.id)
        for sha256, row_id in session.execute(query):
            rows[sha256].append(row_id)
    return rows

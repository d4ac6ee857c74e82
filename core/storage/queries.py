"""Reads from the database: plain functions on the engine that return frozen records and `core.types`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, func, select, tuple_

from core.errors import StorageError
from core.storage.codec import StoredAnnotation, build_document, load_candidates, load_paths, unflatten
from core.storage.database import storage_errors
from core.storage.search import Search, conditions, count_by_metadata
from core.storage.tables import AnnotationRow, CandidatesRow, DocumentRow, RunDocumentRow, RunRow, SchemaRow
from core.storage.visibility import documents_of_runs, mine, visible_runs
from core.types import AnnotatedDocument, Document

PREVIEW_CHARACTERS = 120
# Documents that may be stepped over before the way from the other end is weighed.
FAR = 5_000


@dataclass(frozen=True, slots=True)
class RunInfo:
    """A run, which is a job, as a list shows it; `annotations` counts its findings, children included.

    `source` is the checkpoint that it asks for (empty: imported), `failed` counts the documents of `done` that could
    not be annotated, `owner` the process that works on it, last heard of at `heartbeat_at`, `worked_s` the seconds
    spent by all processes, and `floor` the score that candidates exceed, None where none are kept.
    """

    id: int
    task: str
    schema_id: int | None
    schema_name: str | None
    schema_version: int | None
    schema: Mapping[str, Any]
    model: str
    revision: str
    dtype: str
    device: str
    threshold: float
    state: str
    total: int
    done: int
    windows: int
    started_at: datetime
    finished_at: datetime | None
    error: str | None
    annotations: int
    source: str
    failed: int
    owner: str
    heartbeat_at: datetime | None
    worked_s: float
    floor: float | None
    user_id: int
    project_id: int

    @property
    def active(self) -> bool:
        """Whether it waits or is being worked on."""
        return self.state in ("queued", "running")

    @property
    def per_s(self) -> float | None:
        """Documents per second of work; None before the first."""
        return self.done / self.worked_s if self.done and self.worked_s > 0 else None

    @property
    def left_s(self) -> float | None:
        """Seconds of work left at that rate; None while it is not known."""
        return (self.total - self.done) / self.per_s if self.per_s else None


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """A stored document as a list shows it; `preview` is its beginning, `runs` how many runs read it."""

    id: int
    external_id: str
    name: str
    preview: str
    characters: int
    metadata: Mapping[str, str]
    created_at: datetime
    runs: int


@dataclass(frozen=True, slots=True)
class SchemaInfo:
    """One version of a saved schema."""

    id: int
    name: str
    task: str
    version: int
    body: Mapping[str, Any]
    created_at: datetime


def list_runs(
    engine: Engine, *, states: Sequence[str] | None = None, limit: int = 50, offset: int = 0
) -> list[RunInfo]:
    """Runs, newest first: all, or those in some states."""
    query = _run_query(engine).order_by(RunRow.started_at.desc(), RunRow.id.desc()).limit(limit).offset(offset)
    if states is not None:
        query = query.where(RunRow.state.in_(states))
    return [RunInfo(**row._mapping) for row in _all(engine, query)]


def count_runs(engine: Engine, *, states: Sequence[str] | None = None) -> int:
    """How many runs are stored: all, or those in some states."""
    query = select(func.count()).select_from(RunRow).where(*mine(engine, RunRow))
    return int(_all(engine, query if states is None else query.where(RunRow.state.in_(states)))[0][0])


def get_run(engine: Engine, run_id: int) -> RunInfo:
    """One run. Raises StorageError when there is none of that number."""
    rows = _all(engine, _run_query(engine).where(RunRow.id == run_id))
    if not rows:
        raise StorageError(f"没有编号为 {run_id} 的运行记录，它可能已被删除。请刷新列表。")
    return RunInfo(**rows[0]._mapping)


def list_documents(
    engine: Engine, search: str | Search = "", *, limit: int = 50, offset: int = 0
) -> list[DocumentInfo]:
    """Documents, newest first, that a search finds: words of text, name or id, and values of metadata."""
    read = (RunDocumentRow.document_id == DocumentRow.id, *documents_of_runs(engine))
    runs = select(func.count()).where(*read).scalar_subquery()
    with storage_errors(engine), engine.connect() as connection:
        # the numbers first: a page far down must not read the texts of all pages before it
        numbers = select(DocumentRow.id).where(*conditions(connection, _search(search)))
        numbers = _stretch(connection, numbers, limit=limit, offset=offset)
        query = (
            select(
                DocumentRow.id,
                DocumentRow.external_id,
                DocumentRow.name,
                func.substr(DocumentRow.text, 1, PREVIEW_CHARACTERS).label("preview"),
                func.length(DocumentRow.text).label("characters"),
                DocumentRow.meta.label("metadata"),
                DocumentRow.created_at,
                runs.label("runs"),
            )
            .where(DocumentRow.id.in_(connection.scalars(numbers).all()))
            .order_by(DocumentRow.id.desc())
        )
        return [DocumentInfo(**row._mapping) for row in connection.execute(query)]


def _stretch(connection: Connection, numbers: Select[int], *, limit: int, offset: int) -> Select[int]:
    """The part of the documents on one page, reached from whichever end is nearer."""
    if offset > FAR:
        total = connection.scalar(select(func.count()).select_from(numbers.order_by(None).subquery())) or 0
        if offset > total // 2:
            rest = max(total - offset, 0)
            return numbers.order_by(DocumentRow.id).limit(min(limit, rest)).offset(max(rest - limit, 0))
    return numbers.order_by(DocumentRow.id.desc()).limit(limit).offset(offset)


def neighbours(engine: Engine, document_id: int, search: str | Search = "") -> tuple[int | None, int | None]:
    """The numbers of the documents before and behind one in the list of `list_documents`; None at its ends."""
    with storage_errors(engine), engine.connect() as connection:
        found = select(DocumentRow.id).where(*conditions(connection, _search(search))).limit(1)
        before = found.where(DocumentRow.id > document_id).order_by(DocumentRow.id)
        behind = found.where(DocumentRow.id < document_id).order_by(DocumentRow.id.desc())
        return connection.scalar(before), connection.scalar(behind)


def count_documents(engine: Engine, search: str | Search = "") -> int:
    """How many documents `list_documents` would find without a limit."""
    asked = _search(search)
    with storage_errors(engine), engine.connect() as connection:
        query = select(func.count()).select_from(DocumentRow).where(*conditions(connection, asked))
        if not asked.words.split() and len(asked.metadata) == 1 and not asked.pairs:
            query = count_by_metadata(connection, asked)
        return int(connection.scalar(query) or 0)


def runs_of_document(engine: Engine, document_id: int, *, limit: int = 50) -> list[RunInfo]:
    """The runs that read a document, newest first."""
    of_document = select(RunDocumentRow.run_id).where(RunDocumentRow.document_id == document_id)
    query = _run_query(engine).where(RunRow.id.in_(of_document)).order_by(RunRow.id.desc()).limit(limit)
    return [RunInfo(**row._mapping) for row in _all(engine, query)]


def load_result(engine: Engine, run_id: int, document_id: int) -> AnnotatedDocument | None:
    """What one run found in one document; None when it has not read it. Raises StorageError for an unknown run."""
    return next(iter(iter_results(engine, run_id, document_id=document_id)), None)


def get_document(engine: Engine, document_id: int) -> Document:
    """One document in full. Raises StorageError when there is none of that number."""
    rows = _all(engine, select(*_DOCUMENT_COLUMNS).where(DocumentRow.id == document_id, *mine(engine, DocumentRow)))
    if not rows:
        raise StorageError(f"没有编号为 {document_id} 的文档，它可能已被删除。请刷新列表。")
    return _document(rows[0])


def get_documents(engine: Engine, document_ids: Sequence[int]) -> dict[int, Document]:
    """Several documents by their numbers; those that are not there are left out."""
    asked = (DocumentRow.id.in_(document_ids), *mine(engine, DocumentRow))
    rows = _all(engine, select(*_DOCUMENT_COLUMNS).where(*asked))
    return {row.id: _document(row) for row in rows}


def load_results(engine: Engine, run_id: int) -> list[AnnotatedDocument]:
    """What a run found, in the order of its input. Raises StorageError for an unknown run."""
    return list(iter_results(engine, run_id))


def iter_results(
    engine: Engine, run_id: int, *, batch: int = 500, document_id: int | None = None
) -> Iterator[AnnotatedDocument]:
    """What a run found, in the order of its input, `batch` documents in memory at a time; or in one document only.

    Each batch is read in a transaction of its own. Raises StorageError for an unknown run.
    """
    return (result for _, result in iter_numbered(engine, run_id, batch=batch, document_id=document_id))


def iter_numbered(
    engine: Engine, run_id: int, *, batch: int = 500, document_id: int | None = None
) -> Iterator[tuple[int, AnnotatedDocument]]:
    """What `iter_results` gives, each with the number of its document."""
    task = get_run(engine, run_id).task
    place = tuple_(RunDocumentRow.position, RunDocumentRow.document_id)
    query = (
        select(
            *_DOCUMENT_COLUMNS,
            RunDocumentRow.position,
            RunDocumentRow.windows,
            RunDocumentRow.paths,
            RunDocumentRow.notes,
            RunDocumentRow.error,
            CandidatesRow.found,
        )
        .join(RunDocumentRow, RunDocumentRow.document_id == DocumentRow.id)
        .outerjoin(
            CandidatesRow,
            (CandidatesRow.run_id == RunDocumentRow.run_id) & (CandidatesRow.document_id == RunDocumentRow.document_id),
        )
        .where(RunDocumentRow.run_id == run_id)
        .order_by(RunDocumentRow.position, RunDocumentRow.document_id)
        .limit(batch)
    )
    if document_id is not None:
        query = query.where(RunDocumentRow.document_id == document_id)
    columns = ("document_id", "id", "parent_id", "type", "start", "end", "text", "score")
    found = (
        select(*(getattr(AnnotationRow, name) for name in columns))
        .where(AnnotationRow.run_id == run_id)
        .order_by(AnnotationRow.document_id, AnnotationRow.position)
    )
    rows: Sequence[Row[*tuple[Any, ...]]] = ()
    while True:
        after = query.where(place > (rows[-1].position, rows[-1].id)) if rows else query
        nodes: defaultdict[int, list[StoredAnnotation]] = defaultdict(list)
        with storage_errors(engine), engine.connect() as connection:
            rows = connection.execute(after).all()
            for one in connection.execute(found.where(AnnotationRow.document_id.in_([row.id for row in rows]))):
                nodes[one.document_id].append(StoredAnnotation(*one[1:]))
        if not rows:
            return
        for row in rows:
            result = AnnotatedDocument(
                document=_document(row),
                task=task,
                annotations=unflatten(nodes[row.id]),
                windows=row.windows,
                paths=load_paths(row.paths),
                notes=tuple(row.notes),
                error=row.error,
                candidates=load_candidates(row.found or ()),
            )
            yield row.id, result


def type_counts(engine: Engine, run_id: int) -> dict[str, int]:
    """How often each type occurs in a run's findings, children included, most frequent first."""
    count = func.count()
    query = (
        select(AnnotationRow.type, count)
        .where(AnnotationRow.run_id.in_(visible_runs(engine, [run_id])))
        .group_by(AnnotationRow.type)
        .order_by(count.desc(), AnnotationRow.type)
    )
    return {row[0]: row[1] for row in _all(engine, query)}


def latest_schemas(engine: Engine, task: str | None = None) -> list[SchemaInfo]:
    """The newest version of every saved schema, of one task or of all, by name."""
    versions = select(SchemaRow.name, func.max(SchemaRow.version).label("version")).where(*mine(engine, SchemaRow))
    newest = versions.group_by(SchemaRow.name).subquery()
    query = (
        select(*_SCHEMA_COLUMNS)
        .join(newest, (SchemaRow.name == newest.c.name) & (SchemaRow.version == newest.c.version))
        .order_by(SchemaRow.name)
    )
    if task is not None:
        query = query.where(SchemaRow.task == task)
    return [SchemaInfo(**row._mapping) for row in _all(engine, query)]


def schema_versions(engine: Engine, name: str) -> list[SchemaInfo]:
    """Every version of one schema, newest first."""
    asked = (SchemaRow.name == name, *mine(engine, SchemaRow))
    query = select(*_SCHEMA_COLUMNS).where(*asked).order_by(SchemaRow.version.desc())
    return [SchemaInfo(**row._mapping) for row in _all(engine, query)]


_DOCUMENT_COLUMNS = (
    DocumentRow.id,
    DocumentRow.external_id,
    DocumentRow.name,
    DocumentRow.text,
    DocumentRow.text_pair,
    DocumentRow.inputs,
    DocumentRow.meta.label("metadata"),
)
_SCHEMA_COLUMNS = (
    SchemaRow.id,
    SchemaRow.name,
    SchemaRow.task,
    SchemaRow.version,
    SchemaRow.body,
    SchemaRow.created_at,
)


def _all(engine: Engine, query: Select[*tuple[Any, ...]]) -> Sequence[Row[*tuple[Any, ...]]]:
    with storage_errors(engine), engine.connect() as connection:
        return connection.execute(query).all()


def _document(row: Row[*tuple[Any, ...]]) -> Document:
    return build_document(
        row.text,
        row.inputs,
        external_id=row.external_id,
        name=row.name,
        text_pair=row.text_pair,
        metadata=row._mapping["metadata"],
    )


def _search(search: str | Search) -> Search:
    return Search(search) if isinstance(search, str) else search


def _run_query(engine: Engine) -> Select[*tuple[Any, ...]]:
    query = select(
        *RunRow.__table__.columns,
        SchemaRow.name.label("schema_name"),
        SchemaRow.version.label("schema_version"),
    ).join(SchemaRow, RunRow.schema_id == SchemaRow.id, isouter=True)
    return query.where(*mine(engine, RunRow))

"""Everything the product can do, one function each. Screens and the command line call these and nothing deeper."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine as Database

from core import exporters, readers
from core.access.limits import RequestLimit
from core.access.principal import ADMIN, ANALYST, LOCAL, Principal, bound
from core.checkpoints.choice import is_pinned, with_choice
from core.checkpoints.tuner import Tuner
from core.checkpoints.work import Works
from core.config import Settings
from core.errors import Cancelled, InputError
from core.evaluation.corrections import Quality, judge
from core.gpu.flush import FlushReport, flush
from core.gpu.monitor import GpuMonitor
from core.gpu.tenant import TenantStatus
from core.guard import guarded
from core.inference.assembly import load_engine
from core.inference.engine import Engine, Item
from core.jobs.runner import JobRunner
from core.jobs.worker import Question, Reader
from core.schema_library import followed
from core.schemas.schema import Schema, parse_schema
from core.storage import queries
from core.storage.job_store import Provenance
from core.storage.review_queries import reviewed_pairs
from core.storage.store import Store
from core.tasks import find_task, schema_for
from core.types import AnnotatedDocument, Document

if TYPE_CHECKING:
    from core.cluster.remote import RemoteEngine

URGENT_DOCUMENTS = 10
"""What has no more documents than this goes before the rest: somebody sits and waits for it."""

DRAIN_S = 120.0
"""Requests that are being answered when the checkpoint is changed get so long to end."""

FLOOR = 0.05
"""What a few documents hold below the threshold is kept down to this score."""


class Application:
    """The running product: settings, database, monitor, background jobs, and the model, loaded on first use."""

    def __init__(
        self,
        settings: Settings,
        *,
        database: Database,
        monitor: GpuMonitor,
        identify: Callable[[], Principal] = lambda: LOCAL,
    ) -> None:
        self.pinned = is_pinned(settings)
        self.settings = settings = with_choice(settings)
        self.own_database = database
        self._identify = identify
        self.requests = RequestLimit(settings.requests_per_minute)
        self.monitor = monitor
        self.remote = _remote_engine(settings)
        reader = Reader(
            self._provenance, self._answer, lambda: self.settings.model_source, lambda: not self.engine_away
        )
        self.runner = JobRunner(
            database,
            source=settings.model_source,
            reader=reader,
            record=monitor.mark,
            watch=lambda exact: monitor.watch(exact=exact),
        )
        self.works = Works()
        self.tuner = Tuner(database, settings)
        self._engine: Engine | None = None
        self._loading = threading.Lock()
        self.closers: list[Callable[[], None]] = []
        """Called first by `close`: what was put round the application."""

    @property
    def principal(self) -> Principal:
        """Who acts: on the desk the user of the session that asks, otherwise the machine's own."""
        return self._identify()

    @property
    def database(self) -> Database:
        """The database for whoever acts; `own_database` is for work that is nobody's."""
        return bound(self.own_database, self.principal)

    @property
    def store(self) -> Store:
        """Writes for whoever acts."""
        return Store(self.database)

    @property
    def engine(self) -> Engine:
        """The inference engine; the first caller loads the model, the others wait for it."""
        with self._loading:
            if self._engine is None:
                self._engine = load_engine(self.settings, record=self.monitor.mark)
                self._follow(self._engine)
            return self._engine

    @property
    def reader(self) -> Engine | RemoteEngine:
        """What reads documents: the engine of this process, or the one behind `engine_url`."""
        return self.remote or self.engine

    @property
    def engine_away(self) -> str:
        """Why nothing can be read now because the engine elsewhere does not answer; empty otherwise."""
        return "" if self.remote is None else self.remote.away()

    def change_model(self, source: str) -> None:
        """Answer with another checkpoint from now on, as `settings` then say; it is loaded if one was before.

        Jobs that run in the background go back into the queue and wait for their checkpoint; a request of somebody
        who sits and waits is answered first, and new ones wait for the new checkpoint. When that cannot be loaded the
        old one stays, and the error is raised. Raises InputError when an engine elsewhere reads.
        """
        refuse_remote(self)
        with self._loading:
            before, old = self.settings, self._engine
            self._turn_to(before.with_model(source))
            if old is None:
                return
            if not old.drained(DRAIN_S):
                self.monitor.mark("error", f"{old.checkpoint.name} 还有没答完的请求，已中断")
            old.close()
            self._engine = None
            gc.unfreeze()  # what the old engine held may go
            flush()
            try:
                self._engine = load_engine(self.settings, record=self.monitor.mark)
            except BaseException:
                self._turn_to(before)
                raise
            self._follow(self._engine)

    def _follow(self, engine: Engine) -> None:
        scheduler = engine.scheduler
        self.monitor.follow(scheduler.owner, new_window=lambda: scheduler.between(scheduler.owner.new_window))

    def _turn_to(self, settings: Settings) -> None:
        self.settings = settings
        self.runner.turn_to(settings.model_source)

    @property
    def loaded_engine(self) -> Engine | None:
        """The engine if the model was loaded; it may have been unloaded since and then loads itself again."""
        return self._engine

    def _provenance(self) -> Provenance:
        """What answers jobs; loads the model when it never was."""
        if self.remote is not None:
            model = self.remote.model()
            return Provenance(model.name, model.revision, model.dtype, model.device)
        engine = self.engine
        info = engine.info
        return Provenance(engine.checkpoint.name, engine.checkpoint.revision or "", info.dtype, info.device)

    def _answer(
        self,
        questions: Iterable[Question],
        *,
        threshold: float,
        floor: float | None,
        urgent: bool,
        client: str,
        cancelled: Callable[[], bool],
    ) -> Iterator[tuple[int, AnnotatedDocument]]:
        asked: dict[int, Item] = {}
        engine = self.reader  # first: whoever changes the checkpoint between the two lines changes `source` too
        source = self.settings.model_source

        def items() -> Iterator[Item]:
            for job, document in questions:
                if job.source != source:  # the checkpoint was changed a moment ago: the job waits for its own
                    raise Cancelled("已取消")
                if job.id not in asked:  # a schema is read once, not for every document
                    (asked[job.id],) = make_items([document], task=job.task, schema=job.schema or None)
                yield replace(asked[job.id], document=document)

        return engine.annotate(
            items(), threshold=threshold, floor=floor, urgent=urgent, client=client, cancelled=cancelled
        )

    def close(self) -> None:
        """Stop jobs, which go on at the next start, then the model, then sampling, and close the database."""
        for close in self.closers:
            close()
        self.works.close()
        self.tuner.close()
        self.runner.close()
        if self._engine is not None:
            self._engine.close()
        self.monitor.close()
        self.own_database.dispose()


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """What is known of the model; fields that need the loaded model are None before the first use."""

    name: str
    loaded: bool
    device: str | None = None
    dtype: str | None = None
    parameters: int | None = None
    load_s: float | None = None
    revision: str | None = None
    worker: str | None = None
    pid: int | None = None
    tenant: TenantStatus | None = None


def model_status(app: Application) -> ModelStatus:
    """The model in use, without loading it; of an engine elsewhere what it last said."""
    if app.remote is not None:
        return _remote_status(app.remote)
    engine = app.loaded_engine
    info = None if engine is None else engine.scheduler.owner.info
    if engine is None or info is None:
        source = app.settings.model
        return ModelStatus(Path(source).name if Path(source).is_dir() else source, loaded=False)
    return ModelStatus(
        name=engine.checkpoint.name,
        loaded=engine.scheduler.owner.loaded,
        device=info.device,
        dtype=info.dtype,
        parameters=info.parameters,
        load_s=info.load_s,
        revision=engine.checkpoint.revision,
        worker=info.worker,
        pid=info.pid,
        tenant=engine.scheduler.owner.status(),
    )


def _remote_engine(settings: Settings) -> RemoteEngine | None:
    """The engine elsewhere that the settings name."""
    if not settings.engine_url:
        return None
    from core.cluster.remote import RemoteEngine  # needs its HTTP library only then

    return RemoteEngine(settings.engine_url, settings.engine_token.get_secret_value())


def _remote_status(remote: RemoteEngine) -> ModelStatus:
    away, model = remote.away(), remote.known
    if model is None:
        return ModelStatus(remote.url, loaded=False, worker="remote")
    return ModelStatus(
        name=model.name,
        loaded=not away,
        device=f"{remote.url} · {model.device}",
        dtype=model.dtype,
        parameters=model.parameters,
        load_s=model.load_s,
        revision=model.revision,
        worker="remote",
    )


def refuse_remote(app: Application) -> None:
    """Raise InputError when an engine elsewhere reads: its model is managed there."""
    if app.remote is not None:
        raise InputError(f"模型由引擎 {app.remote.url} 管理：请在那里更换或重新加载，或去掉 REX_ENGINE_URL")


def check_item(app: Application, item: Item) -> None:
    """Raise SchemaError when the model cannot be asked this; loads it, and raises what keeps it from answering."""
    if app.remote is not None:
        app.remote.check(item.schema, task=item.task.name)
    else:
        app.engine.check(item.schema)


def make_items(documents: Sequence[Document], *, task: str, schema: Any = None) -> list[Item]:
    """Documents with one task and schema (anything `parse_schema` reads, or None for the task's own)."""
    chosen = find_task(task)
    asked = schema_for(chosen, None if schema is None else parse_schema(schema))
    return [Item(document, chosen, asked) for document in documents]


def annotate_items(
    app: Application, items: Sequence[Item], *, threshold: float | None = None, floor: float | None = None
) -> list[AnnotatedDocument]:
    """Annotate and wait, a few items before all jobs; results in the order of the items.

    With a `floor`, what exceeds it but not the threshold is in `candidates` of the results.
    """
    results: list[AnnotatedDocument | None] = [None] * len(items)
    urgent = len(items) <= URGENT_DOCUMENTS
    for index, result in app.reader.annotate(items, threshold=threshold, floor=floor, urgent=urgent):
        results[index] = result
    return [result for result in results if result is not None]


def annotate(
    app: Application,
    documents: Sequence[Document],
    *,
    task: str,
    schema: Any = None,
    threshold: float | None = None,
    floor: float | None = None,
) -> list[AnnotatedDocument]:
    """Annotate documents with one schema and wait; `floor` as in `annotate_items`.

    Raises SchemaError or InputError when nothing can be asked.
    """
    items = make_items(documents, task=task, schema=schema)
    if items:
        check_item(app, items[0])
    return annotate_items(app, items, threshold=threshold, floor=floor)


def import_file(app: Application, name: str, data: bytes, **options: Any) -> readers.ReadReport:
    """Read an uploaded file into documents; see `core.readers.read` for the options."""
    del app  # reading needs no state; the argument keeps all services alike
    return readers.read(name, data, **options)


def export(results: Sequence[AnnotatedDocument], format: str) -> exporters.Export:
    """Results as a file: csv, jsonl or rex."""
    return exporters.write(results, format)


def load_run(app: Application, run_id: int) -> list[AnnotatedDocument]:
    """The stored results of a run, in the order of its input."""
    return queries.load_results(app.database, run_id)


def judge_runs(app: Application, run_ids: Sequence[int]) -> Quality:
    """How right the machine was in the reviewed documents of these runs, the corrections being right."""
    database = app.database
    return judge(pair for run in run_ids for pair in followed(database, run, reviewed_pairs(database, run)))


@guarded(ANALYST, "schema.save", about="schema {name}")
def save_schema(app: Application, name: str, *, task: str, schema: Any, note: str = "") -> int:
    """Keep a schema under a name; a new version, with the note, only when it changed. Returns its row id."""
    parsed: Schema = parse_schema(schema)
    return app.store.save_schema(name, task, body=parsed.to_dict(), note=note)


@guarded(ANALYST, "document.delete", about="document {document_id}")
def delete_document(app: Application, document_id: int) -> None:
    """Remove a document and what every run found in it; of somebody else nothing is removed."""
    app.store.delete_document(document_id)


@guarded(ADMIN, "model.flush")
def flush_memory(app: Application) -> FlushReport:
    """Give cached memory of the process that holds the model back between two batches, and say what that changed."""
    engine = app.loaded_engine
    asked = time.perf_counter()
    report = flush() if engine is None else engine.scheduler.between(engine.scheduler.owner.flush)
    waited_s = time.perf_counter() - asked - report.duration_s
    app.monitor.mark("flush", "手动释放缓存")
    return replace(report, waited_s=max(0.0, waited_s))


@guarded(ADMIN, "model.unload")
def unload_model(app: Application) -> None:
    """Let the model go after the batch in flight; with a process of its own all GPU memory comes back.

    Its next use loads it again.
    """
    engine = app.loaded_engine
    if engine is not None:
        engine.scheduler.between(engine.scheduler.owner.unload)


@guarded(ADMIN, "model.reload")
def reload_model(app: Application) -> ModelStatus:
    """Load the model now, anew when it is loaded; batches wait meanwhile."""
    refuse_remote(app)
    unload_model(app)
    scheduler = app.engine.scheduler
    scheduler.load()
    return model_status(app)

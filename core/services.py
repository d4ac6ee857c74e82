"""Everything the product can do, one function each. Screens and the command line call these and nothing deeper."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Engine as Database

from core import exporters, readers
from core.config import Settings
from core.evaluation.corrections import Quality, judge
from core.gpu.flush import FlushReport, flush
from core.gpu.monitor import GpuMonitor
from core.gpu.tenant import TenantStatus
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

URGENT_DOCUMENTS = 10
"""What has no more documents than this goes before the rest: somebody sits and waits for it."""


class Application:
    """The running product: settings, database, monitor, background jobs, and the model, loaded on first use."""

    def __init__(self, settings: Settings, *, database: Database, monitor: GpuMonitor) -> None:
        self.settings = settings
        self.database = database
        self.store = Store(database)
        self.monitor = monitor
        reader = Reader(self._provenance, self._answer)
        self.runner = JobRunner(database, source=settings.model_source, reader=reader, record=monitor.mark)
        self._engine: Engine | None = None
        self._loading = threading.Lock()

    @property
    def engine(self) -> Engine:
        """The inference engine; the first caller loads the model, the others wait for it."""
        with self._loading:
            if self._engine is None:
                self._engine = load_engine(self.settings, record=self.monitor.mark)
                self.monitor.follow(self._engine.scheduler.owner)
            return self._engine

    @property
    def loaded_engine(self) -> Engine | None:
        """The engine if the model was loaded; it may have been unloaded since and then loads itself again."""
        return self._engine

    def _provenance(self) -> Provenance:
        """What answers jobs; loads the model when it never was."""
        engine = self.engine
        info = engine.info
        return Provenance(engine.checkpoint.name, engine.checkpoint.revision or "", info.dtype, info.device)

    def _answer(
        self,
        questions: Iterable[Question],
        *,
        threshold: float,
        urgent: bool,
        client: str,
        cancelled: Callable[[], bool],
    ) -> Iterator[tuple[int, AnnotatedDocument]]:
        asked: dict[int, Item] = {}

        def items() -> Iterator[Item]:
            for job, document in questions:
                if job.id not in asked:  # a schema is read once, not for every document
                    (asked[job.id],) = make_items([document], task=job.task, schema=job.schema or None)
                yield replace(asked[job.id], document=document)

        return self.engine.annotate(
            items(), threshold=threshold, floor=floor, urgent=urgent, client=client, cancelled=cancelled
        )

    def close(self) -> None:
        """Stop jobs, which go on at the next start, then the model, then sampling, and close the database."""
        self.runner.close()
        if self._engine is not None:
            self._engine.close()
        self.monitor.close()
        self.database.dispose()


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
    """The model in use, without loading it."""
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
    for index, result in app.engine.annotate(items, threshold=threshold, floor=floor, urgent=urgent):
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
        floor: float | None,
    """Annotate documents with one schema and wait; `floor` as in `annotate_items`.

    Raises SchemaError or InputError when nothing can be asked.
    """
    items = make_items(documents, task=task, schema=schema)
    if items:
        app.engine.check(items[0].schema)
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


def save_schema(app: Application, name: str, *, task: str, schema: Any, note: str = "") -> int:
    """Keep a schema under a name; a new version, with the note, only when it changed. Returns its row id."""
    parsed: Schema = parse_schema(schema)
    return app.store.save_schema(name, task, body=parsed.to_dict(), note=note)


def flush_memory(app: Application) -> FlushReport:
    """Give cached memory of the process that holds the model back between two batches, and say what that changed."""
    engine = app.loaded_engine
    asked = time.perf_counter()
    report = flush() if engine is None else engine.scheduler.between(engine.scheduler.owner.flush)
    waited_s = time.perf_counter() - asked - report.duration_s
    app.monitor.mark("flush", "手动释放缓存")
    return replace(report, waited_s=max(0.0, waited_s))


def unload_model(app: Application) -> None:
    """Let the model go after the batch in flight; with a process of its own all GPU memory comes back.

    Its next use loads it again.
    """
    engine = app.loaded_engine
    if engine is not None:
        engine.scheduler.between(engine.scheduler.owner.unload)


def reload_model(app: Application) -> ModelStatus:
    """Load the model now, anew when it is loaded; batches wait meanwhile."""
    unload_model(app)
    scheduler = app.engine.scheduler
    scheduler.load()
    return model_status(app)

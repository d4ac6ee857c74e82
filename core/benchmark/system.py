"""The engine as the product runs it, and what a scenario may do to it while it works."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.benchmark.bench import Bench
from core.benchmark.faults import failing
from core.benchmark.load import Ask
from core.config import Settings
from core.errors import RexError
from core.gpu.flush import MemoryReading
from core.inference.assembly import load_engine
from core.inference.engine import Engine, Item
from core.inference.owner import LocalOwner, OwnerInfo, from_settings
from core.schemas.schema import Schema
from core.tasks import TASKS
from core.types import AnnotatedDocument, Document


@dataclass(frozen=True, slots=True)
class System:
    """A running engine with what lies behind it; `told` counts the events of model and memory by their kind."""

    engine: Engine
    threshold: float | None
    told: Counter[str] = field(default_factory=Counter)

    def items(self, texts: Sequence[str], schema: Schema, *, task: str = "ner") -> list[Item]:
        """The texts with one task and schema."""
        return [Item(Document(text), TASKS[task], schema) for text in texts]

    def annotate(self, items: Sequence[Item], *, urgent: bool = False) -> list[AnnotatedDocument]:
        """Results in the order of the items; raises RexError with the first error of a document."""
        results: list[AnnotatedDocument | None] = [None] * len(items)
        for index, result in self.engine.annotate(items, threshold=self.threshold, urgent=urgent):
            if result.error:
                raise RexError(result.error)
            results[index] = result
        done = [result for result in results if result is not None]
        if len(done) != len(items):
            raise RexError(f"{len(items) - len(done)} 个文档没有结果")
        return done

    def asking(self, texts: Sequence[str], schema: Schema) -> Ask:
        """Sends text n (counted round) as a user on the page does: alone and urgent."""
        items = self.items(texts, schema)
        return lambda number: void(self.annotate([items[number % len(items)]], urgent=True))

    @property
    def info(self) -> OwnerInfo:
        """Who holds the network; loads it when it is not there."""
        return self.engine.scheduler.load()

    def flush(self) -> MemoryReading:
        """Give cached memory back between two batches; returns what the holder of the network keeps."""
        scheduler = self.engine.scheduler
        return scheduler.between(scheduler.owner.flush).after

    def describe(self) -> dict[str, Any]:
        """How the engine was set up, for the record of a run."""
        info, status = self.info, self.engine.scheduler.owner.status()
        facts: dict[str, Any] = {
            "worker": info.worker,
            "dtype": info.dtype,
            "profile": info.profile.name,
            "batch_tokens": self.engine.batch_tokens,
            "threads": info.threads,
            "load_s": info.load_s,
            "events": dict(self.told),
        }
        if status is not None and status.card is not None:
            memory = status.memory
            facts |= {"budget_bytes": memory.budget_bytes, "outside_bytes": memory.outside_bytes, "ooms": memory.ooms}
        return {"engine": facts}


def void(value: object) -> None:
    """Drop a value."""


@contextmanager
def serving(
    bench: Bench,
    directory: Path,
    *,
    threshold: float | None = None,
    dtype: str | None = None,
    worker: str = "auto",
    budget_bytes: int = 0,
    oom_every: int = 0,
) -> Iterator[System]:
    """An engine on a checkpoint for one scenario; REX_ settings of the environment hold for what is not given."""
    chosen = dtype or bench.dtype
    given: dict[str, Any] = {"worker": worker} | ({} if chosen == "auto" else {"dtype": chosen})
    if budget_bytes:
        given["memory_budget"] = f"{budget_bytes}B"
    with open_system(directory, device=bench.device_name, threshold=threshold, oom_every=oom_every, **given) as system:
        yield system


@contextmanager
def open_system(
    directory: Path, *, device: str, threshold: float | None = None, oom_every: int = 0, **given: Any
) -> Iterator[System]:
    """Load a checkpoint as the product does and close it at the end; `given` are settings by name.

    oom_every: every so many passes run out of memory (0: none), for which the network is kept in this process.
    """
    settings = Settings(model=str(directory), device=device, **given)
    told: Counter[str] = Counter()

    def record(kind: str, text: str) -> None:
        told[kind] += 1

    owner = LocalOwner(failing(from_settings(settings), every=oom_every), record=record) if oom_every else None
    engine = load_engine(settings, record=record, owner=owner)
    try:
        yield System(engine, threshold, told)
    finally:
        engine.close()

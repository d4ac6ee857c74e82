"""One engine answers requests that came as JSON; the same here and in a replica on Ray."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from typing import Any

from core.cluster.wire import Ask, write_result
from core.errors import RexError
from core.inference.documents import Item
from core.inference.engine import Engine
from core.readers.jsonl import document_from_json
from core.schemas.schema import Schema, parse_schema
from core.tasks import find_task, schema_for
from core.telemetry.measures import BATCHES_READ, DOCUMENTS_READ, TOKENS_READ, total
from core.types import AnnotatedDocument, Document


@dataclass(frozen=True, slots=True)
class Model:
    """What answers: named in every answer, so that a job is never of two models."""

    name: str
    revision: str
    dtype: str
    device: str
    parameters: int
    load_s: float


@dataclass(frozen=True, slots=True)
class Load:
    """What the engine of one process has read so far: tokens without padding, batches as the scheduler formed them."""

    process: str
    documents: int
    tokens: int
    batches: int


def load_of() -> Load:
    """The load of this process."""
    counts = (int(total(name)) for name in (DOCUMENTS_READ, TOKENS_READ, BATCHES_READ))
    return Load(f"{platform.node()}/{os.getpid()}", *counts)


def model_of(engine: Engine) -> Model:
    """The loaded model of an engine; loads it when it never was."""
    info = engine.info
    checkpoint = engine.checkpoint
    return Model(
        checkpoint.name, checkpoint.revision or "", info.dtype, info.device, info.parameters, round(info.load_s, 3)
    )


def check(engine: Engine, task: str, schema: Any) -> None:
    """Raise SchemaError or InputError when the model cannot be asked this."""
    engine.check(_schema(task, schema))


def answer(engine: Engine, ask: Ask) -> list[dict[str, Any]]:
    """What is found in each document, in order; one that cannot be read has an `error`, the others go on.

    Raises SchemaError or InputError when nothing can be asked, BusyError when too much waits, and what stops the
    engine.
    """
    task, schema = find_task(ask.task), _schema(ask.task, ask.schema)
    engine.check(schema)
    results: list[AnnotatedDocument | None] = [None] * len(ask.documents)
    items: list[Item] = []
    places: list[int] = []
    for place, value in enumerate(ask.documents):
        try:
            document, own = document_from_json(value)
            items.append(Item(document, task, schema if own is None else schema_for(task, parse_schema(own))))
            places.append(place)
        except RexError as error:
            name = str(value.get("id", "")) if isinstance(value, dict) else ""
            results[place] = AnnotatedDocument(Document("", id=name), task.name, (), error=str(error))
    for at, result in engine.annotate(
        items,
        threshold=ask.threshold,
        floor=ask.floor,
        urgent=ask.urgent,
        client=ask.client and f"remote-{ask.client}",
    ):
        results[places[at]] = result
    return [write_result(result, paths=ask.paths) for result in results if result is not None]


def _schema(task: str, schema: Any) -> Schema:
    return schema_for(find_task(task), None if schema is None else parse_schema(schema))

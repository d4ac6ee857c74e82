"""Two checkpoints beside each other: on one text, and on documents that people have corrected."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import psutil
from sqlalchemy import Engine as Database

from core.checkpoints.files import count_parameters, read_origin
from core.checkpoints.installed import Installed
from core.config import Settings
from core.errors import Cancelled, DeviceError, InputError
from core.evaluation.corrections import Quality, judge
from core.evaluation.metrics import Element
from core.gpu.flush import flush
from core.inference.assembly import load_engine
from core.inference.engine import Engine, Item
from core.schemas.schema import parse_schema
from core.storage.queries import RunInfo
from core.storage.review_queries import ReviewPair, reviewed_pairs
from core.tasks import find_task, schema_for
from core.training.heldout import normalised_sha1
from core.types import AnnotatedDocument, Annotation, Document

Tell = Callable[[float, float, str], None]
BYTES_PER_WEIGHT = 6
HOST_BYTES = 400 * 2**20
"""What a loaded network needs beside its weights."""


@dataclass(frozen=True, slots=True)
class Side:
    """What one checkpoint did: seconds of reading, without loading."""

    name: str
    source: str
    parameters: int | None
    device: str
    seconds: float
    documents: int

    @property
    def documents_per_s(self) -> float:
        """Documents read in a second."""
        return self.documents / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class Difference:
    """A finding, from the top annotation down, with the score that each gave it; None where it was not found."""

    path: tuple[Element, ...]
    first: float | None
    second: float | None


@dataclass(frozen=True, slots=True)
class OnText:
    """Both answers to one text, and every finding of either."""

    sides: tuple[Side, Side]
    results: tuple[AnnotatedDocument, AnnotatedDocument]
    findings: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class OnCorrections:
    """Both checkpoints against the same corrected documents; `left_out` ones were learnt from by one of the two."""

    sides: tuple[Side, Side]
    qualities: tuple[Quality, Quality]
    documents: int
    left_out: int


@dataclass(frozen=True, slots=True)
class Lender:
    """Who lends the engine of a checkpoint: `active` the one in use; others are loaded and let go again.

    `make_room` takes the one in use out of memory where both do not fit; its next use loads it again.
    """

    settings: Settings
    active: Callable[[], Engine]
    make_room: Callable[[], None]

    @contextmanager
    def engine(self, one: Installed) -> Iterator[Engine]:
        """The engine of a checkpoint for the length of the block."""
        if one.source == self.settings.model_source:
            yield self.active()
            return
        settings = self.settings.with_model(one.source)
        if not _fits(one):
            self.make_room()
        try:
            engine = load_engine(settings)
        except DeviceError:  # two do not fit on the card
            self.make_room()
            engine = load_engine(settings)
        try:
            yield engine
        finally:
            engine.close()
            del engine
            gc.unfreeze()
            flush()


def compare_text(
    lender: Lender,
    pair: tuple[Installed, Installed],
    document: Document,
    *,
    task: str,
    schema: Mapping[str, object] | None,
    threshold: float,
    tell: Tell = lambda done, total, what: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> OnText:
    """Ask both the same of one text. Raises SchemaError, and InputError with the reason when it cannot be read."""
    chosen = find_task(task)
    item = Item(document, chosen, schema_for(chosen, None if schema is None else parse_schema(schema)))
    sides, results = [], []
    for number, one in enumerate(pair):
        tell(number, 2, one.name)
        side, (result,) = _read(lender, one, [item], threshold, cancelled, lambda count: None)
        if result.error:
            raise InputError(result.error)
        sides.append(side)
        results.append(result)
    first, second = results
    return OnText((sides[0], sides[1]), (first, second), _differences(first.annotations, second.annotations))


def compare_corrections(
    lender: Lender,
    pair: tuple[Installed, Installed],
    documents: Sequence[tuple[RunInfo, ReviewPair]],
    *,
    left_out: int = 0,
    tell: Tell = lambda done, total, what: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> OnCorrections:
    """Let both read documents that were corrected, each asked as its run asked, and count how right they are.

    Raises InputError when there are none.
    """
    if not documents:
        raise InputError("没有可以比较的文档：请先复核一些文档；检查点学过的文档不算")
    items = [_item(run, one) for run, one in documents]
    sides, qualities = [], []
    for number, one in enumerate(pair):

        def count(read: int, before: int = number * len(items), name: str = one.name) -> None:
            tell(before + read, 2 * len(items), name)

        side, results = _read(lender, one, items, documents[0][0].threshold, cancelled, count)
        judged = (replace(wanted, machine=r.annotations) for (_, wanted), r in zip(documents, results, strict=True))
        sides.append(side)
        qualities.append(judge(judged))
    return OnCorrections((sides[0], sides[1]), (qualities[0], qualities[1]), len(items), left_out)


def corrected_documents(
    database: Database, runs: Sequence[RunInfo], pair: tuple[Installed, Installed], *, limit: int
) -> tuple[list[tuple[RunInfo, ReviewPair]], int]:
    """At most `limit` reviewed documents that neither checkpoint learnt from, and how many were left out for that."""
    learnt = {one for checkpoint in pair for one in read_origin(checkpoint.directory).get("trained", ())}
    found: list[tuple[RunInfo, ReviewPair]] = []
    left_out = 0
    for run in runs:
        for one in reviewed_pairs(database, run.id):
            if record_sha1(one.document) in learnt:
                left_out += 1
            elif len(found) < limit:
                found.append((run, one))
    return found, left_out


def record_sha1(document: Document) -> str:
    """The hash that the records of a document have (see `corrections.write_records`)."""
    text = document.text if document.text_pair is None else f"段落1：{document.text}；段落2：{document.text_pair}"
    return normalised_sha1(text)


def _item(run: RunInfo, pair: ReviewPair) -> Item:
    task = find_task(run.task)
    return Item(pair.document, task, schema_for(task, parse_schema(dict(run.schema)) if run.schema else None))


def _read(
    lender: Lender,
    one: Installed,
    items: Sequence[Item],
    threshold: float,
    cancelled: Callable[[], bool],
    count: Callable[[int], None],
) -> tuple[Side, list[AnnotatedDocument]]:
    if cancelled():
        raise Cancelled("已取消")
    results: dict[int, AnnotatedDocument] = {}
    with lender.engine(one) as engine:
        info = engine.info
        start = time.perf_counter()
        for place, result in engine.annotate(items, threshold=threshold, cancelled=cancelled):
            results[place] = result
            count(len(results))
        seconds = time.perf_counter() - start
    side = Side(one.name, one.source, one.parameters, f"{info.device} · {info.dtype}", seconds, len(items))
    return side, [results[place] for place in range(len(items))]


def _differences(first: Sequence[Annotation], second: Sequence[Annotation]) -> tuple[Difference, ...]:
    scores = _scores(first), _scores(second)
    paths = sorted(scores[0].keys() | scores[1].keys(), key=lambda path: [(link[2], link[3], link[0]) for link in path])
    return tuple(Difference(path, scores[0].get(path), scores[1].get(path)) for path in paths)


def _scores(annotations: Sequence[Annotation]) -> dict[tuple[Element, ...], float]:
    found: dict[tuple[Element, ...], float] = {}

    def walk(nodes: Sequence[Annotation], above: tuple[Element, ...]) -> None:
        for one in nodes:
            place = (-1, -1) if one.start is None or one.end is None else (one.start, one.end)
            path = (*above, (one.type, one.text, *place))
            found[path] = max(one.score, found.get(path, 0.0))
            walk(one.children, path)

    walk(annotations, ())
    return found


def _fits(one: Installed) -> bool:
    """Whether the memory of the machine holds it beside what is there."""
    weights = one.parameters if one.parameters is not None else count_parameters(one.directory)
    return bool(psutil.virtual_memory().available > (weights or 0) * BYTES_PER_WEIGHT + HOST_BYTES)

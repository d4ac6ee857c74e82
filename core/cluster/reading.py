"""Annotates the rows of parts with one engine, several parts on their way at a time, and writes each as a file."""

from __future__ import annotations

import io
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from core.cluster.output import PREFIX, Record
from core.cluster.parts import Part
from core.cluster.rows import Asked, read_rows
from core.errors import InputError
from core.exporters import native
from core.exporters.report import About, Losses
from core.inference.documents import Item
from core.inference.engine import Engine
from core.storage.codec import document_sha256, flatten
from core.types import AnnotatedDocument, Document

JSONL, PARQUET = "jsonl", "parquet"
FORMATS = (JSONL, PARQUET)
DIGEST_DIGITS = 16


@dataclass(slots=True)
class Open:
    """A part being read: what its rows became so far, by place, and how many are still on their way."""

    part: Part
    began: float
    results: dict[int, AnnotatedDocument] = field(default_factory=dict)
    rows: int = 0
    ended: bool = False

    @property
    def whole(self) -> bool:
        """Whether nothing is missing."""
        return self.ended and len(self.results) == self.rows


def annotate_parts(
    engine: Engine,
    parts: Iterable[Part],
    asked: Asked,
    *,
    threshold: float,
    form: str,
    cancelled: Callable[[], bool] = lambda: False,
    seen: Callable[[], object] = lambda: None,
) -> Iterator[tuple[Record, bytes]]:
    """Read parts one after the other without a pause between them; yields each as it is finished, with its file.

    `seen()` is called for every document. Raises what stops the engine, FormatError for input that cannot be read and
    Cancelled soon after `cancelled()` is true.
    """
    about = _about(engine, asked, threshold)
    waiting: dict[int, Open] = {}
    places: dict[int, tuple[Open, int]] = {}

    def items() -> Iterator[Item]:
        place = 0
        for number, part in enumerate(parts):
            one = waiting[number] = Open(part, time.perf_counter())
            for _, row in read_rows(part, asked):
                at, one.rows = one.rows, one.rows + 1
                if isinstance(row, AnnotatedDocument):
                    one.results[at] = row
                    seen()
                    continue
                places[place] = (one, at)
                place += 1
                yield row
            one.ended = True

    def finished() -> Iterator[tuple[Record, bytes]]:
        for number in [number for number, one in waiting.items() if one.whole]:
            yield _written(waiting.pop(number), engine, about, form)

    for place, result in engine.annotate(items(), threshold=threshold, cancelled=cancelled):
        one, at = places.pop(place)
        one.results[at] = result
        seen()
        yield from finished()
    yield from finished()


def _about(engine: Engine, asked: Asked, threshold: float) -> About:
    schema = dict(asked.parsed().to_dict())
    return About(
        schema=schema, model=engine.checkpoint.name, revision=engine.checkpoint.revision or "", threshold=threshold
    )


def _written(one: Open, engine: Engine, about: About, form: str) -> tuple[Record, bytes]:
    results = [one.results[at] for at in range(one.rows)]
    part, losses, target = one.part, Losses(), io.BytesIO()
    if form == PARQUET:
        from core.exporters import parquet  # slow to import, needed only here

        parquet.write(results, target, losses, about)
    elif form == JSONL:
        native.write(results, target, losses, about)
    else:
        raise InputError(f"没有名为“{form}”的输出格式：可选 {'、'.join(FORMATS)}")
    data = target.getvalue()
    info = engine.info
    record = Record(
        key=part.key,
        path=f"{PREFIX}{part.key}.{form}",
        file=part.file.name,
        first=part.first,
        rows=part.rows,
        documents=len(results),
        failed=sum(bool(result.error) for result in results),
        annotations=sum(len(flatten(result.annotations)) for result in results),
        characters=sum(len(result.document.text) for result in results),
        size_bytes=len(data),
        seconds=round(time.perf_counter() - one.began, 3),
        made_by={
            "model": about.model,
            "revision": about.revision,
            "dtype": info.dtype,
            "device": info.device,
            "process": f"{platform.node()}/{os.getpid()}",
        },
        losses=tuple(map(str, losses.report())),
        ids=tuple(result.document.id for result in results),
        digests=tuple(digest_of(result.document) for result in results),
    )
    return record, data


def digest_of(document: Document) -> str:
    """Tells equal documents, id included, from others."""
    return document_sha256(document)[:DIGEST_DIGITS]

"""Parquet: one row a document with everything in it, for pandas, Polars, DuckDB and Spark."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import islice
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from core.exporters.report import About, Losses
from core.types import AnnotatedDocument, Annotation, Span

ROWS = 500
_SPAN = pa.struct([("start", pa.int64()), ("end", pa.int64())])
_ANNOTATION = pa.struct(
    [
        ("parent", pa.int32()),
        ("type", pa.string()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("text", pa.string()),
        ("score", pa.float64()),
    ]
)
_LINK = pa.struct(
    [
        ("type", pa.string()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("text", pa.string()),
        ("score", pa.float64()),
        ("confidence", pa.float64()),
    ]
)
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("name", pa.string()),
        ("text", pa.string()),
        ("text_pair", pa.string()),
        ("aspects", pa.list_(pa.string())),
        ("candidates", pa.list_(_SPAN)),
        ("pronouns", pa.list_(_SPAN)),
        ("metadata", pa.map_(pa.string(), pa.string())),
        ("task", pa.string()),
        ("windows", pa.int32()),
        ("annotations", pa.list_(_ANNOTATION)),
        ("paths", pa.list_(pa.list_(_LINK))),
        ("notes", pa.list_(pa.string())),
        ("error", pa.string()),
    ]
)


def write(results: Iterable[AnnotatedDocument], target: BinaryIO, losses: Losses, about: About) -> None:
    """A row for each document; `annotations` lists its trees parents first, `parent` being a place in that list.

    The run (model, threshold, schema …) stands in the file's metadata under `rexuninlu`.
    """
    run = {"run": about.run, "model": about.model, "revision": about.revision, "threshold": about.threshold}
    facts = json.dumps({**run, "finished": about.finished, "schema": about.schema}, ensure_ascii=False)
    schema = SCHEMA.with_metadata({"rexuninlu": facts.encode("utf-8", "backslashreplace")})
    waiting = iter(results)
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        while some := list(islice(waiting, ROWS)):
            writer.write_table(pa.Table.from_pylist([_row(result, losses) for result in some], schema=schema))


def _row(result: AnnotatedDocument, losses: Losses) -> dict[str, Any]:
    document = result.document
    row = {
        "id": document.id,
        "name": document.name,
        "text": document.text,
        "text_pair": document.text_pair,
        "aspects": list(document.aspects),
        "candidates": _bounds(document.candidates),
        "pronouns": _bounds(document.pronouns),
        "metadata": list(document.metadata.items()),
        "task": result.task,
        "windows": result.windows,
        "annotations": _flat(result.annotations),
        "paths": [
            [
                {
                    "type": link.type,
                    "start": link.start,
                    "end": link.end,
                    "text": link.text,
                    "score": link.score,
                    "confidence": link.confidence,
                }
                for link in path
            ]
            for path in result.paths
        ],
        "notes": list(result.notes),
        "error": result.error,
    }
    whole = _whole(row)
    if whole != row:
        losses.add("不完整的代理对字符改写为 �", document.id)
    return dict(whole)


def _bounds(spans: Iterable[Span]) -> list[dict[str, int]]:
    return [{"start": span.start, "end": span.end} for span in spans]


def _flat(annotations: Iterable[Annotation]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []

    def add(annotation: Annotation, parent: int | None) -> None:
        place = len(rows)
        rows.append(
            {
                "parent": parent,
                "type": annotation.type,
                "start": annotation.start,
                "end": annotation.end,
                "text": annotation.text,
                "score": annotation.score,
            }
        )
        for child in annotation.children:
            add(child, place)

    for annotation in annotations:
        add(annotation, None)
    return rows


def _whole(value: Any) -> Any:
    """The value with every half of a surrogate pair, which Parquet cannot hold, replaced."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {key: _whole(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_whole(one) for one in value)
    return value

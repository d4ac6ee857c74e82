"""Our own Parquet files -> annotated documents, with nothing lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import FormatError
from core.types import AnnotatedDocument, Annotation, Document, Link, Span

ROWS = 500
_COLUMNS = {
    "id", "name", "text", "text_pair", "aspects", "candidates", "pronouns", "metadata", "task", "windows",
    "annotations", "paths", "notes", "error",
}  # fmt: skip


def read_parquet(path: Path) -> Iterator[AnnotatedDocument]:
    """The documents of a Parquet file that this product wrote, a few hundred in memory at a time.

    Raises FormatError when the file is damaged, is not Parquet, or is not of this product.
    """
    try:
        with pq.ParquetFile(path) as file:
            missing = _COLUMNS - set(file.schema_arrow.names)
            if missing:
                raise FormatError(
                    f"“{path.name}”不是本产品导出的 Parquet 文件（缺少列 {'、'.join(sorted(missing))}）。"
                    "请改为导出 CSV 后作为普通表格导入。"
                )
            for batch in file.iter_batches(batch_size=ROWS):
                for row in batch.to_pylist(maps_as_pydicts="strict"):
                    yield _result(row)
    except OSError as error:
        raise FormatError(f"无法读取“{path.name}”：{error}。请检查文件是否存在、是否完整。") from error
    except (pa.ArrowException, IndexError, KeyError, TypeError) as error:
        raise FormatError(f"“{path.name}”不是完好的 Parquet 文件（{error}）。请重新导出。") from error


def _result(row: Mapping[str, Any]) -> AnnotatedDocument:
    document = Document(
        text=row["text"],
        id=row["id"],
        name=row["name"],
        text_pair=row["text_pair"],
        aspects=tuple(row["aspects"]),
        candidates=_spans(row["text"], row["candidates"]),
        pronouns=_spans(row["text"], row["pronouns"]),
        metadata=dict(row["metadata"]),
    )
    return AnnotatedDocument(
        document,
        row["task"],
        _trees(row["annotations"]),
        windows=row["windows"],
        paths=tuple(tuple(Link(**link) for link in path) for path in row["paths"]),
        notes=tuple(row["notes"]),
        error=row["error"],
    )


def _spans(text: str, bounds: Sequence[Mapping[str, int]]) -> tuple[Span, ...]:
    return tuple(Span(one["start"], one["end"], text[one["start"] : one["end"]]) for one in bounds)


def _trees(rows: Sequence[Mapping[str, Any]]) -> tuple[Annotation, ...]:
    """The trees of a list in which parents stand before their children."""
    below: dict[int | None, list[Annotation]] = {}
    # Backwards, so that every annotation finds its children ready.
    for place, row in reversed(list(enumerate(rows))):
        children = tuple(reversed(below.pop(place, [])))
        one = Annotation(row["type"], row["start"], row["end"], row["text"], row["score"], children)
        below.setdefault(row["parent"], []).append(one)
    return tuple(reversed(below.get(None, [])))

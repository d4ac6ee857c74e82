"""Our own table of findings -> annotated documents again."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from core.errors import FormatError
from core.exporters.csv import COLUMNS, FORMULA
from core.readers.files import LIMIT_BYTES
from core.types import AnnotatedDocument, Annotation, Document

_TYPE, _TEXT, _START, _END, _SCORE, _LEVEL = 3, 4, 5, 6, 7, 10
Row = Sequence[str]


def is_own_table(path: Path) -> bool:
    """Whether a CSV file has the columns that this product writes. Raises FormatError when it cannot be read."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return next(csv.reader(file), None) == list(COLUMNS)
    except UnicodeDecodeError:
        return False
    except (OSError, csv.Error) as error:
        raise FormatError(f"无法读取“{path.name}”：{error}。请检查文件。") from error


def read_own_table(path: Path) -> Iterator[AnnotatedDocument]:
    """The documents of a table for which `is_own_table` holds, one at a time.

    Rows one after the other with the same document, name, task and text are one document. Raises FormatError
    naming the row that does not fit.
    """
    csv.field_size_limit(LIMIT_BYTES)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            next(rows)
            numbered = ((number, [_plain(cell) for cell in row]) for number, row in enumerate(rows, 2) if row)
            for _, group in groupby(numbered, key=lambda one: (*one[1][:3], *one[1][-1:])):
                yield _document(list(group), path.name)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"无法读取“{path.name}”：{error}。请检查文件。") from error


def _plain(cell: str) -> str:
    """The cell without the apostrophe that keeps it from being run as a formula."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(FORMULA) else cell


def _document(rows: Sequence[tuple[int, Row]], name: str) -> AnnotatedDocument:
    first = rows[0][1]
    document = Document(first[-1], id=first[0], name=first[1])
    # Annotations that wait for their parent, by level; backwards, so that every one finds its children ready.
    waiting: dict[int, list[Annotation]] = {}
    for number, row in reversed(rows):
        if len(row) != len(COLUMNS):
            raise FormatError(f"“{name}”第 {number} 行有 {len(row)} 列，应为 {len(COLUMNS)} 列。请修正后重试。")
        if not row[_TYPE]:
            continue
        try:
            level, score = int(row[_LEVEL]), float(row[_SCORE])
            start, end = (int(row[place]) if row[place] else None for place in (_START, _END))
        except ValueError as error:
            raise FormatError(f"“{name}”第 {number} 行的层级、开始、结束或得分不是数字。请修正后重试。") from error
        if start is not None and document.text[start:end] != row[_TEXT]:
            raise FormatError(f"“{name}”第 {number} 行：原文的 [{start}, {end}) 处不是“{row[_TEXT]}”。请修正后重试。")
        children = tuple(reversed(waiting.pop(level + 1, [])))
        waiting.setdefault(level, []).append(Annotation(row[_TYPE], start, end, row[_TEXT], score, children))
        _refuse_orphans(waiting, level, place=f"“{name}”第 {number} 行")
    _refuse_orphans(waiting, 1, place=f"“{name}”第 {rows[0][0]} 行")
    return AnnotatedDocument(document, first[2], tuple(reversed(waiting.get(1, []))))


def _refuse_orphans(waiting: Iterable[int], level: int, *, place: str) -> None:
    """Raise FormatError when annotations deeper than `level` wait for a parent that cannot come any more."""
    if level < 1 or any(one > level for one in waiting):
        raise FormatError(f"{place}之后有层级没有上级。请不要删除或重排表中的行，修正后重试。")

"""A table of findings that Chinese Excel opens as it should: marked UTF-8, one row a finding."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from core.exporters.native import SCORE_DIGITS
from core.types import AnnotatedDocument, Annotation

COLUMNS = (
    "文档编号", "文档名称", "任务", "类型", "文本", "开始", "结束", "得分", "上级类型", "上级文本", "层级", "原文",
)  # fmt: skip
EXCEL_CELL_CHARACTERS = 32_767
EXCEL_ROWS = 1_048_576
# What spreadsheet programs take for the start of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Cell = str | int | float | None


def csv_bytes(results: Iterable[AnnotatedDocument]) -> tuple[bytes, list[str]]:
    """The file, and what a reader of it should know.

    One row for each annotation of each tree, parents before children; `层级` is 1 at the top. A document
    without findings has one row whose 类型 is empty. Text that a spreadsheet would run as a formula gets a
    leading apostrophe. Lines end with CR LF.
    """
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    guarded = long_cells = rows = 0
    for result in results:
        for row in _rows(result):
            safe = [_guard(cell) for cell in row]
            guarded += sum(before != after for before, after in zip(row, safe, strict=True))
            long_cells += sum(isinstance(cell, str) and len(cell) > EXCEL_CELL_CHARACTERS for cell in safe)
            rows += 1
            writer.writerow(safe)
    report = []
    if guarded:
        report.append(f"{guarded} 个单元格以 = + - @ 等符号开头，已加前缀 ' 以免被当作公式执行。")
    if long_cells:
        report.append(f"{long_cells} 个单元格超过 {EXCEL_CELL_CHARACTERS} 字符：文件中完整，但 Excel 显示时会截断。")
    if rows >= EXCEL_ROWS:
        report.append(f"共 {rows} 行，超过 Excel 的 {EXCEL_ROWS} 行上限：文件中完整，但 Excel 只显示前面的部分。")
    text = buffer.getvalue()
    data = text.encode("utf-8-sig", errors="backslashreplace")
    return data, report


def _rows(result: AnnotatedDocument) -> Iterator[Sequence[Cell]]:
    document = result.document
    head: tuple[Cell, ...] = (document.id, document.name, result.task)
    if not result.annotations:
        yield (*head, *[None] * 8, document.text)
    for annotation, parent, level in _walk(result.annotations):
        yield (
            *head,
            annotation.type,
            annotation.text,
            annotation.start,
            annotation.end,
            round(annotation.score, SCORE_DIGITS),
            parent.type if parent else None,
            parent.text if parent else None,
            level,
            document.text,
        )


def _walk(
    annotations: Sequence[Annotation], parent: Annotation | None = None, level: int = 1
) -> Iterator[tuple[Annotation, Annotation | None, int]]:
    for annotation in annotations:
        yield annotation, parent, level
        yield from _walk(annotation.children, annotation, level + 1)


def _guard(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell

"""A table of findings that Chinese Excel opens as it should: marked UTF-8, one row a finding."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

from core.exporters.native import SCORE_DIGITS
from core.exporters.report import About, Losses
from core.types import AnnotatedDocument, Annotation

COLUMNS = (
    "文档编号", "文档名称", "任务", "类型", "文本", "开始", "结束", "得分", "上级类型", "上级文本", "层级", "原文",
)  # fmt: skip
EXCEL_CELL_CHARACTERS = 32_767
EXCEL_ROWS = 1_048_576
# What spreadsheet programs take for the start of a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")

Cell = str | int | float | None


def write(results: Iterable[AnnotatedDocument], target: BinaryIO, losses: Losses, about: About) -> None:
    """One row for each annotation of each tree, parents before children; `层级` is 1 at the top.

    A document without findings has one row whose 类型 is empty. Text that a spreadsheet would run as a formula
    gets a leading apostrophe. Lines end with CR LF.
    """
    target.write(b"\xef\xbb\xbf")
    text = io.TextIOWrapper(target, "utf-8", errors="backslashreplace", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    rows = 0
    before: object = None
    for result in results:
        head = (result.document.id, result.document.name, result.task, result.document.text)
        if head == before:
            losses.add("与前一个文档的编号、名称、任务和正文都相同，读回时并为一个", result.document.id)
        before = head
        losses.leave_out(result, ("第二文本", "元数据", "给定的属性词", "指代的候选词和代词", "提示", "出错原因"))
        for row in _rows(result):
            writer.writerow([_guard(cell, losses) for cell in row])
            rows += 1
    if rows >= EXCEL_ROWS:
        losses.add(f"行数超过 Excel 的 {EXCEL_ROWS} 行上限：文件中完整，但 Excel 只显示前面的部分", count=rows)
    text.flush()
    text.detach()  # the target stays open: it is the caller's


def _rows(result: AnnotatedDocument) -> Iterator[Sequence[Cell]]:
    document = result.document
    head: tuple[Cell, ...] = (document.id, document.name, result.task)
    if not result.annotations:
        yield (*head, *[None] * 8, document.text)
    for annotation, parent, level in levels(result.annotations):
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


def levels(
    annotations: Sequence[Annotation], parent: Annotation | None = None, level: int = 1
) -> Iterator[tuple[Annotation, Annotation | None, int]]:
    """Every annotation with its parent and its level from 1, parents first."""
    for annotation in annotations:
        yield annotation, parent, level
        yield from levels(annotation.children, annotation, level + 1)


def _guard(cell: Cell, losses: Losses) -> Cell:
    if not isinstance(cell, str):
        return cell
    if len(cell) > EXCEL_CELL_CHARACTERS:
        losses.add(f"单元格超过 {EXCEL_CELL_CHARACTERS} 字符：文件中完整，但 Excel 显示时会截断", cell)
    # apostrophes of the text's own before such a sign get another one, so that a reader can take it off again
    if cell.lstrip("'").startswith(FORMULA):
        losses.add("以 = + - @ 等符号开头的单元格，已加前缀 ' 以免被当作公式执行", cell)
        return f"'{cell}"
    return cell

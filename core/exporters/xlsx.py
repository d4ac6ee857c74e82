"""An Excel workbook with a sheet for each kind of finding, written row by row."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO

import xlsxwriter  # type: ignore[import-untyped]

from core.exporters.csv import EXCEL_CELL_CHARACTERS, EXCEL_ROWS, levels
from core.exporters.graph import class_paths, walk
from core.exporters.native import SCORE_DIGITS
from core.exporters.report import About, Losses
from core.types import AnnotatedDocument, Annotation

Cell = str | int | float | None
_ILLEGAL = re.compile("[\ud800-\udfff\ufffe\uffff]")
SPAN = ("类型", "文本", "开始", "结束")
SHEETS: dict[str, tuple[str, ...]] = {
    "文档": ("序号", "文档编号", "文档名称", "任务", "字符数", "窗口数", "原文", "第二文本", "元数据", "提示",
           "出错原因"),
    "实体": ("序号", "文档编号", "编号", "上级编号", "层级", *SPAN, "得分"),
    "关系": ("序号", "文档编号", "关系", *(f"主语{one}" for one in SPAN), *(f"宾语{one}" for one in SPAN), "得分"),
    "事件": ("序号", "文档编号", "事件编号", "事件类型", "触发词", "触发词开始", "触发词结束", "角色", "论元", "开始",
           "结束", "得分"),
    "分类": ("序号", "文档编号", "对象", "类别", "得分", "上级编号", "各级编号", "各级得分"),
    "长文本": ("序号", "工作表", "行", "列", "段", "内容"),
}  # fmt: skip


class _Sheet:
    """One table; it goes on in a further worksheet when the worksheet is full."""

    def __init__(self, book: xlsxwriter.Workbook, name: str, *, rows: int) -> None:
        self._book, self.name, self._limit = book, name, rows
        self._parts = 0
        self._row = rows

    def append(self, cells: Sequence[Cell]) -> tuple[str, int]:
        """Write a row of finished cells; returns its worksheet and its number as Excel shows it."""
        if self._row >= self._limit:
            self._open()
        self._cells(cells)
        return self._title, self._row

    def _open(self) -> None:
        self._parts += 1
        self._title = self.name if self._parts == 1 else f"{self.name}-{self._parts}"
        self._sheet = self._book.add_worksheet(self._title)
        self._sheet.freeze_panes(1, 0)
        self._row = 0
        self._cells(SHEETS[self.name])

    def _cells(self, cells: Sequence[Cell]) -> None:
        for column, cell in enumerate(cells):
            if isinstance(cell, str) and cell:
                # write_string never makes a formula, a link or a number of a text
                self._sheet.write_string(self._row, column, cell)
            elif isinstance(cell, int | float):
                self._sheet.write_number(self._row, column, cell)
        self._row += 1

    def finish(self) -> int:
        """Make the sheet if it has no rows; returns how many worksheets it took."""
        if not self._parts:
            self._open()
        return self._parts


def write(
    results: Iterable[AnnotatedDocument], target: BinaryIO, losses: Losses, about: About, *, rows: int = EXCEL_ROWS
) -> None:
    """A workbook with the sheets of `SHEETS`; `序号` ties their rows to the rows of 文档.

    Text is always text, never a formula or a link. A text longer than a cell may be is cut there and goes on in the
    sheet 长文本; a sheet longer than `rows` goes on in a further one.
    """
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(target, options) as book:
        book.set_properties({"title": "标注结果", "comments": f"{about.model} {about.revision}".strip()})
        sheets = {name: _Sheet(book, name, rows=rows) for name in SHEETS}

        def add(name: str, number: int, *cells: Cell) -> None:
            row = [_clean(cell, losses) for cell in (number, *cells)]
            shown = [_fit(cell) for cell in row]
            worksheet, place = sheets[name].append(shown)
            if shown == row:
                return
            for title, whole, part in zip(SHEETS[name], row, shown, strict=True):
                if isinstance(whole, str) and isinstance(part, str) and len(part) < len(whole):
                    losses.add(f"超过 {EXCEL_CELL_CHARACTERS} 字符的单元格在工作表“长文本”中续写", whole)
                    for piece, text in enumerate(_pieces(whole[len(part) :]), 2):
                        sheets["长文本"].append((number, worksheet, place, title, piece, text))

        for number, result in enumerate(results, 1):
            losses.leave_out(result, ("给定的属性词", "指代的候选词和代词"))
            _document(result, number, add)
        for sheet in sheets.values():
            if sheet.finish() > 1:
                losses.add(f"行数超过 Excel 上限，工作表“{sheet.name}”分成几张", count=sheet.finish())


def _document(result: AnnotatedDocument, number: int, add: Callable[..., None]) -> None:
    document = result.document
    metadata = json.dumps(dict(document.metadata), ensure_ascii=False) if document.metadata else None
    notes = "\n".join(result.notes)
    facts = (document.id, document.name, result.task, len(document.text), result.windows)
    add("文档", number, *facts, document.text, document.text_pair, metadata, notes, result.error)
    numbers: dict[int, int] = {}
    for place, (one, parent, level) in enumerate(levels(result.annotations), 1):
        # one object may stand at several places: a parent's number is that of the place passed last
        numbers[id(one)] = place
        if not _is_class(one):
            above = numbers[id(parent)] if parent else None
            add("实体", number, document.id, place, above, level, *_span(one), _score(one))
        if parent is not None and one.start is not None and not _is_event(parent, result.task, level - 1):
            add("关系", number, document.id, one.type, *_span(parent), *_span(one), _score(one))
    events = [one for one in result.annotations if _is_event(one, result.task, 1)]
    for place, event in enumerate(events, 1):
        head = (document.id, place, event.type, event.text, event.start, event.end)
        for role in event.children:
            add("事件", number, *head, role.type, role.text, role.start, role.end, _score(role))
        if not event.children:
            add("事件", number, *head, None, None, None, None, _score(event))
    for place, (one, parent, _) in enumerate(levels(result.annotations), 1):
        numbers[id(one)] = place
        if _is_class(one) and (parent is None or not _is_class(parent)):
            above = numbers[id(parent)] if parent else None
            for path, places in zip(class_paths(one), _class_places(one, place), strict=True):
                scores = [round(score, SCORE_DIGITS) for score in path.scores]
                joined = ("/".join(map(str, places)), "/".join(map(str, scores)))
                owner = parent.text if parent else None
                add("分类", number, document.id, owner, path.name, scores[-1], above, *joined)


def _is_class(annotation: Annotation) -> bool:
    """Whether neither the annotation nor anything below it has words."""
    return all(one.start is None and not one.text for one in walk((annotation,)))


def _class_places(annotation: Annotation, place: int) -> list[tuple[int, ...]]:
    """For each of `class_paths` the numbers of its classes, counted on from `place` as `levels` counts."""
    if not annotation.children:
        return [(place,)]
    paths = []
    following = place + 1
    for child in annotation.children:
        paths += [(place, *below) for below in _class_places(child, following)]
        following += sum(1 for _ in walk((child,)))
    return paths


def _is_event(annotation: Annotation, task: str, level: int) -> bool:
    return level == 1 and annotation.start is not None and (task == "ee" or "触发词" in annotation.type)


def _span(annotation: Annotation) -> tuple[Cell, ...]:
    return annotation.type, annotation.text, annotation.start, annotation.end


def _score(annotation: Annotation) -> float:
    return round(annotation.score, SCORE_DIGITS)


def _clean(cell: Cell, losses: Losses) -> Cell:
    """The cell without what XML cannot spell: halves of surrogate pairs and U+FFFE, U+FFFF."""
    if not isinstance(cell, str) or not _ILLEGAL.search(cell):
        return cell
    legal = _ILLEGAL.sub("\ufffd", cell)
    losses.add("XML 不允许的字符改写为 �", legal)
    return legal


def _fit(cell: Cell) -> Cell:
    """The beginning of a text that fits a cell; most texts as they are."""
    if not isinstance(cell, str) or 2 * len(cell) <= EXCEL_CELL_CHARACTERS:
        return cell
    return next(_pieces(cell))


def _pieces(text: str) -> Iterator[str]:
    """The text in pieces that fit a cell; Excel counts UTF-16 units, two for a character beyond the first plane."""
    while text:
        piece = text[:EXCEL_CELL_CHARACTERS]
        while (units := len(piece) + sum(one > "\uffff" for one in piece)) > EXCEL_CELL_CHARACTERS:
            piece = piece[: len(piece) - (units - EXCEL_CELL_CHARACTERS + 1) // 2]
        yield piece
        text = text[len(piece) :]

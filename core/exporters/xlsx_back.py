"""Our own workbook of findings -> annotated documents again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import FormatError
from core.exporters.xlsx import SHEETS
from core.readers.annotated.graph import split_path
from core.readers.kinds import is_zip
from core.readers.sandbox import extract
from core.readers.source import from_path
from core.types import AnnotatedDocument, Annotation, Document

_TABLES = ("文档", "实体", "分类")
Row = dict[str, str]


@dataclass(slots=True)
class _Node:
    """An annotation whose children are not known yet."""

    type: str
    start: int | None
    end: int | None
    text: str
    score: float
    parent: int | None


@dataclass(slots=True)
class _Book:
    """The rows of the tables by `序号`, each with the worksheet and row where it stands."""

    rows: dict[str, dict[str, list[tuple[str, Row]]]] = field(default_factory=lambda: {name: {} for name in _TABLES})


def is_own_workbook(path: Path) -> bool:
    """Whether a file is a workbook whose first sheet has the columns that this product writes."""
    source = from_path(path)
    if not is_zip(source.head(8)):
        return False
    messages = extract(source, "cells")
    try:
        first = next((one for one in messages if one[0] == "row"), None)
    except FormatError:
        return False  # the reader of foreign tables says what is wrong
    finally:
        messages.close()  # type: ignore[attr-defined]
    return first is not None and first[1] == "文档" and tuple(first[3]) == SHEETS["文档"]


def read_own_workbook(path: Path) -> Iterator[AnnotatedDocument]:
    """The documents of a workbook for which `is_own_workbook` holds; its tables are in memory meanwhile.

    Raises FormatError naming the sheet and row that do not fit.
    """
    book = _read(path)
    for number, ((place, row), *more) in book.rows["文档"].items():
        if more:
            raise FormatError(f"{more[0][0]}：序号 {number} 出现了两次。请修正后重试。")
        nodes: dict[int, _Node] = {}
        document = _document(row, place)
        for where, one in book.rows["实体"].get(number, ()):
            _entity(one, nodes, document.text, where)
        for where, one in book.rows["分类"].get(number, ()):
            _classes(one, nodes, where)
        notes = tuple(row["提示"].split("\n")) if row["提示"] else ()
        annotations = _trees(nodes, f"“{path.name}”序号 {number}")
        yield AnnotatedDocument(
            document, row["任务"], annotations, _number(row["窗口数"], place), notes=notes, error=row["出错原因"]
        )


def _read(path: Path) -> _Book:
    book = _Book()
    rows: dict[tuple[str, str], Row] = {}
    headings: dict[str, Sequence[str]] = {}
    for message in extract(from_path(path), "cells"):
        if message[0] != "row":
            continue
        _, sheet, number, cells = message
        name = sheet.partition("-")[0]
        if name not in (*_TABLES, "长文本"):
            continue
        place = f"“{path.name}”工作表“{sheet}”第 {number} 行"
        if sheet not in headings:
            headings[sheet] = cells
            missing = [title for title in SHEETS[name] if title not in cells]
            if missing:
                raise FormatError(f"{place}没有列 {'、'.join(missing)}。请用本程序重新导出。")
            continue
        row = {title: "" for title in SHEETS[name]} | dict(zip(headings[sheet], cells, strict=False))
        if name == "长文本":
            whole = rows.get((row["工作表"], row["行"]))
            if whole is None or row["列"] not in whole:
                raise FormatError(f"{place}续写的单元格不存在。请不要删除或重排表中的行，修正后重试。")
            whole[row["列"]] += row["内容"]
            continue
        rows[sheet, str(number)] = row
        book.rows[name].setdefault(row["序号"], []).append((place, row))
    for name in ("实体", "分类"):
        for number, found in book.rows[name].items():
            if number not in book.rows["文档"]:
                raise FormatError(f"{found[0][0]}：序号 {number} 不在工作表“文档”中。请修正后重试。")
    return book


def _document(row: Row, place: str) -> Document:
    try:
        metadata = json.loads(row["元数据"]) if row["元数据"] else {}
    except ValueError as error:
        raise FormatError(f"{place}的元数据不是 JSON（{error}）。请修正后重试。") from error
    if not isinstance(metadata, Mapping):
        raise FormatError(f"{place}的元数据不是 JSON 对象。请修正后重试。")
    return Document(
        row["原文"],
        id=row["文档编号"],
        name=row["文档名称"],
        text_pair=row["第二文本"] or None,
        metadata={str(key): str(value) for key, value in metadata.items()},
    )


def _entity(row: Row, nodes: dict[int, _Node], text: str, place: str) -> None:
    start, end = (None if row[name] == "" else _number(row[name], place) for name in ("开始", "结束"))
    if start is not None and text[start:end] != row["文本"]:
        raise FormatError(f"{place}：原文的 [{start}, {end}) 处不是“{row['文本']}”。请修正后重试。")
    above = _number(row["上级编号"], place) if row["上级编号"] else None
    score = _score(row["得分"], place)
    _put(nodes, _number(row["编号"], place), _Node(row["类型"], start, end, row["文本"], score, above), place)


def _classes(row: Row, nodes: dict[int, _Node], place: str) -> None:
    names = split_path(row["类别"])
    numbers = [_number(one, place) for one in row["各级编号"].split("/")]
    scores = [_score(one, place) for one in row["各级得分"].split("/")]
    if not len(names) == len(numbers) == len(scores):
        raise FormatError(f"{place}：类别、各级编号、各级得分的层数不同。请修正后重试。")
    above = _number(row["上级编号"], place) if row["上级编号"] else None
    for name, number, score in zip(names, numbers, scores, strict=True):
        node = _Node(name, None, None, "", score, above)
        if nodes.get(number) != node:
            _put(nodes, number, node, place)
        above = number


def _put(nodes: dict[int, _Node], number: int, node: _Node, place: str) -> None:
    if number in nodes:
        raise FormatError(f"{place}：编号 {number} 出现了两次。请修正后重试。")
    if node.parent is not None and node.parent >= number:
        raise FormatError(f"{place}：上级编号 {node.parent} 应小于编号 {number}。请修正后重试。")
    nodes[number] = node


def _trees(nodes: dict[int, _Node], place: str) -> tuple[Annotation, ...]:
    below: dict[int | None, list[Annotation]] = {}
    # backwards, so that every annotation finds its children ready
    for number, one in sorted(nodes.items(), reverse=True):
        if one.parent is not None and one.parent not in nodes:
            raise FormatError(f"{place}：编号 {number} 的上级 {one.parent} 不存在。请不要删除表中的行，修正后重试。")
        children = tuple(reversed(below.pop(number, [])))
        below.setdefault(one.parent, []).append(Annotation(one.type, one.start, one.end, one.text, one.score, children))
    return tuple(reversed(below.get(None, [])))


def _number(cell: str, place: str) -> int:
    try:
        return int(cell)
    except ValueError as error:
        raise FormatError(f"{place}：“{cell}”应为整数。请修正后重试。") from error


def _score(cell: str, place: str) -> float:
    try:
        return float(cell)
    except ValueError as error:
        raise FormatError(f"{place}：得分“{cell}”不是数字。请修正后重试。") from error

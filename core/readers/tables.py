"""CSV and TSV -> documents: finds the delimiter, the header, and which columns hold text, second text and id."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath
from typing import NamedTuple

from core.errors import FormatError
from core.readers import columns as known
from core.readers.report import Parsed, numbered
from core.types import Document

_DELIMITERS = (",", "\t", ";", "|")
_SAMPLE_CHARACTERS = 65_536
# A cell may hold a whole document; the library's own limit is 131,072.
_CELL_CHARACTERS = 2**30
_HEADER_CHARACTERS = 20
# The text column is taken by length only when it is this many times longer than the next.
_CLEARLY_LONGER = 2.0


class Row(NamedTuple):
    """One record and the line of the file that it starts at, counted from 1."""

    line: int
    cells: list[str]


def parse_table(text: str, name: str, *, tabs: bool = False, text_column: str | None = None) -> Parsed:
    """One document a row; columns that are not text, second text or id become metadata.

    `text_column` names the text column. Raises FormatError, naming the columns, when it does not exist or
    when none is named and several could be meant; and, naming the line, when quotes do not pair up.
    """
    rows = _records(text, tabs)
    if not rows:
        raise FormatError(f"“{name}”中没有任何行。请检查文件内容。")
    names, body, notes = _header(rows, text_column)
    if not body:
        raise FormatError(f"“{name}”只有表头（{'、'.join(names)}），没有数据行。请补充内容后重新导入。")
    text_name = _choose_text(names, body, text_column=text_column)
    others = [column for column in names if column != text_name]
    pair_name, id_name = known.find(others, known.TEXT_PAIR), known.find(others, known.ID)
    notes.append(f"正文列：{text_name}" + (f"；第二文本列：{pair_name}" if pair_name else ""))

    stem = PurePath(name).stem
    documents: list[Document] = []
    blank: list[int] = []
    short: list[int] = []
    long: list[int] = []
    for number, row in enumerate(body, start=1):
        if len(row.cells) != len(names):
            (short if len(row.cells) < len(names) else long).append(row.line)
        values = dict(zip(_extended(names, len(row.cells)), row.cells, strict=False))
        content = values.pop(text_name, "")
        if not content.strip():
            blank.append(row.line)
            continue
        pair = values.pop(pair_name, "") if pair_name else None
        external_id = values.pop(id_name, "").strip() if id_name else ""
        documents.append(
            Document(content, id=external_id or f"{stem}-{number}", name=name, text_pair=pair, metadata=values)
        )
    problems = (
        *numbered(blank, "的正文为空，已跳过"),
        *numbered(short, "的列数少于表头，缺少的列按没有处理"),
        *numbered(long, "的列数多于表头，多出的内容保存为附加列"),
    )
    return Parsed(tuple(documents), (None,) * len(documents), problems, tuple(notes), tuple(names))


def _records(text: str, tabs: bool) -> list[Row]:
    delimiter = "\t" if tabs else _delimiter(text)
    try:
        rows = _read(text, delimiter, quoting=csv.QUOTE_MINIMAL)
    except FormatError:
        if not tabs:
            raise
        # Many programs write tab-separated text without quoting: there a quote is just a character.
        return _read(text, delimiter, quoting=csv.QUOTE_NONE)
    if tabs and any("\n" in cell and "\t" in cell for row in rows for cell in row.cells):
        return _read(text, delimiter, quoting=csv.QUOTE_NONE)
    return rows


def _read(text: str, delimiter: str, *, quoting: int) -> list[Row]:
    """All records but wholly empty ones. Raises FormatError naming the line when quotes do not pair up."""
    before = csv.field_size_limit(_CELL_CHARACTERS)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, strict=True)  # type: ignore[arg-type]
    rows, line = [], 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append(Row(line, cells))
            line = reader.line_num + 1
    except csv.Error as error:
        raise FormatError(
            f"从第 {line} 行开始的记录无法读取：引号不成对（{error}）。"
            '单元格内的引号请写成两个（""），整个单元格再用引号括起来。'
        ) from error
    finally:
        csv.field_size_limit(before)
    return rows


def _delimiter(text: str) -> str:
    """The delimiter that cuts most lines into one same number of columns; a comma when none does."""
    sample = text[:_SAMPLE_CHARACTERS]
    if len(text) > len(sample):
        sample = sample.rpartition("\n")[0]

    def fitness(delimiter: str) -> tuple[float, int]:
        rows = [cells for cells in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter) if cells]
        widths = Counter(len(cells) for cells in rows)
        width, count = widths.most_common(1)[0] if widths else (1, 0)
        return (count / len(rows), width) if width > 1 else (0.0, width)

    return max(_DELIMITERS, key=fitness)


def _header(rows: list[Row], text_column: str | None) -> tuple[list[str], list[Row], list[str]]:
    """Column names, the rows below, and what was assumed."""
    first = [cell.strip() for cell in rows[0].cells]
    if text_column in first or known.find(first, (*known.TEXT, *known.TEXT_PAIR, *known.ID)) is not None:
        return _unique(first), rows[1:], []
    if len(first) > 1 and _looks_like_header(first):
        return _unique(first), rows[1:], ["第一行看来是表头，没有作为数据读取"]
    names = _extended([], len(first))
    return names, rows, ["第一行不像表头，已作为数据读取，列名为 " + "、".join(names)]


def _looks_like_header(cells: Sequence[str]) -> bool:
    short = all(0 < len(cell) <= _HEADER_CHARACTERS and not _numeric(cell) for cell in cells)
    return short and len(set(cells)) == len(cells)


def _numeric(cell: str) -> bool:
    return any(character.isdigit() for character in cell) and not any(character.isalpha() for character in cell)


def _unique(names: Sequence[str]) -> list[str]:
    """Blank names become "列N"; a repeated name gets its column number, so that no cell hides another."""
    result: list[str] = []
    for number, name in enumerate(names, start=1):
        name = name or f"列{number}"
        while name in result:
            name = f"{name}_{number}"
        result.append(name)
    return result


def _extended(names: list[str], width: int) -> list[str]:
    return _unique([*names, *[""] * (width - len(names))])


def _choose_text(names: list[str], body: list[Row], *, text_column: str | None) -> str:
    listed = "、".join(names)
    if text_column is not None:
        if text_column not in names:
            raise FormatError(f"没有名为“{text_column}”的列。现有的列：{listed}。请从中选择正文列。")
        return text_column
    named = known.find(names, known.TEXT)
    if named is not None:
        return named
    lengths = sorted(((_mean_length(body, index), column) for index, column in enumerate(names)), reverse=True)
    if len(lengths) == 1 or lengths[0][0] >= _CLEARLY_LONGER * lengths[1][0]:
        return lengths[0][1]
    raise FormatError(f"无法确定哪一列是正文。现有的列：{listed}。请指定正文列，或把它的列名改为 text 或“内容”。")


def _mean_length(body: list[Row], index: int) -> float:
    cells = [row.cells[index] for row in body if len(row.cells) > index and not _numeric(row.cells[index])]
    return sum(map(len, cells)) / len(cells) if cells else 0.0

"""CSV and TSV -> documents, record by record: finds the delimiter and whether quotes mean anything."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from typing import TextIO

from core.errors import FormatError
from core.readers.encoding import Found, find_encoding, open_text
from core.readers.options import ReadOptions
from core.readers.report import Account, Item, Tally
from core.readers.rows import Row, read_rows
from core.readers.source import Source

_DELIMITERS = (",", "\t", ";", "|")
_SAMPLE_CHARACTERS = 65_536
# One record may be as long as this; more is a quote that was never closed, or no table at all.
RECORD_CHARACTERS = 32 * 2**20
# Excel has 16,384.
COLUMNS = 20_000

# A cell may hold a whole document. The limit belongs to the whole process, so it is set once.
csv.field_size_limit(2 * RECORD_CHARACTERS)


def read_table(source: Source, options: ReadOptions, *, account: Account) -> Iterator[Item]:
    """One document a record. The whole file is checked before the first document is given.

    Raises FormatError for columns that cannot be found (see `read_rows`) and, naming the line, when quotes do
    not pair up.
    """
    found = find_encoding(source.chunks, encoding=options.encoding)
    account.encoding = found.encoding
    if found.note:
        account.notes.append(found.note)
    tabs = source.extension == "tsv"
    with open_text(source, found) as text:
        delimiter = "\t" if tabs else _delimiter(text.read(_SAMPLE_CHARACTERS + 1))
    quoting = _check(source, found, delimiter=delimiter, tabs=tabs)
    empty = Tally()
    rows = _records(source, found, delimiter=delimiter, quoting=quoting, empty=empty)
    for _, item in read_rows(rows, options, title=source.name, name=source.name, stem=source.stem, account=account):
        yield item
    if empty.count:
        account.notes.append(f"跳过 {empty.count} 个所有单元格都为空的行")


def _check(source: Source, found: Found, *, delimiter: str, tabs: bool) -> int:
    """Read every record once; the quoting under which the file makes sense."""
    try:
        for row in _records(source, found, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL):
            if tabs and any("\n" in cell and "\t" in cell for cell in row.cells):
                return csv.QUOTE_NONE
    except FormatError:
        if not tabs:
            raise
        # Many programs write tab-separated text without quoting: there a quote is just a character.
        return csv.QUOTE_NONE
    return csv.QUOTE_MINIMAL


def _records(
    source: Source, found: Found, *, delimiter: str, quoting: int, empty: Tally | None = None
) -> Iterator[Row]:
    """All records but wholly empty ones, which `empty` counts unless they are blank lines.

    Raises FormatError naming the line when quotes do not pair up.
    """
    with open_text(source, found) as text:
        lines = _Lines(text)
        reader = csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True)  # type: ignore[arg-type]
        line = 1
        try:
            for cells in reader:
                if len(cells) > COLUMNS:
                    raise FormatError(
                        f"第 {line} 行有 {len(cells)} 列，超过上限 {COLUMNS}。请检查分隔符，或拆分后重新导入。"
                    )
                if any(cell.strip() for cell in cells):
                    yield Row(line, cells)
                elif cells and empty is not None:
                    empty.add(line)
                line = reader.line_num + 1
                lines.waiting = 0
        except (csv.Error, _TooLong) as error:
            reason = "引号不成对" if isinstance(error, csv.Error) else "太长"
            raise FormatError(
                f"从第 {line} 行开始的记录无法读取：{reason}（{error}）。"
                '单元格内的引号请写成两个（""），整个单元格再用引号括起来。'
            ) from error


class _TooLong(Exception):
    """A record beyond the limit."""


class _Lines:
    """The lines of a file; `waiting` counts the characters given since the reader last finished a record."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self.waiting = 0

    def __iter__(self) -> Iterator[str]:
        while line := self._text.readline(RECORD_CHARACTERS):
            self.waiting += len(line)
            if self.waiting >= RECORD_CHARACTERS:
                raise _TooLong(f"超过 {RECORD_CHARACTERS // 2**20} 百万字符")
            yield line


def _delimiter(sample: str) -> str:
    """The delimiter that cuts most lines into one same number of columns; a comma when none does."""
    if len(sample) > _SAMPLE_CHARACTERS:
        sample = sample.rpartition("\n")[0] or sample

    def fitness(delimiter: str) -> tuple[float, int]:
        rows = [cells for cells in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter) if cells]
        widths = Counter(len(cells) for cells in rows)
        width, count = widths.most_common(1)[0] if widths else (1, 0)
        return (count / len(rows), width) if width > 1 else (0.0, width)

    return max(_DELIMITERS, key=fitness)

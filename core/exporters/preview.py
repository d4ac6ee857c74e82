"""The beginning of an exported file, as a program that opens it would show it."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from core.errors import FormatError

ROWS = 20
CHARACTERS = 2_000
"""Of one line or cell; what is cut off ends in an ellipsis."""
PAGE_CHARACTERS = 200_000
MEMBERS = 5
# A workbook can be read as a whole only.
WORKBOOK_BYTES = 20 << 20


@dataclass(frozen=True, slots=True)
class Preview:
    """The beginning of a file, of a sheet or of a file in an archive, which `name` tells: one of the three is filled.

    lines: of a text. columns, rows: of a table, every cell as text. page: of HTML, as it is written.
    """

    name: str = ""
    lines: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    page: str = ""


def preview(path: Path) -> list[Preview]:
    """The first `ROWS` lines or rows of an export; none of a workbook of more than `WORKBOOK_BYTES`.

    Raises FormatError when the file cannot be read.
    """
    try:
        match path.suffix:
            case ".csv":
                return [_csv(path)]
            case ".xlsx":
                return _sheets(path) if path.stat().st_size <= WORKBOOK_BYTES else []
            case ".parquet":
                return [_parquet(path)]
            case ".zip":
                return _members(path)
            case ".html":
                with path.open(encoding="utf-8") as file:
                    return [Preview(page=file.read(PAGE_CHARACTERS))]
        with path.open("rb") as source:
            return [Preview(lines=_lines(source))]
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise FormatError(f"“{path.name}”的开头读不出来（{error}）。请重新导出。") from error


def _cut(value: str) -> str:
    return value if len(value) <= CHARACTERS else value[:CHARACTERS] + "…"


def _lines(source: BinaryIO) -> tuple[str, ...]:
    text = io.TextIOWrapper(source, "utf-8", errors="replace", newline="\n")
    return tuple(_cut(line.rstrip("\r\n")) for line in islice(text, ROWS))


def _table(name: str, rows: Iterable[Iterable[Any]]) -> Preview:
    """The first of the rows names the columns."""
    columns, *others = [tuple(_shown(cell) for cell in row) for row in rows] or [()]
    return Preview(name, columns=columns, rows=tuple(others))


def _shown(cell: Any) -> str:
    if isinstance(cell, float) and cell.is_integer():  # a workbook knows no other numbers
        cell = int(cell)
    return "" if cell is None else _cut(str(cell))


def _csv(path: Path) -> Preview:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return _table("", islice(csv.reader(file), ROWS + 1))


def _sheets(path: Path) -> list[Preview]:
    from python_calamine import CalamineError, CalamineWorkbook  # needed only here

    try:
        with CalamineWorkbook.from_path(path) as book:
            return [
                _table(name, book.get_sheet_by_name(name).to_python(skip_empty_area=False, nrows=ROWS + 1))
                for name in book.sheet_names
            ]
    except CalamineError as error:
        raise ValueError(error) from error


def _parquet(path: Path) -> Preview:
    import pyarrow.parquet as pq  # slow to import, needed only here

    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        batch = next(file.iter_batches(batch_size=ROWS), None)
        rows = batch.to_pylist() if batch is not None else []
    return _table("", [names, *([_cell(row[name]) for name in names] for row in rows)])


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


def _members(path: Path) -> list[Preview]:
    with zipfile.ZipFile(path) as archive:
        found = []
        for name in archive.namelist()[:MEMBERS]:
            with archive.open(name) as file:
                found.append(Preview(name, lines=_lines(file)))  # type: ignore[arg-type]
        return found

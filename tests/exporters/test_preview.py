"""The beginning of every exported file can be shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import FormatError
from core.exporters import FORMATS, write_file
from core.exporters.preview import CHARACTERS, ROWS, preview
from core.exporters.round_trip import samples
from core.types import AnnotatedDocument, Annotation, Document

TEXT = "张伟在合肥买了冰箱。"


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_shows_how_its_file_begins(format: str, tmp_path: Path) -> None:
    path = tmp_path / f"file{FORMATS[format].suffix}"
    write_file(samples(), format, path=path)
    parts = preview(path)
    assert parts
    for part in parts:
        assert sum(map(bool, (part.lines, part.columns, part.page))) <= 1
        assert len(part.lines) <= ROWS and len(part.rows) <= ROWS
        assert all(len(row) == len(part.columns) for row in part.rows)
    assert any(part.lines or part.rows or part.page for part in parts)


def test_long_files_and_long_lines_are_cut_where_it_is_seen(tmp_path: Path) -> None:
    found = (Annotation("人物", 0, 2, "张伟", 0.9),)
    many = [AnnotatedDocument(Document(TEXT * 400, id=str(number)), "ner", found) for number in range(ROWS + 5)]
    for format in ("native", "csv", "xlsx", "parquet"):
        path = tmp_path / f"file{FORMATS[format].suffix}"
        write_file(many, format, path=path)
        part = preview(path)[0]
        assert len(part.lines or part.rows) == ROWS
        longest = max(part.lines, default="") or max((cell for row in part.rows for cell in row), key=len)
        assert len(longest) == CHARACTERS + 1 and longest.endswith("…")


def test_numbers_of_a_workbook_are_shown_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "file.xlsx"
    write_file([AnnotatedDocument(Document(TEXT), "ner", (Annotation("人物", 0, 2, "张伟", 0.25),))], "xlsx", path=path)
    entities = next(part for part in preview(path) if part.name == "实体")
    [row] = entities.rows
    assert {"0", "2", "0.25"} <= set(row)


def test_a_damaged_file_is_told_by_its_name(tmp_path: Path) -> None:
    for name in ("a.zip", "b.xlsx", "c.parquet"):
        (tmp_path / name).write_bytes(b"PK\x03\x04 nothing")
        with pytest.raises(FormatError, match=name):
            preview(tmp_path / name)

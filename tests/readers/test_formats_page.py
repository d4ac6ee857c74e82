"""The page on importing says what the code does."""

from __future__ import annotations

from pathlib import Path

from core.readers.annotated.files import annotated_table
from core.readers.files import formats_table


def test_the_tables_of_formats_are_the_code_s(repository: Path) -> None:
    page = (repository / "docs" / "formats-import.md").read_text("utf-8")
    assert formats_table() in page
    assert annotated_table() in page

"""An Excel workbook -> its rows with every character of the cells as it was written: to read our own workbooks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.extraction import workbook


def extract(path: Path) -> Iterator[list[Any]]:
    """As `workbook.extract`, with line ends as they were. Raises FormatError."""
    return workbook.extract(path, text=_exact)


def _exact(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)

"""JSON lines in UTF-8 without a mark, lines ended by a line feed."""

from __future__ import annotations

import json
from typing import Any, BinaryIO


def write_line(target: BinaryIO, value: Any) -> None:
    """Write one JSON value and a line feed."""
    target.write(encode(json.dumps(value, ensure_ascii=False) + "\n"))


def encode(text: str) -> bytes:
    """UTF-8; half a surrogate pair, which has none, as its backslash escape: its proper spelling in JSON."""
    return text.encode("utf-8", errors="backslashreplace")

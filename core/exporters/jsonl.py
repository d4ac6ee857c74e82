"""JSON lines in UTF-8 without a mark, lines ended by a line feed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from core.types import AnnotatedDocument


def jsonl_bytes(results: Iterable[AnnotatedDocument], form: Callable[[AnnotatedDocument], dict[str, Any]]) -> bytes:
    """One line for each document, in the given form (`to_dict` or `to_rex`)."""
    lines = (json.dumps(form(result), ensure_ascii=False) + "\n" for result in results)
    # Half a surrogate pair has no UTF-8; its backslash escape is its proper JSON spelling.
    return "".join(lines).encode("utf-8", errors="backslashreplace")

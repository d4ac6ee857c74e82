"""The reference's result form: one list of paths a document (SPEC 8)."""

from __future__ import annotations

from typing import Any

from core.types import AnnotatedDocument


def to_rex(result: AnnotatedDocument) -> dict[str, Any]:
    """{"id"?, "output": [[{"type", "span", "offset": [start, end]}, …], …]}: parents first, end exclusive.

    Offsets count in the text given to the model, which for some tasks is longer than the document's.
    """
    output = [
        [{"type": link.type, "span": link.text, "offset": [link.start, link.end]} for link in path]
        for path in result.paths
    ]
    return {"id": result.document.id, "output": output} if result.document.id else {"output": output}

"""Steps that the readers of annotated files share: values checked, documents made, spans placed, tasks named."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

from core.errors import InputError
from core.readers.annotated.align import Claim, align
from core.readers.annotated.graph import ClassPath, Edge, Mark, trees
from core.readers.annotated.ledger import Ledger
from core.readers.jsonl import document_from_json
from core.types import AnnotatedDocument, Document


def make_document(fields: Mapping[str, Any], metadata: Mapping[str, Any], *, default_id: str) -> Document:
    """A document from text, id, name and text_pair, and what else the file says of it. Raises InputError."""
    known = {key: fields[key] for key in ("text", "id", "name", "text_pair") if fields.get(key) is not None}
    document, _ = document_from_json({**known, "metadata": dict(metadata)}, default_id=default_id)
    return document


def whole(value: Any, what: str) -> int:
    """A whole number. Raises InputError."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{what}应为整数，而不是 {json.dumps(value, ensure_ascii=False)[:40]}")
    return value


def text_of(value: Any, what: str) -> str:
    """A text that is not empty. Raises InputError."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip() or any("\ud800" <= c <= "\udfff" or c == "\x00" for c in value):
        raise InputError(f"{what}应为非空的文字")
    return value


def score_of(value: Any) -> float:
    """A score in [0, 1]; 1 when there is none, for what people marked is certain."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    return 1.0


def items(value: Any, what: str) -> list[Any]:
    """A list, empty for nothing. Raises InputError."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise InputError(f"{what}应为列表")
    return value


def place_marks(
    text: str, marks: Sequence[tuple[Hashable, str, Claim, float]], *, ledger: Ledger, place: str
) -> dict[Hashable, Mark]:
    """Marks by key from (key, label, claim, score); those that cannot be placed are reported and left out."""
    bounds = align(text, [claim for _, _, claim, _ in marks], ledger=ledger, place=place)
    return {
        key: Mark(*found, text[slice(*found)], label, score)
        for (key, label, _, score), found in zip(marks, bounds, strict=True)
        if found is not None
    }


def known_edges(edges: Iterable[Edge], marks: Mapping[Hashable, Mark], *, ledger: Ledger, place: str) -> list[Edge]:
    """The edges whose ends are both there; the others are reported."""
    kept = []
    for edge in edges:
        missing = [str(end) for end in (edge.head, edge.tail) if end not in marks]
        if missing:
            ledger.problem(place, f"关系“{edge.name}”的一端（{'、'.join(missing)}）不存在，已丢弃。")
        else:
            kept.append(edge)
    return kept


def finish(
    document: Document,
    marks: dict[Hashable, Mark],
    edges: Sequence[Edge],
    *,
    classes: Sequence[ClassPath] = (),
    task: Any = None,
    windows: Any = None,
    events: bool = False,
) -> AnnotatedDocument:
    """The annotated document; without a task in the file it is named by what was found."""
    if not isinstance(task, str) or not task:
        task = "ee" if events else "re" if edges else "classification" if classes and not marks else "ner"
    number = windows if isinstance(windows, int) and windows > 0 else 1
    return AnnotatedDocument(document, task, trees(marks, edges, classes), windows=number)

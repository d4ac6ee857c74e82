"""Our own result lines: documents with their annotation trees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from core.errors import InputError
from core.readers.annotated.align import Claim, align
from core.readers.annotated.build import items, score_of, text_of, whole
from core.readers.annotated.graph import MAX_DEPTH
from core.readers.annotated.ledger import Ledger
from core.readers.jsonl import document_from_json
from core.types import AnnotatedDocument, Annotation


def parse(value: Any, *, place: str, default_id: str, ledger: Ledger) -> Iterator[AnnotatedDocument]:
    """The result that one line holds. Raises InputError."""
    if not isinstance(value, dict) or not isinstance(value.get("annotations"), list):
        raise InputError("没有 annotations 列表，不是本程序的结果")
    document, _ = document_from_json(value, default_id=default_id if "id" not in value else "")
    nodes: list[dict[str, Any]] = []
    _collect(value["annotations"], nodes, depth=1)
    placed = [node for node in nodes if node.get("start") is not None]
    claims = [
        Claim(whole(node["start"], "start"), whole(node.get("end"), "end"), _given(node.get("text"))) for node in placed
    ]
    bounds = align(document.text, claims, ledger=ledger, place=place)
    found = {id(node): one for node, one in zip(placed, bounds, strict=True)}
    yield AnnotatedDocument(
        document,
        text_of(value.get("task") or "ner", "task"),
        _trees(value["annotations"], found, document.text),
        windows=whole(value.get("windows", 1), "windows"),
        notes=tuple(text_of(note, "notes") for note in items(value.get("notes"), "notes")),
        error=str(value.get("error") or ""),
    )


def _collect(annotations: list[Any], nodes: list[dict[str, Any]], *, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise InputError(f"annotations 嵌套超过 {MAX_DEPTH} 层")
    for node in annotations:
        if not isinstance(node, dict):
            raise InputError("annotations 的每一项应为对象")
        text_of(node.get("type"), "type")
        nodes.append(node)
        _collect(items(node.get("children"), "children"), nodes, depth=depth + 1)


def _given(text: Any) -> str | None:
    return text if isinstance(text, str) and text else None


def _trees(annotations: list[Any], found: dict[int, Any], text: str) -> tuple[Annotation, ...]:
    built = []
    for node in annotations:
        children = _trees(node.get("children") or [], found, text)
        score = score_of(node.get("score"))
        if id(node) not in found:
            built.append(Annotation(node["type"], None, None, _given(node.get("text")) or "", score, children))
            continue
        bounds = found[id(node)]
        if bounds is None:
            # its place is lost (and reported); what is below it stays
            built += children
        else:
            start, end = bounds
            built.append(Annotation(node["type"], start, end, text[start:end], score, children))
    return tuple(built)

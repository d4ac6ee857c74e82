"""JSON lines for spaCy: {"text", "ents", "spans": {"sc": …}, "cats", "rels", "meta"}."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

from core.errors import InputError
from core.readers.annotated.align import Claim
from core.readers.annotated.build import (
    finish,
    items,
    known_edges,
    make_document,
    place_marks,
    score_of,
    text_of,
    whole,
)
from core.readers.annotated.graph import Edge, class_path, split_path
from core.readers.annotated.ledger import Ledger
from core.types import AnnotatedDocument

_OWN = ("id", "name", "task", "text_pair", "metadata")


def parse(value: Any, *, place: str, default_id: str, ledger: Ledger) -> Iterator[AnnotatedDocument]:
    """The document of one line; `spans.sc` where it is there, else `ents`. Raises InputError."""
    if not isinstance(value, dict):
        raise InputError("应为对象")
    meta = value.get("meta") or {}
    groups = value.get("spans") or {}
    cats = value.get("cats") or {}
    if not isinstance(meta, dict) or not isinstance(groups, dict) or not isinstance(cats, dict):
        raise InputError("meta、spans、cats 应为对象")
    metadata = {key: one for key, one in meta.items() if key not in _OWN}
    if isinstance(meta.get("metadata"), dict):
        metadata |= meta["metadata"]
    document = make_document({**meta, "text": value.get("text")}, metadata, default_id=default_id)
    spans = items(groups["sc"] if "sc" in groups else value.get("ents"), "ents")
    marks: list[tuple[Hashable, str, Claim, float]] = []
    for number, one in enumerate(spans):
        if not isinstance(one, list) or len(one) < 3:
            raise InputError("ents 的每一项应为 [开始, 结束, 标签]")
        marks.append((number, text_of(one[2], "标签"), Claim(whole(one[0], "开始"), whole(one[1], "结束"), None), 1.0))
    placed = place_marks(document.text, marks, ledger=ledger, place=place)
    edges = known_edges(_relations(value), placed, ledger=ledger, place=place)
    classes = [class_path(split_path(text_of(name, "类别")), score_of(score)) for name, score in cats.items() if score]
    yield finish(document, placed, edges, classes=classes, task=meta.get("task"))


def _relations(value: dict[str, Any]) -> Iterator[Edge]:
    for one in items(value.get("rels"), "rels"):
        if not isinstance(one, list) or len(one) != 3:
            raise InputError("rels 的每一项应为 [主, 宾, 关系]")
        yield Edge(text_of(one[2], "关系"), whole(one[0], "主"), whole(one[1], "宾"))

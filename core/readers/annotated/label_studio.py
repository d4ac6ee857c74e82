"""Label Studio's tasks: regions, relations, choices and taxonomies of annotations, or else of predictions."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

from core.errors import InputError
from core.readers import columns as known
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
from core.readers.annotated.graph import ClassPath, Edge, class_path
from core.readers.annotated.ledger import Ledger
from core.types import AnnotatedDocument

_OWN = frozenset(("text", "id", "name", "task", "windows", "text_pair", "metadata"))
_SPANS = ("labels", "hypertextlabels")


def parse(value: Any, *, place: str, default_id: str, ledger: Ledger) -> Iterator[AnnotatedDocument]:
    """The document of one task. Raises InputError."""
    if not isinstance(value, dict) or not isinstance(value.get("data"), dict):
        raise InputError("没有 data 对象，不是 Label Studio 的任务（JSON_MIN 没有关系，请导出完整的 JSON）")
    data = value["data"]
    key = known.find(data, known.TEXT)
    if key is None:
        raise InputError(f"data 中没有正文（现有字段：{'、'.join(map(str, data)) or '无'}）")
    metadata = {name: one for name, one in data.items() if name not in _OWN and name != key}
    if isinstance(data.get("metadata"), dict):
        metadata |= data["metadata"]
    fields = {**data, "text": data[key]}
    fields.setdefault("id", str(value["id"]) if "id" in value else None)
    if fields.get("name") == "":
        del fields["name"]
    document = make_document(fields, metadata, default_id="" if data.get("id") == "" else default_id)

    marks: list[tuple[Hashable, str, Claim, float]] = []
    edges: list[Edge] = []
    classes: list[tuple[Hashable, bool, ClassPath]] = []
    for region in _regions(value, ledger):
        kind = region.get("type")
        body = region.get("value")
        if kind == "relation":
            edges += _relations(region)
        elif not isinstance(body, dict):
            raise InputError("result 的每一项应有 value 对象")
        elif kind in _SPANS:
            claim = Claim(whole(body.get("start"), "start"), whole(body.get("end"), "end"), _said(body))
            for number, label in enumerate(items(body.get(kind), kind)):
                # a region may have several labels: the first has the region's id, for relations
                own = region.get("id") if number == 0 else (region.get("id"), number)
                marks.append((_hashable(own), text_of(label, "标签"), claim, score_of(region.get("score"))))
        elif kind in ("choices", "taxonomy"):
            classes += [(_hashable(region.get("id")), "start" in body, one) for one in _classes(region, body, kind)]
        else:
            ledger.notes[f"“{kind}”类型的标注没有对应的形式，没有读取"] += 1
    placed = place_marks(document.text, marks, ledger=ledger, place=place)
    top = []
    for owner, below, one in classes:
        if owner in placed:
            placed[owner].classes.append(one)
        elif below:
            ledger.problem(place, f"类别“{'/'.join(one.path)}”所属的片段 {owner} 不存在，已丢弃。")
        else:
            top.append(one)
    kept = known_edges(edges, placed, ledger=ledger, place=place)
    yield finish(document, placed, kept, classes=top, task=data.get("task"), windows=data.get("windows"))


def _regions(value: dict[str, Any], ledger: Ledger) -> list[dict[str, Any]]:
    """What people annotated, or what a model predicted where nobody did."""
    done = [one for one in items(value.get("annotations"), "annotations") if isinstance(one, dict)]
    finished = [one for one in done if not one.get("was_cancelled")]
    guessed = [one for one in items(value.get("predictions"), "predictions") if isinstance(one, dict)]
    chosen = finished or guessed
    if len(chosen) > 1:
        ledger.notes["一个任务有多份标注时只读取第一份"] += 1
    regions = items(chosen[0].get("result"), "result") if chosen else []
    if not all(isinstance(region, dict) for region in regions):
        raise InputError("result 的每一项应为对象")
    return regions


def _said(body: dict[str, Any]) -> str | None:
    said = body.get("text")
    return said if isinstance(said, str) and said else None


def _hashable(identity: Any) -> Hashable:
    if not isinstance(identity, (str, int, tuple)):
        raise InputError("每个片段应有 id")
    return identity


def _relations(region: dict[str, Any]) -> Iterator[Edge]:
    head, tail = _hashable(region.get("from_id")), _hashable(region.get("to_id"))
    if region.get("direction") == "left":
        head, tail = tail, head
    for name in items(region.get("labels"), "关系的 labels") or ["关系"]:
        yield Edge(text_of(name, "关系"), head, tail)


def _classes(region: dict[str, Any], body: dict[str, Any], kind: str) -> Iterator[ClassPath]:
    meta = region.get("meta")
    scores = meta.get("scores") if isinstance(meta, dict) else None
    for one in items(body.get(kind), kind):
        names = [text_of(name, "类别") for name in (one if isinstance(one, list) else [one])]
        if isinstance(scores, list) and len(scores) == len(names):
            yield class_path(names, [score_of(score) for score in scores])
        else:
            yield class_path(names, score_of(region.get("score")))

"""doccano's JSON lines: entities and relations, flat spans, or classes."""

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
from core.readers.annotated.graph import ClassPath, Edge, class_path
from core.readers.annotated.ledger import Ledger
from core.types import AnnotatedDocument

_OWN = {
    "id", "text", "data", "name", "task", "windows", "text_pair", "entities", "relations", "label", "labels", "cats",
    "cat_scores", "classes", "Comments", "comments",
}  # fmt: skip
_FREED = "meta_"


def parse(value: Any, *, place: str, default_id: str, ledger: Ledger) -> Iterator[AnnotatedDocument]:
    """The document of one line. Raises InputError.

    Metadata lie flat beside the text; a key that begins with `meta_` and would else be taken gets its name back.
    """
    if not isinstance(value, dict):
        raise InputError("应为对象")
    text = value["text"] if "text" in value else value.get("data")
    metadata = {_name(key): one for key, one in value.items() if key not in _OWN}
    metadata |= {name: value[name] for name in ("Comments", "comments") if value.get(name)}
    document = make_document({**value, "text": text}, metadata, default_id=default_id)
    marks: list[tuple[Hashable, str, Claim, float]] = []
    cats = _cats(value.get("cats"))
    scores = items(value.get("cat_scores"), "cat_scores")
    scores = scores if len(scores) == len(cats) else [None] * len(cats)
    classes = [class_path(_path(one), _scores(score)) for one, score in zip(cats, scores, strict=True)]
    for number, one in enumerate(items(value.get("entities"), "entities")):
        marks.append(_entity(one, number))
    labels = value["label"] if "label" in value else value.get("labels")
    for number, one in enumerate([labels] if isinstance(labels, (str, int)) else items(labels, "label")):
        if isinstance(one, list):
            # behind the numbers of the entities
            marks.append(_entity(one, ("label", number)))
        else:
            classes.append(class_path([text_of(one, "label")]))
    placed = place_marks(document.text, marks, ledger=ledger, place=place)
    edges = known_edges(_relations(value), placed, ledger=ledger, place=place)
    for one in items(value.get("classes"), "classes"):
        key, path = _class(one)
        if key in placed:
            placed[key].classes.append(path)
        else:
            ledger.problem(place, f"类别“{'/'.join(path.path)}”所属的实体 {key} 不存在，已丢弃。")
    yield finish(document, placed, edges, classes=classes, task=value.get("task"), windows=value.get("windows"))


def _name(key: str) -> str:
    freed = key.removeprefix(_FREED)
    return freed if freed in _OWN else key


def _entity(one: Any, key: Hashable) -> tuple[Hashable, str, Claim, float]:
    if isinstance(one, list) and len(one) >= 3:
        return key, text_of(one[2], "标签"), Claim(whole(one[0], "开始"), whole(one[1], "结束"), None), 1.0
    if not isinstance(one, dict):
        raise InputError("实体应为 {id, label, start_offset, end_offset} 或 [开始, 结束, 标签]")
    start, end = whole(one.get("start_offset"), "start_offset"), whole(one.get("end_offset"), "end_offset")
    said = one.get("text")
    claim = Claim(start, end, said if isinstance(said, str) and said else None)
    identity = one.get("id", key)
    return _key(identity), text_of(one.get("label"), "label"), claim, score_of(one.get("score"))


def _key(identity: Any) -> Hashable:
    if not isinstance(identity, (str, int)):
        raise InputError("实体的 id 应为数字或文字")
    return identity


def _relations(value: dict[str, Any]) -> Iterator[Edge]:
    for one in items(value.get("relations"), "relations"):
        if not isinstance(one, dict):
            raise InputError("relations 的每一项应为对象")
        yield Edge(text_of(one.get("type"), "关系的 type"), _key(one.get("from_id")), _key(one.get("to_id")))


def _cats(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [name for name, score in value.items() if score]
    return [value] if isinstance(value, str) else items(value, "cats")


def _path(one: Any) -> list[str]:
    return [text_of(name, "类别") for name in one] if isinstance(one, list) else [text_of(one, "类别")]


def _scores(given: Any) -> float | list[float]:
    return [score_of(score) for score in given] if isinstance(given, list) and given else score_of(given)


def _class(one: Any) -> tuple[Hashable, ClassPath]:
    if not isinstance(one, list) or len(one) < 2:
        raise InputError("classes 的每一项应为 [实体 id, 类别, 得分]")
    return _key(one[0]), class_path(_path(one[1]), _scores(one[2] if len(one) > 2 else None))

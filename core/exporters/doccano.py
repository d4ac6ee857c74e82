"""doccano's JSON lines for relation and classification projects (its import dialog takes both)."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count as numbers
from typing import Any, BinaryIO

from core.exporters.graph import ClassPath, to_graph
from core.exporters.jsonl import write_line
from core.exporters.native import SCORE_DIGITS
from core.exporters.report import About, Losses
from core.types import AnnotatedDocument

_OWN_KEYS = {
    "id", "text", "data", "entities", "relations", "label", "labels", "cats", "cat_scores", "classes", "Comments",
    "comments", "name", "task", "windows", "text_pair",
}  # fmt: skip


def write(results: Iterable[AnnotatedDocument], target: BinaryIO, losses: Losses, about: About) -> None:
    """One line for each document: `entities` and `relations` by number, `cats` for classes of the whole text.

    Numbers are unique in the file, so that files can be joined. What doccano itself has no place for stands in keys
    of its own: `score` of an entity, `classes` of an entity as [number, class or chain of classes, score or scores],
    `cat_scores` beside `cats`. Metadata
    lie flat beside the text, as doccano keeps them; a key that is taken gets `meta_` in front.
    """
    entity_ids, relation_ids = numbers(1), numbers(1)
    for number, result in enumerate(results, 1):
        losses.leave_out(result, ("给定的属性词", "指代的候选词和代词", "提示", "出错原因"))
        document = result.document
        graph = to_graph(result, losses)
        if graph.entities:
            losses.add("得分写在 score 键中，doccano 不显示，再次导出时也不保留", count=len(graph.entities))
        ids = [next(entity_ids) for _ in graph.entities]
        entities = [
            {
                "id": identity,
                "label": one.label,
                "start_offset": one.start,
                "end_offset": one.end,
                "score": _score(one.score),
            }
            for identity, one in zip(ids, graph.entities, strict=True)
        ]
        relations = [
            {"id": next(relation_ids), "from_id": ids[one.head], "to_id": ids[one.tail], "type": one.name}
            for one in graph.relations
        ]
        classes = [
            [identity, path.path[0] if len(path.path) == 1 else list(path.path), _scores(path)]
            for identity, one in zip(ids, graph.entities, strict=True)
            for path in one.classes
        ]
        line: dict[str, Any] = {"id": document.id or number, "text": document.text}
        line |= {"entities": entities, "relations": relations, "Comments": []}
        if graph.classes:
            line["cats"] = [list(path.path) for path in graph.classes]
            line["cat_scores"] = [_scores(path) for path in graph.classes]
            losses.add("整篇文档的类别的得分写在 cat_scores 键中，doccano 不显示", count=len(graph.classes))
        if classes:
            line["classes"] = classes
            losses.add("跨度的类别写在 classes 键中，doccano 不显示", count=len(classes))
        own = {"name": document.name, "task": result.task, "windows": result.windows, "text_pair": document.text_pair}
        line |= {key: value for key, value in own.items() if value not in ("", None)}
        write_line(target, line | {_free(key): value for key, value in document.metadata.items()})


def _scores(one: ClassPath) -> float | list[float]:
    """One score for each class of the chain; a number for a chain of one."""
    scores = [_score(score) for score in one.scores]
    return scores[0] if len(scores) == 1 else scores


def _score(score: float) -> float:
    return round(score, SCORE_DIGITS)


def _free(key: str) -> str:
    return f"meta_{key}" if key in _OWN_KEYS else key

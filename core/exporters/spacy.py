"""JSON lines that a few lines of Python turn into spaCy documents; spaCy itself is not needed to write them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, BinaryIO

from core.exporters.conll import longest
from core.exporters.graph import to_graph
from core.exporters.jsonl import write_line
from core.exporters.native import SCORE_DIGITS
from core.exporters.report import About, Losses
from core.types import AnnotatedDocument


def write(results: Iterable[AnnotatedDocument], target: BinaryIO, losses: Losses, about: About) -> None:
    """One line for each document: `text`, `ents`, `spans`, `cats`, `rels`, `meta`.

    `spans.sc` holds every span as [start, end, label]; `ents`, which may not overlap in spaCy, the longest of them.
    `cats` maps classes to scores; `rels` are [parent, child, relation] by place in `spans.sc`.
    """
    for result in results:
        losses.leave_out(result, ("给定的属性词", "指代的候选词和代词", "提示", "出错原因"))
        document = result.document
        graph = to_graph(result, losses)
        losses.scores(len(graph.entities))
        if graph.relations:
            losses.add("关系写在 rels 键中，spaCy 没有对应的内置字段", count=len(graph.relations))
        flat = longest(graph.entities)
        if len(flat) < len(graph.entities):
            losses.add("ents 不能重叠，这些实体只在 spans.sc 中", count=len(graph.entities) - len(flat))
        for entity in graph.entities:
            for path in entity.classes:
                losses.add("跨度的类别没有写入", f"{entity.text}：{path.name}")
        above = sum(len(one.path) - 1 for one in graph.classes)
        if above:
            losses.add("上级类别的得分没有写入，只写入最末一级的", count=above)
        meta = {"id": document.id, "name": document.name, "task": result.task, "text_pair": document.text_pair}
        line: dict[str, Any] = {
            "text": document.text,
            "ents": [[one.start, one.end, one.label] for one in flat],
            "spans": {"sc": [[one.start, one.end, one.label] for one in graph.entities]},
            "cats": {one.name: round(one.scores[-1], SCORE_DIGITS) for one in graph.classes},
            "rels": [[one.head, one.tail, one.name] for one in graph.relations],
            "meta": {key: value for key, value in meta.items() if value not in ("", None)},
        }
        if document.metadata:
            line["meta"]["metadata"] = dict(document.metadata)
        write_line(target, line)

"""Label Studio: its tasks with our findings as predictions, and the labelling configuration they need."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from xml.sax.saxutils import quoteattr

from core.exporters.graph import ClassPath, Graph, to_graph
from core.exporters.jsonl import encode
from core.exporters.native import SCORE_DIGITS
from core.exporters.packages import OpenFile, zipped
from core.exporters.report import About, Losses
from core.types import AnnotatedDocument

TASKS, CONFIG = "tasks.json", "config.xml"
# What they are called as files of their own.
BESIDE = {TASKS: ".json", CONFIG: ".config.xml"}
Tree = dict[str, Any]


def write_files(results: Iterable[AnnotatedDocument], open_file: OpenFile, losses: Losses, about: About) -> None:
    """`tasks.json`, and the `config.xml` that its labels need.

    Findings are predictions: people see them filled in and correct them. Offsets count code points; each region
    carries its text, so that a reader can check them. Classes are taxonomies, those of a span per region.
    """
    labels: dict[str, None] = {}
    relations: dict[str, None] = {}
    classes: Tree = {}
    span_classes: Tree = {}
    with open_file(TASKS) as file:
        for number, result in enumerate(results, 1):
            losses.leave_out(result, ("给定的属性词", "指代的候选词和代词", "提示", "出错原因"))
            graph = to_graph(result, losses)
            labels |= dict.fromkeys(one.label for one in graph.entities)
            relations |= dict.fromkeys(one.name for one in graph.relations)
            _grow(classes, graph.classes)
            for entity in graph.entities:
                _grow(span_classes, entity.classes)
            task = _task(number, result, graph, about)
            file.write(encode(("[\n" if number == 1 else ",\n") + json.dumps(task, ensure_ascii=False)))
        file.write(b"\n]\n")
    with open_file(CONFIG) as file:
        file.write(encode(_config(labels, relations, classes, span_classes)))


write = zipped(write_files)


def _grow(tree: Tree, paths: Iterable[ClassPath]) -> None:
    for one in paths:
        level = tree
        for name in one.path:
            level = level.setdefault(name, {})


def _task(number: int, result: AnnotatedDocument, graph: Graph, about: About) -> dict[str, Any]:
    document = result.document
    data: dict[str, Any] = {"text": document.text, "id": document.id, "name": document.name, "task": result.task}
    data["windows"] = result.windows
    if document.text_pair is not None:
        data["text_pair"] = document.text_pair
    if document.metadata:
        data["metadata"] = dict(document.metadata)
    regions: list[dict[str, Any]] = []
    for place, entity in enumerate(graph.entities, 1):
        where = {"start": entity.start, "end": entity.end, "text": entity.text}
        value = {**where, "labels": [entity.label]}
        regions.append(_region(f"e{place}", "label", "labels", value) | {"score": round(entity.score, SCORE_DIGITS)})
        regions += [_classes(f"e{place}", "span_class", one, where) for one in entity.classes]
    for place, one in enumerate(graph.classes, 1):
        regions.append(_classes(f"c{place}", "class", one, {}))
    lowest = min((region["score"] for region in regions), default=None)
    for relation in graph.relations:
        ends = {"from_id": f"e{relation.head + 1}", "to_id": f"e{relation.tail + 1}"}
        regions.append({"type": "relation", "direction": "right", **ends, "labels": [relation.name]})
    prediction: dict[str, Any] = {"model_version": about.model or "RexUniNLU", "result": regions}
    if lowest is not None:
        prediction["score"] = lowest
    return {"id": number, "data": data, "predictions": [prediction]}


def _region(identity: str, name: str, type: str, value: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": identity, "from_name": name, "to_name": "text", "type": type, "value": dict(value)}


def _classes(identity: str, name: str, one: ClassPath, where: Mapping[str, Any]) -> dict[str, Any]:
    region = _region(identity, name, "taxonomy", {**where, "taxonomy": [list(one.path)]})
    scores = [round(score, SCORE_DIGITS) for score in one.scores]
    return region | {"score": scores[-1], "meta": {"scores": scores}}


def _config(labels: Iterable[str], relations: Iterable[str], classes: Tree, span_classes: Tree) -> str:
    lines = ["<View>"]
    lines += _choices("Labels", "label", "Label", labels)
    if relations := list(relations):
        lines += ["  <Relations>", *(f"    <Relation value={_quoted(name)}/>" for name in relations), "  </Relations>"]
    lines.append('  <Text name="text" value="$text" granularity="symbol"/>')
    for name, tree, extra in (("class", classes, ""), ("span_class", span_classes, ' perRegion="true"')):
        if tree:
            lines += [f'  <Taxonomy name="{name}" toName="text"{extra}>', *_taxonomy(tree, 2), "  </Taxonomy>"]
    return "\n".join([*lines, "</View>", ""])


def _choices(tag: str, name: str, inner: str, values: Iterable[str]) -> list[str]:
    shown = [f"    <{inner} value={_quoted(value)}/>" for value in values]
    return [f'  <{tag} name="{name}" toName="text">', *shown, f"  </{tag}>"] if shown else []


def _taxonomy(tree: Tree, depth: int) -> list[str]:
    lines = []
    for name, below in tree.items():
        space = "  " * depth
        if below:
            lines += [f"{space}<Choice value={_quoted(name)}>", *_taxonomy(below, depth + 1), f"{space}</Choice>"]
        else:
            lines.append(f"{space}<Choice value={_quoted(name)}/>")
    return lines


def _quoted(value: str) -> str:
    """An XML attribute value; characters that XML has no spelling for become a replacement character."""
    legal = "".join(
        one if one in "\t\n\r" or (one >= " " and not "\ud800" <= one <= "\udfff") else "\ufffd" for one in value
    )
    return quoteattr(legal, {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})

"""brat standoff: a text and an .ann file a document, with the configuration that shows Chinese names."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from core.exporters.graph import Entity, Graph, Relation, to_graph
from core.exporters.jsonl import encode
from core.exporters.native import SCORE_DIGITS
from core.exporters.packages import OpenFile, zipped
from core.exporters.report import About, Losses
from core.types import AnnotatedDocument

LABELS = "labels.json"
_SPACES = str.maketrans("\n\r\t\x0b\x0c\x85\u2028\u2029", " " * 8)


class Names:
    """ASCII ids for names of one kind, in the order of their first use.

    brat allows only letters, digits, "-" and "_" in types, and takes digits at the end of a role for a number,
    so the ids are made of letters.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.ids: dict[str, str] = {}

    def id(self, name: str) -> str:
        """The id of `name`."""
        if name not in self.ids:
            self.ids[name] = f"{self._prefix}_{letters(len(self.ids))}"
        return self.ids[name]


def letters(number: int) -> str:
    """0 -> a, 25 -> z, 26 -> aa, …"""
    text = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("a") + rest) + text
    return text


def write_files(results: Iterable[AnnotatedDocument], open_file: OpenFile, losses: Losses, about: About) -> None:
    """`000001.txt`, `.ann`, `.meta.json` for each document, `annotation.conf`, `visual.conf`, `labels.json`.

    Event triggers are events with their roles as arguments, other children relations, classes of a span binary
    attributes, scores notes. What brat has no place for (id, name, metadata, classes of the whole text) is in the
    `.meta.json`, the exact name of every id in `labels.json`.
    """

    def put(name: str, data: bytes) -> None:
        with open_file(name) as file:
            file.write(data)

    kinds = {kind: Names(prefix) for kind, prefix in KINDS.items()}
    for number, result in enumerate(results, 1):
        losses.leave_out(result, ("给定的属性词", "指代的候选词和代词", "提示", "出错原因"))
        graph = to_graph(result, losses)
        if graph.classes:
            losses.add("整篇文档的类别写在 .meta.json 中，brat 不显示", graph.classes[0].name, count=len(graph.classes))
        stem = f"{number:06d}"
        put(f"{stem}.txt", _whole(result.document.text, losses).encode("utf-8"))
        put(f"{stem}.ann", encode("".join(f"{line}\n" for line in _lines(graph, kinds, losses))))
        put(f"{stem}.meta.json", encode(json.dumps(_meta(result, graph), ensure_ascii=False)))
    put("annotation.conf", encode(_annotation_conf(kinds)))
    put("visual.conf", encode(_visual_conf(kinds)))
    exact = {identity: name for names in kinds.values() for name, identity in names.ids.items()}
    put(LABELS, encode(json.dumps(exact, ensure_ascii=False, indent=1)))


write = zipped(write_files)
KINDS = {"entities": "e", "events": "v", "relations": "r", "attributes": "c"}


def _whole(text: str, losses: Losses) -> str:
    """The text without halves of surrogate pairs, which UTF-8 cannot hold; its length stays."""
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if whole != text:
        losses.add("不完整的代理对字符改写为 �")
    return whole


def _meta(result: AnnotatedDocument, graph: Graph) -> dict[str, Any]:
    document = result.document
    fields = {
        "id": document.id,
        "name": document.name,
        "task": result.task,
        "windows": result.windows,
        "text_pair": document.text_pair,
        "metadata": dict(document.metadata) or None,
        "classes": [{"path": one.path, "scores": [_score(score) for score in one.scores]} for one in graph.classes]
        or None,
    }
    return {key: value for key, value in fields.items() if value not in ("", None)}


def _lines(graph: Graph, kinds: dict[str, Names], losses: Losses) -> list[str]:
    lines = []
    notes: list[tuple[str, str]] = []
    attributes = 0
    written = {place for place, one in enumerate(graph.entities) if one.start < one.end}
    for place, one in enumerate(graph.entities):
        if place not in written:
            losses.add("没有文字的跨度没有写入", one.label)
            continue
        text = one.text.translate(_SPACES)
        lines.append(f"T{place + 1}\t{_type(one, kinds)} {one.start} {one.end}\t{text}")
        notes.append((f"T{place + 1}", f"score={_score(one.score)}"))
        for path in one.classes:
            attributes += 1
            lines.append(f"A{attributes}\t{kinds['attributes'].id(path.name)} T{place + 1}")
            above = "/".join(str(_score(score)) for score in path.scores[:-1])
            said = f"above={above} " if above else ""
            notes.append((f"A{attributes}", f"{said}score={_score(path.scores[-1])}"))
    outgoing: dict[int, list[Relation]] = {}
    for edge in graph.relations:
        if {edge.head, edge.tail} <= written:
            outgoing.setdefault(edge.head, []).append(edge)
    events = relations = 0
    for place, one in enumerate(graph.entities):
        edges = outgoing.get(place, [])
        if one.trigger and place in written:
            events += 1
            roles = Counter[str]()
            arguments = []
            for edge in edges:
                role = kinds["relations"].id(edge.name)
                roles[role] += 1
                arguments.append(f" {role}{roles[role] if roles[role] > 1 else ''}:T{edge.tail + 1}")
            lines.append(f"E{events}\t{_type(one, kinds)}:T{place + 1}{''.join(arguments)}")
            continue
        for edge in edges:
            relations += 1
            name = kinds["relations"].id(edge.name)
            lines.append(f"R{relations}\t{name} Arg1:T{edge.head + 1} Arg2:T{edge.tail + 1}")
    return [*lines, *(f"#{n}\tAnnotatorNotes {one}\t{said}" for n, (one, said) in enumerate(notes, 1))]


def _type(entity: Entity, kinds: dict[str, Names]) -> str:
    return kinds["events" if entity.trigger else "entities"].id(entity.label)


def _score(score: float) -> float:
    return round(score, SCORE_DIGITS)


def _annotation_conf(kinds: dict[str, Names]) -> str:
    roles = kinds["relations"].ids.values()
    arguments = ", ".join(f"{role}*:<ANY>" for role in roles)
    sections = {
        "entities": kinds["entities"].ids.values(),
        "relations": (f"{name}\tArg1:<ANY>, Arg2:<ANY>" for name in roles),
        "events": (f"{name}\t{arguments}" for name in kinds["events"].ids.values()),
        "attributes": (f"{name}\tArg:<ANY>" for name in kinds["attributes"].ids.values()),
    }
    return "\n".join(line for title, body in sections.items() for line in (f"[{title}]", *body, ""))


def _visual_conf(kinds: dict[str, Names]) -> str:
    labels = [
        f"{identity} | {' '.join(name.replace('|', '/').split()) or identity}"
        for names in kinds.values()
        for name, identity in names.ids.items()
    ]
    return "\n".join(["[labels]", *labels, "", "[drawing]", ""])

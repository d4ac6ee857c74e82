"""Columns of characters and tags: BIO and BIOES, one character a line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import BinaryIO

from core.exporters.graph import Entity, count, to_graph
from core.exporters.jsonl import encode
from core.exporters.report import About, Losses
from core.types import AnnotatedDocument

DOCUMENT_START = "-DOCSTART-\tO\n\n"
BLANK = "\u2423"
_SENTENCE_ENDS = frozenset("。！？!?；;\n")
_LEFT_OUT = ("文档名称", "第二文本", "元数据", "给定的属性词", "指代的候选词和代词", "提示", "出错原因")
Tags = Callable[[str, int], list[str]]


def _bio(label: str, length: int) -> list[str]:
    return [f"B-{label}", *[f"I-{label}"] * (length - 1)]


def _bioes(label: str, length: int) -> list[str]:
    return [f"S-{label}"] if length == 1 else [f"B-{label}", *[f"I-{label}"] * (length - 2), f"E-{label}"]


def write_bio(results: Iterable[AnnotatedDocument], target: BinaryIO, losses: Losses, about: About) -> None:
    """`character<TAB>tag` lines with the tags B-, I- and O; see `_write`."""
    _write(results, target, losses, tags=_bio)


def write_bioes(results: Iterable[AnnotatedDocument], target: BinaryIO, losses: Losses, about: About) -> None:
    """`character<TAB>tag` lines with the tags B-, I-, E-, S- and O; see `_write`."""
    _write(results, target, losses, tags=_bioes)


def _write(results: Iterable[AnnotatedDocument], target: BinaryIO, losses: Losses, *, tags: Tags) -> None:
    """A document begins with -DOCSTART-, a blank line ends a sentence (never inside an entity).

    White space is written as "␣", for readers split lines at it; in labels it becomes "_". A character has one tag:
    of spans that overlap the longest stays.
    """
    for result in results:
        losses.leave_out(result, _LEFT_OUT)
        losses.scores(count(result))
        graph = to_graph(result, losses)
        if graph.relations:
            losses.add("关系和事件角色没有写入，只写入两端的实体", count=len(graph.relations))
        for path in (*graph.classes, *(one for entity in graph.entities for one in entity.classes)):
            losses.add("类别没有写入", path.name)
        chosen = longest(graph.entities, losses)
        target.write(encode(DOCUMENT_START + _lines(result.document.text, chosen, losses, tags=tags) + "\n"))


def longest(entities: Sequence[Entity], losses: Losses | None = None) -> list[Entity]:
    """Entities that do not overlap, in text order, longer ones first chosen; the others are counted in `losses`."""
    taken: set[int] = set()
    chosen: list[Entity] = []
    seen: set[tuple[int, int, str]] = set()
    for one in sorted(entities, key=lambda one: (one.start - one.end, one.start)):
        key = (one.start, one.end, one.label)
        places = range(one.start, one.end)
        if key in seen:
            continue
        seen.add(key)
        if places and taken.isdisjoint(places):
            taken.update(places)
            chosen.append(one)
        elif losses is not None:
            losses.add("重叠、嵌套或没有文字的实体没有写入", f"{one.label}：{one.text}")
    return sorted(chosen, key=lambda one: one.start)


def _lines(text: str, entities: Sequence[Entity], losses: Losses, *, tags: Tags) -> str:
    column = ["O"] * len(text)
    inside: set[int] = set()
    for one in entities:
        label = "_".join(one.label.split()) or "_"
        if label != one.label:
            losses.add("标签中的空白改写为 _", one.label)
        column[one.start : one.end] = tags(label, one.end - one.start)
        inside.update(range(one.start, one.end - 1))
    blanks = 0
    parts = []
    for place, (character, tag) in enumerate(zip(text, column, strict=True)):
        blank = character.isspace() or character in "\x1c\x1d\x1e\x1f\x00"
        blanks += blank
        parts.append(f"{BLANK if blank else character}\t{tag}\n")
        if character in _SENTENCE_ENDS and place not in inside and place + 1 < len(text):
            parts.append("\n")
    if blanks:
        losses.add(f"空白字符写作 {BLANK}，无法区分空格、制表符和换行", count=blanks)
    return "".join(parts)

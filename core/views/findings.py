"""Annotation trees as the flat rows that tables and pictures need. Pure; no drawing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from core.types import AnnotatedDocument, Annotation


@dataclass(frozen=True, slots=True)
class Node:
    """An annotation with the chain of annotations above it."""

    annotation: Annotation
    above: tuple[Annotation, ...]


@dataclass(frozen=True, slots=True)
class Triple:
    """Subject, relation, object; `score` is the relation's."""

    subject: Annotation
    relation: str
    object: Annotation


def walk(annotations: Iterable[Annotation], above: tuple[Annotation, ...] = ()) -> Iterator[Node]:
    """Every annotation of the trees, parents first."""
    for annotation in annotations:
        yield Node(annotation, above)
        yield from walk(annotation.children, (*above, annotation))


def flat_spans(annotations: Iterable[Annotation]) -> list[Annotation]:
    """Every annotation with a place, each alone but for what below it has no place."""
    return [
        replace(one, children=tuple(child for child in one.children if child.start is None)) if one.children else one
        for one in (node.annotation for node in walk(annotations))
        if one.start is not None and one.end is not None
    ]


def triples(document: AnnotatedDocument) -> list[Triple]:
    """Every annotation below another one, as a relation between the two."""
    return [
        Triple(node.above[-1], base_name(node.annotation.type), node.annotation)
        for node in walk(document.annotations)
        if node.above
    ]


def event_nodes(events: Sequence[Annotation]) -> list[Annotation]:
    """The events, the text of each its type and its trigger; a number tells apart those of the same words."""
    names = [f"{base_name(event.type)} · {event.text}" for event in events]
    several, seen = Counter(names), Counter[str]()
    nodes = []
    for name, event in zip(names, events, strict=True):
        seen[name] += 1
        nodes.append(replace(event, text=f"{name} {seen[name]}" if several[name] > 1 else name))
    return nodes


def event_triples(nodes: Iterable[Annotation]) -> list[Triple]:
    """Event, role, argument, of all `nodes` of `event_nodes`."""
    return [Triple(event, base_name(child.type), child) for event in nodes for child in event.children]


def base_name(name: str) -> str:
    """A type's name without the note in brackets behind it: `配偶(人物)` → `配偶`."""
    for bracket in "(（":
        head, found, _ = name.rpartition(bracket)
        if found and head and name[-1] in ")）":
            return head
    return name


def note_of(name: str) -> str | None:
    """The note in brackets behind a type's name: `配偶(人物)` → `人物`; None without one."""
    head = base_name(name)
    return None if head == name else name[len(head) + 1 : -1]


def label_name(name: str) -> str:
    """A fixed label without its question: `文本匹配：相似` → `相似`."""
    return name.rpartition("：")[2]


def class_paths(annotations: Iterable[Annotation]) -> list[tuple[tuple[str, ...], float]]:
    """Class trees as paths from the root to each deepest class, with their scores."""
    return [
        ((*(one.type for one in node.above), node.annotation.type), node.annotation.score)
        for node in walk(annotations)
        if not node.annotation.children
    ]

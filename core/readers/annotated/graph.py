"""Entities, relations and classes, the form that annotation tools share -> annotation trees. Pure.

A relation named as its target is labelled makes the target a child and nothing else: so our own exports come
back as they were. Any other relation adds a child named "关系(目标标签)" (a role: only the role) and leaves the target
where it is, for elsewhere an entity stands for itself.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field

from core.errors import InputError
from core.types import Annotation

# Deeper chains come from no schema (see `core.schemas.schema.MAX_DEPTH`).
MAX_DEPTH = 32


@dataclass(frozen=True, slots=True)
class ClassPath:
    """A chain of classes from the top to a leaf, with one score for each."""

    path: tuple[str, ...]
    scores: tuple[float, ...]


@dataclass(slots=True)
class Mark:
    """A span with its label; `classes` were given to it."""

    start: int
    end: int
    text: str
    label: str
    score: float = 1.0
    classes: list[ClassPath] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Edge:
    """A named link between two marks, given by their keys; a role is named without its target's label."""

    name: str
    head: Hashable
    tail: Hashable
    role: bool = False


def class_path(names: Sequence[str], scores: float | Sequence[float] = 1.0) -> ClassPath:
    """A path whose levels have one score each, or all the same."""
    path = tuple(names)
    if isinstance(scores, (int, float)):
        return ClassPath(path, (float(scores),) * len(path))
    return ClassPath(path, tuple(scores) if len(scores) == len(path) else (scores[-1] if scores else 1.0,) * len(path))


def split_path(joined: str) -> tuple[str, ...]:
    """The names of "甲/乙"; "\\/" and "\\\\" stand for a slash and a backslash in a name."""
    names, name, escaped = [], "", False
    for character in joined:
        if escaped or character not in "/\\":
            name, escaped = name + character, False
        elif character == "\\":
            escaped = True
        else:
            names.append(name)
            name = ""
    return (*names, name)


def trees(marks: dict[Hashable, Mark], edges: Iterable[Edge], classes: Iterable[ClassPath]) -> tuple[Annotation, ...]:
    """Classes of the whole text, then the marks that are no children, in the order of the file.

    Raises InputError when relations are nested deeper than 32.
    """
    below: dict[Hashable, list[Edge]] = {}
    children: set[Hashable] = set()
    for edge in edges:
        below.setdefault(edge.head, []).append(edge)
        if _own(edge, marks) and edge.tail != edge.head:
            children.add(edge.tail)
    built: set[Hashable] = set()

    def build(key: Hashable, above: tuple[Hashable, ...]) -> Annotation:
        if len(above) >= MAX_DEPTH:
            raise InputError(f"关系嵌套超过 {MAX_DEPTH} 层")
        built.add(key)
        mark = marks[key]
        found = list(class_trees(mark.classes))
        for edge in below.get(key, ()):
            tail = marks[edge.tail]
            if not _own(edge, marks):
                name = edge.name if edge.role else f"{edge.name}({tail.label})"
                found.append(Annotation(name, tail.start, tail.end, tail.text, tail.score))
            elif edge.tail != key and edge.tail not in above:
                found.append(build(edge.tail, (*above, key)))
        return Annotation(mark.label, mark.start, mark.end, mark.text, mark.score, tuple(found))

    roots = [build(key, ()) for key in marks if key not in children]
    # what is only reachable in a circle
    roots += [build(key, ()) for key in marks if key not in built]
    return (*class_trees(classes), *roots)


def _own(edge: Edge, marks: dict[Hashable, Mark]) -> bool:
    return edge.name == marks[edge.tail].label


def class_trees(paths: Iterable[ClassPath]) -> tuple[Annotation, ...]:
    """Nested classes without spans; equal beginnings are one."""
    heads: dict[str, list[ClassPath]] = {}
    for one in paths:
        if one.path:
            heads.setdefault(one.path[0], []).append(one)
    return tuple(
        Annotation(
            name,
            None,
            None,
            "",
            members[0].scores[0],
            class_trees(ClassPath(one.path[1:], one.scores[1:]) for one in members),
        )
        for name, members in heads.items()
    )


def count(annotations: Iterable[Annotation]) -> int:
    """How many annotations there are, children included."""
    return sum(1 + count(annotation.children) for annotation in annotations)

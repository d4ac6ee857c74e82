"""Annotation trees -> entities, relations and classes, the form that annotation tools share. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from core.exporters.report import Losses
from core.types import AnnotatedDocument, Annotation


@dataclass(frozen=True, slots=True)
class ClassPath:
    """A chain of classes from the top to a leaf, with one score a class."""

    path: tuple[str, ...]
    scores: tuple[float, ...]

    @property
    def name(self) -> str:
        """The classes joined by "/"; a slash or backslash inside a class gets a backslash."""
        return join_path(self.path)


@dataclass(frozen=True, slots=True)
class Entity:
    """A span with its label; `classes` were found about it, `trigger` says that it stands for an event."""

    start: int
    end: int
    text: str
    label: str
    score: float
    root: bool
    trigger: bool
    classes: tuple[ClassPath, ...] = ()


@dataclass(frozen=True, slots=True)
class Relation:
    """A named edge between two entities, given by their places in `Graph.entities`."""

    name: str
    head: int
    tail: int


@dataclass(frozen=True, slots=True)
class Graph:
    """Everything found in one document; `classes` belong to the document as a whole."""

    entities: tuple[Entity, ...]
    relations: tuple[Relation, ...]
    classes: tuple[ClassPath, ...]


def join_path(path: Iterable[str]) -> str:
    """Class names joined by "/", with "/" and backslash inside a name escaped by a backslash."""
    return "/".join(name.replace("\\", "\\\\").replace("/", "\\/") for name in path)


def walk(annotations: Iterable[Annotation]) -> Iterator[Annotation]:
    """Every annotation of the trees, parents first."""
    for annotation in annotations:
        yield annotation
        yield from walk(annotation.children)


def count(result: AnnotatedDocument) -> int:
    """How many annotations the document has, children included."""
    return sum(1 for _ in walk(result.annotations))


def class_paths(annotation: Annotation) -> list[ClassPath]:
    """The chains of classes from `annotation` down to each leaf."""
    if not annotation.children:
        return [ClassPath((annotation.type,), (annotation.score,))]
    below = [path for child in annotation.children for path in class_paths(child)]
    return [ClassPath((annotation.type, *one.path), (annotation.score, *one.scores)) for one in below]


def to_graph(result: AnnotatedDocument, losses: Losses) -> Graph:
    """The trees of a result as entities, relations and classes.

    Every annotation with a span is an entity of its own; a child is a relation of the child's type from its
    parent, so that the trees can be rebuilt. Annotations without a span that are no classes have no place here:
    they are counted in `losses`, what is below them stays.
    """
    entities: list[Entity] = []
    relations: list[Relation] = []

    def add(annotation: Annotation, parent: int | None) -> None:
        assert annotation.start is not None and annotation.end is not None
        classes, children = _split(annotation.children, losses)
        place = len(entities)
        entities.append(
            Entity(
                annotation.start,
                annotation.end,
                annotation.text,
                annotation.type,
                annotation.score,
                parent is None,
                parent is None and (result.task == "ee" or "触发词" in annotation.type),
                tuple(classes),
            )
        )
        if parent is not None:
            relations.append(Relation(annotation.type, parent, place))
        for child in children:
            add(child, place)

    top_classes, spans = _split(result.annotations, losses)
    for annotation in spans:
        add(annotation, None)
    return Graph(tuple(entities), tuple(relations), tuple(top_classes))


def _split(annotations: Sequence[Annotation], losses: Losses) -> tuple[list[ClassPath], list[Annotation]]:
    """Chains of classes, and annotations with a span, those below a parent without one included."""
    classes: list[ClassPath] = []
    spans: list[Annotation] = []
    for annotation in annotations:
        if annotation.start is not None:
            spans.append(annotation)
            continue
        below = list(walk((annotation,)))
        if any(one.start is not None for one in below):
            losses.add("正文中没有位置的上级没有写入，只写入它下面的内容", annotation.text or annotation.type)
            inner_classes, inner_spans = _split(annotation.children, losses)
            classes += inner_classes
            spans += inner_spans
            continue
        for one in below:
            if one.text:
                losses.add("正文中没有的词没有写入，只写入它的类别", one.text)
        classes += class_paths(annotation)
    return classes, spans

"""Between `core.types` and what the tables keep: JSON of inputs and paths, and annotation trees as flat rows."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from core.types import Annotation, Candidate, Document, Link, Path, Span


class FlatAnnotation(NamedTuple):
    """One node of a tree: `parent` is the position of its parent, None at the top; `level` starts at 0."""

    position: int
    parent: int | None
    level: int
    annotation: Annotation


class StoredAnnotation(NamedTuple):
    """A node as the table keeps it; rows of one document come in depth-first order."""

    id: int
    parent_id: int | None
    type: str
    start: int | None
    end: int | None
    text: str
    score: float


def document_inputs(document: Document) -> dict[str, Any]:
    """What a task needs besides the texts, as JSON."""
    return {
        "aspects": list(document.aspects),
        "candidates": [[span.start, span.end] for span in document.candidates],
        "pronouns": [[span.start, span.end] for span in document.pronouns],
    }


def document_sha256(document: Document) -> str:
    """SHA-256 of everything in the document, in hexadecimal."""
    content = [
        document.id,
        document.name,
        document.text,
        document.text_pair,
        document_inputs(document),
        dict(document.metadata),
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode("ascii")).hexdigest()


def build_document(
    text: str,
    inputs: Mapping[str, Any],
    *,
    external_id: str,
    name: str,
    text_pair: str | None,
    metadata: Mapping[str, str],
) -> Document:
    """The document that was stored."""

    def spans(key: str) -> tuple[Span, ...]:
        return tuple(Span(start, end, text[start:end]) for start, end in inputs[key])

    return Document(
        text=text,
        id=external_id,
        name=name,
        text_pair=text_pair,
        aspects=tuple(inputs["aspects"]),
        candidates=spans("candidates"),
        pronouns=spans("pronouns"),
        metadata=dict(metadata),
    )


def dump_paths(paths: Iterable[Path]) -> list[list[list[Any]]]:
    """Paths as JSON lists of [type, start, end, text, score, confidence]."""
    return [
        [[link.type, link.start, link.end, link.text, link.score, link.confidence] for link in path] for path in paths
    ]


def load_paths(stored: Iterable[Iterable[Sequence[Any]]]) -> tuple[Path, ...]:
    """The paths that `dump_paths` wrote."""
    return tuple(tuple(Link(*link) for link in path) for path in stored)


def dump_candidates(candidates: Iterable[Candidate]) -> list[list[Any]]:
    """Candidates as JSON lists of the confidence and [type, start, end, text, score] of each link of the chain."""
    return [
        [one.confidence, *([a.type, a.start, a.end, a.text, a.score] for a in (*one.above, one.annotation))]
        for one in candidates
    ]


def load_candidates(stored: Iterable[Sequence[Any]]) -> tuple[Candidate, ...]:
    """The candidates that `dump_candidates` wrote."""
    found = []
    for confidence, *chain in stored:
        *above, last = (Annotation(*link) for link in chain)
        found.append(Candidate(last, tuple(above), confidence))
    return tuple(found)


def flatten(annotations: Sequence[Annotation]) -> list[FlatAnnotation]:
    """All nodes in depth-first order, a parent before its children."""
    flat: list[FlatAnnotation] = []
    waiting: list[tuple[Annotation, int | None, int]] = [(a, None, 0) for a in reversed(annotations)]
    while waiting:
        annotation, parent, level = waiting.pop()
        position = len(flat)
        flat.append(FlatAnnotation(position, parent, level, annotation))
        waiting.extend((child, position, level + 1) for child in reversed(annotation.children))
    return flat


def unflatten(rows: Sequence[StoredAnnotation]) -> tuple[Annotation, ...]:
    """The trees whose nodes are `rows`, in depth-first order."""
    children: defaultdict[int | None, list[Annotation]] = defaultdict(list)
    # Backwards, so that every node finds its children ready.
    for row in reversed(rows):
        found = tuple(reversed(children.pop(row.id, [])))
        annotation = Annotation(row.type, row.start, row.end, row.text, row.score, found)
        children[row.parent_id].append(annotation)
    return tuple(reversed(children[None]))

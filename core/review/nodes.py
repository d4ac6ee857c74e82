"""Annotations under review: a frozen, flat form in which every node keeps what the machine said of it.

A document under review is a tuple of nodes in the order of their numbers. Offsets are code points of the document.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from core.types import Annotation

OPEN, ACCEPTED, REJECTED = "open", "accepted", "rejected"
DECISIONS = (OPEN, ACCEPTED, REJECTED)

UNREVIEWED, STARTED, APPROVED, CORRECTED = "unreviewed", "started", "approved", "corrected"
DISMISSED, SKIPPED = "rejected", "skipped"
# Of a whole document: nothing done; some of it decided; right as it was; right now; unusable; left for later.
STATES = (UNREVIEWED, STARTED, APPROVED, CORRECTED, DISMISSED, SKIPPED)
REVIEWED = (APPROVED, CORRECTED)
"""The states in which a person vouches for the annotations of a document."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What the machine said of a node; never changed."""

    type: str
    start: int | None
    end: int | None
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Node:
    """One annotation under review, `parent` being the node above; `machine` is None when a person added it."""

    id: int
    parent: int | None
    type: str
    start: int | None
    end: int | None
    text: str
    decision: str = OPEN
    machine: Origin | None = None

    @property
    def score(self) -> float:
        """The machine's score; what a person added is certain."""
        return 1.0 if self.machine is None else self.machine.score

    @property
    def changed(self) -> bool:
        """Whether it differs from what the machine said, its decision apart."""
        one = self.machine
        return one is None or (self.type, self.start, self.end, self.text) != (one.type, one.start, one.end, one.text)


Nodes = tuple[Node, ...]


def dropped(nodes: Nodes) -> frozenset[int]:
    """The numbers of what does not count: rejected annotations and all that hangs below them."""
    out: set[int] = set()
    for node in nodes:  # parents come first
        if node.decision == REJECTED or node.parent in out:
            out.add(node.id)
    return frozenset(out)


def from_annotations(annotations: Sequence[Annotation]) -> Nodes:
    """The machine's trees as undecided nodes, numbered from 0 in depth-first order."""
    nodes: list[Node] = []
    waiting: list[tuple[Annotation, int | None]] = [(one, None) for one in reversed(annotations)]
    while waiting:
        one, parent = waiting.pop()
        origin = Origin(one.type, one.start, one.end, one.text, one.score)
        number = len(nodes)
        nodes.append(Node(number, parent, one.type, one.start, one.end, one.text, machine=origin))
        waiting.extend((child, number) for child in reversed(one.children))
    return tuple(nodes)


def to_annotations(nodes: Nodes) -> tuple[Annotation, ...]:
    """The trees as they stand, without what was rejected and all that hangs below it, in text order."""
    kept = (node for node in nodes if node.decision != REJECTED)
    return _trees((node.id, node.parent, node.type, node.start, node.end, node.text, node.score) for node in kept)


def machine_annotations(nodes: Nodes) -> tuple[Annotation, ...]:
    """The trees as the machine gave them, whatever was done since, in text order."""
    return _trees(
        (node.id, node.parent, one.type, one.start, one.end, one.text, one.score)
        for node in nodes
        if (one := node.machine) is not None
    )


def _trees(rows: Iterable[tuple[int, int | None, str, int | None, int | None, str, float]]) -> tuple[Annotation, ...]:
    """Rows of (id, parent, type, start, end, text, score), parents before children, as trees; orphans fall away."""
    below: defaultdict[int | None, list[tuple[int, int, int, Annotation]]] = defaultdict(list)
    for number, parent, type, start, end, text, score in sorted(rows, reverse=True):
        # A child has a higher number than its parent, so going backwards every node finds its children ready.
        children = tuple(one for *_, one in sorted(below.pop(number, []), key=lambda row: row[:3]))
        place = (-1 if start is None else start, -1 if end is None else end, number)
        below[parent].append((*place, Annotation(type, start, end, text, score, children)))
    return tuple(one for *_, one in sorted(below[None], key=lambda row: row[:3]))


def dump_node(node: Node) -> list[Any]:
    """A node as JSON values."""
    one = node.machine
    machine = None if one is None else [one.type, one.start, one.end, one.text, one.score]
    return [node.id, node.parent, node.type, node.start, node.end, node.text, node.decision, machine]


def load_node(stored: Sequence[Any]) -> Node:
    """The node that `dump_node` wrote."""
    number, parent, type, start, end, text, decision, machine = stored
    return Node(number, parent, type, start, end, text, decision, None if machine is None else Origin(*machine))


def load_nodes(stored: Iterable[Sequence[Any]]) -> Nodes:
    """The nodes that were written one by one with `dump_node`."""
    return tuple(load_node(one) for one in stored)

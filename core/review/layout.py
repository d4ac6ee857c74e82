"""Where to draw what: a text cut at the bounds of its spans, and a line for each span so that none hides another. Pure.

Offsets are code points of the document.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.review.nodes import Node, Nodes, dropped


@dataclass(frozen=True, slots=True)
class Mark:
    """Annotations of one type in one place, drawn once; `lane` 0 is the line next to the text."""

    start: int
    end: int
    type: str
    nodes: tuple[int, ...]
    lane: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text under the same marks throughout; `marks` are their places in the list of marks.

    `closing` are the marks that end where the piece ends, the inner ones first. A line feed is a piece of its own.
    """

    start: int
    text: str
    marks: tuple[int, ...]
    closing: tuple[int, ...]


def marks(nodes: Nodes, length: int) -> tuple[Mark, ...]:
    """What to draw in a text of `length` characters, from left to right, the longer first; nothing that was rejected.

    Two marks that share a character lie on different lanes, shorter ones nearer to the text. Spans that are empty or
    outside the text have no mark.
    """
    out = dropped(nodes)
    groups: dict[tuple[int, int, str], list[int]] = {}
    for node in nodes:
        if node.id in out or node.start is None or node.end is None:
            continue
        if 0 <= node.start < node.end <= length:
            groups.setdefault((node.start, node.end, node.type), []).append(node.id)
    lanes = _lanes(groups)
    found = (Mark(*key, tuple(members), lanes[key]) for key, members in groups.items())
    return tuple(sorted(found, key=lambda mark: (mark.start, -mark.end, mark.type)))


def pieces(text: str, found: Sequence[Mark]) -> tuple[Piece, ...]:
    """The whole text in pieces, none of them empty; joined they are the text."""
    feeds = [one.start() for one in re.finditer("\n", text)]
    bounds = {0, len(text), *feeds, *(place + 1 for place in feeds)}
    bounds.update(place for mark in found for place in (mark.start, mark.end))
    cuts = sorted(bounds)
    opening: dict[int, list[int]] = {}
    for index, mark in enumerate(found):
        opening.setdefault(mark.start, []).append(index)
    active: list[int] = []
    cut = []
    for start, end in zip(cuts, cuts[1:], strict=False):
        active = [index for index in active if found[index].end > start] + opening.get(start, [])
        closing = [index for index in active if found[index].end == end]
        closing.sort(key=lambda index: (found[index].end - found[index].start, found[index].type))
        cut.append(Piece(start, text[start:end], tuple(active), tuple(closing)))
    return tuple(cut)


def tree_order(nodes: Nodes) -> list[tuple[Node, int]]:
    """The nodes as a list shows them, each with its depth: trees in text order, a parent before what is below it."""
    below: dict[int | None, list[Node]] = {}
    for node in nodes:
        below.setdefault(node.parent, []).append(node)
    for group in below.values():
        group.sort(key=lambda node: (-1 if node.start is None else node.start, node.end or -1, node.id))
    ordered: list[tuple[Node, int]] = []
    waiting = [(node, 0) for node in reversed(below.get(None, []))]
    while waiting:
        node, depth = waiting.pop()
        ordered.append((node, depth))
        waiting.extend((child, depth + 1) for child in reversed(below.get(node.id, [])))
    return ordered


def _lanes(places: Iterable[tuple[int, int, str]]) -> dict[tuple[int, int, str], int]:
    """The lowest free lane for each place, the shortest first."""
    taken: list[list[tuple[int, int]]] = []
    found = {}
    for key in sorted(places, key=lambda one: (one[1] - one[0], one)):
        start, end, _ = key
        for lane, spans in enumerate(taken):
            at = bisect_left(spans, (start, end))
            if (at == 0 or spans[at - 1][1] <= start) and (at == len(spans) or spans[at][0] >= end):
                spans.insert(at, (start, end))
                found[key] = lane
                break
        else:
            taken.append([(start, end)])
            found[key] = len(taken) - 1
    return found

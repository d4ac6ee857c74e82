"""Relations and events as a graph: an arrow from subject to object, or event to argument, with its relation or role."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import ceil, sqrt
from typing import Any

import networkx as nx
import plotly.graph_objects as go
import streamlit as st

from core.rendering import type_colour
from core.types import AnnotatedDocument, Annotation
from core.views.findings import Triple, base_name, event_nodes, event_triples, triples
from streamlit_app.components.charts import escape, ink, paper
from streamlit_app.i18n import t

MAX_EDGES = 60
NODE_SIZE = 30
CROWD = 3
"""Nodes that stand well in one cell."""
SEED = 7
ROUND_TABLE = 12
"""Up to so many nodes with many arrows stand in a circle, where none comes near to another."""
MAX_HEIGHT = 900
ROW = 60
"""Pixels between two arguments of events."""
NAME_LENGTH = 13
NAMED_AT = (0.3, 0.74, 0.52)
"""Where the arrows of one event, the next and the one after are named, as shares of their length."""
LINE = "#7c8896"
"""Seen on the backgrounds of both themes."""
Point = Sequence[float]


def relation_graph(result: AnnotatedDocument, *, key: str) -> None:
    """Draw the strongest `MAX_EDGES` relations of a document; says so when there are more."""
    found = sorted(triples(result), key=lambda one: -one.object.score)
    if not found:
        return
    if len(found) > MAX_EDGES:
        st.caption(t("graph.strongest", shown=MAX_EDGES, count=len(found)))
    _draw(figure(found[:MAX_EDGES]), key=key, alt=t("graph.alt", count=len(found)))


def event_graph(result: AnnotatedDocument, *, key: str) -> None:
    """Draw events with their arguments; the same words as arguments of several events join these."""
    nodes = event_nodes(result.annotations)
    found = sorted(event_triples(nodes), key=lambda one: -one.object.score)
    if not found:
        return
    users = Counter(words for words, _ in {(one.object.text, one.subject.text) for one in found})
    shared = sum(count > 1 for count in users.values())
    said = "graph.events" if shared else "graph.events.apart"
    st.caption(t(said, events=len(nodes), arguments=len(users), shared=shared))
    if len(found) > MAX_EDGES:
        st.caption(t("graph.strongest", shown=MAX_EDGES, count=len(found)))
    drawing = event_figure(nodes, found[:MAX_EDGES])
    _draw(drawing, key=key, alt=t("graph.events.alt", events=len(nodes), arguments=len(users)))


def _draw(drawing: go.Figure, *, key: str, alt: str) -> None:
    st.plotly_chart(drawing, key=key, config={"displayModeBar": False}, alt=alt)


def scored(one: Triple) -> str:
    """A relation with its score."""
    return f"{one.relation} {one.object.score:.2f}"


def figure(found: list[Triple], *, label: Callable[[Triple], str] = scored) -> go.Figure:
    """Nodes are mentions of the same words, coloured by type; arrows of the same pair share one line.

    `label`: what an arrow says.
    """
    kinds: dict[str, str] = {}
    for one in found:
        kinds.setdefault(one.subject.text or "—", base_name(one.subject.type))
        kinds.setdefault(one.object.text or "—", _object_type(one.object.type))
    edges = _edges(found, label)
    places, width, rows = _layout(nx.Graph(list(edges)))
    drawing = go.Figure()
    for (subject, target), said in edges.items():
        if subject == target:
            _label(drawing, places[subject], said, yshift=NODE_SIZE / 2 + 10)
        else:
            _arrow(drawing, places[subject], places[target], label=said)
    for kind in dict.fromkeys(kinds.values()):
        _nodes(drawing, {name: places[name] for name, its in kinds.items() if its == kind}, kind=kind)
    for name, place in places.items():
        _name(drawing, place, name, yshift=-NODE_SIZE / 2 - 12)
    _frame(drawing, height=min(110 + 190 * rows, MAX_HEIGHT), x=[-0.5, width - 0.5], y=[0.4 - rows, 0.5])
    return drawing


def event_figure(events: Sequence[Annotation], found: Sequence[Triple]) -> go.Figure:
    """Events of `event_nodes` on the left, the words that are their arguments on the right, an arrow for each pair.

    An event stands at the height of its arguments, and arrows of neighbours are named at different places, so that
    names lie on nothing.
    """
    kinds: dict[str, str] = {}
    for one in sorted(found, key=lambda one: (one.subject.start or 0, one.object.start or 0)):
        kinds.setdefault(one.object.text or "—", base_name(one.object.type))
    rows = {words: float(row) for row, words in enumerate(kinds)}
    edges = _edges(found, lambda one: one.relation)  # scores stand in the frames; two roles with theirs are too wide
    heights = _heights(events, edges, rows)
    drawing = go.Figure()
    for (event, words), said in edges.items():
        step = list(heights).index(event) % len(NAMED_AT)
        _arrow(drawing, (0, -heights[event]), (1, -rows[words]), label=said, at=NAMED_AT[step])
    names = {node.text: base_name(node.type) for node in events}
    known = [*names.values(), *kinds.values()]
    for kind in dict.fromkeys(names.values()):
        its = {name: (0, -heights[name]) for name, other in names.items() if other == kind}
        _nodes(drawing, its, kind=kind, known=known)
    for kind in dict.fromkeys(kinds.values()):
        _nodes(
            drawing,
            {words: (1, -rows[words]) for words, other in kinds.items() if other == kind},
            kind=kind,
            known=known,
        )
    for name, height in heights.items():
        _name(drawing, (0, -height), name, xshift=-NODE_SIZE / 2 - 4, xanchor="right")
    for words, row in rows.items():
        _name(drawing, (1, -row), words, xshift=NODE_SIZE / 2 + 4, xanchor="left")
    last = max(*rows.values(), *heights.values())
    _frame(drawing, height=int(80 + ROW * (last + 1)), x=[-0.5, 1.5], y=[-last - 0.6, 0.6])
    return drawing


def _heights(
    events: Sequence[Annotation], edges: Mapping[tuple[str, str], str], rows: Mapping[str, float]
) -> dict[str, float]:
    """A height for every event, as near to the middle of its arguments as those above it allow."""
    wanted: dict[str, float] = {}
    for node in events:
        its = [rows[words] for event, words in edges if event == node.text]
        wanted[node.text] = sum(its) / len(its) if its else float(len(rows))
    heights: dict[str, float] = {}
    free = 0.0
    for name, height in sorted(wanted.items(), key=lambda one: one[1]):
        heights[name] = max(height, free)
        free = heights[name] + 1
    return heights


def _edges(found: Iterable[Triple], label: Callable[[Triple], str]) -> dict[tuple[str, str], str]:
    """Every pair of nodes that is joined, with all that its arrow says, each once."""
    edges: dict[tuple[str, str], list[str]] = {}
    for one in found:
        edges.setdefault((one.subject.text or "—", one.object.text or "—"), []).append(label(one))
    return {pair: "、".join(dict.fromkeys(said)) for pair, said in edges.items()}


def _layout(graph: nx.Graph) -> tuple[dict[str, Point], int, int]:
    """A place for every node, each connected part in a square of cells of its own; then columns and rows of cells.

    A part of more nodes gets a larger square, and squares fill row after row, the largest first.
    """
    parts = sorted(nx.connected_components(graph), key=len, reverse=True)
    sides = [ceil(sqrt(len(part) / CROWD)) for part in parts]
    width = max(ceil(sqrt(sum(side * side for side in sides))), sides[0])
    places: dict[str, Point] = {}
    column = row = height = 0
    for side, part in zip(sides, parts, strict=True):
        if column + side > width:
            column, row, height = 0, row + height, 0
        centre = (column + (side - 1) / 2, -(row + (side - 1) / 2))
        # Sorted, for the layout must not depend on the order of a set.
        cell = nx.Graph(graph.subgraph(sorted(part)))
        scale = side / 2 - 0.14
        if len(cell) <= cell.number_of_edges() and len(cell) <= ROUND_TABLE:
            places |= nx.circular_layout(cell, scale=scale, center=centre)
        else:
            places |= nx.spring_layout(cell, seed=SEED, iterations=120, scale=scale, center=centre)
        column, height = column + side, max(height, side)
    return places, width, row + height


def _frame(drawing: go.Figure, *, height: int, x: list[float], y: list[float]) -> None:
    drawing.update_layout(
        height=height,
        margin={"l": 0, "r": 0, "t": 8, "b": 8},
        xaxis={"visible": False, "range": x, "fixedrange": True},
        yaxis={"visible": False, "range": y, "fixedrange": True},
        legend={"orientation": "h"},
    )


def _name(drawing: go.Figure, place: Point, name: str, **where: Any) -> None:
    """The name of a node, over the lines; a long one is cut, and whole where one points at the node."""
    short = name if len(name) <= NAME_LENGTH else name[: NAME_LENGTH - 1] + "…"
    drawing.add_annotation(
        x=place[0],
        y=place[1],
        text=escape(short),
        showarrow=False,
        font={"size": 13, "color": ink()},
        bgcolor=paper(),
        borderpad=1,
        **where,
    )


def _arrow(drawing: go.Figure, start: Point, end: Point, *, label: str, at: float = 0.4) -> None:
    drawing.add_annotation(
        x=end[0],
        y=end[1],
        ax=start[0],
        ay=start[1],
        xref="x",
        yref="y",
        axref="x",
        ayref="y",
        showarrow=True,
        arrowhead=2,
        arrowwidth=1.4,
        arrowcolor=LINE,
        standoff=NODE_SIZE / 2 + 2,
        startstandoff=NODE_SIZE / 2,
    )
    middle = [a + (b - a) * at for a, b in zip(start, end, strict=True)]
    _label(drawing, middle, label)


def _label(drawing: go.Figure, place: Point, words: str, *, yshift: float = 0) -> None:
    drawing.add_annotation(
        x=place[0],
        y=place[1],
        text=escape(words),
        showarrow=False,
        yshift=yshift,
        font={"size": 12, "color": ink()},
        bgcolor=paper(),
        borderpad=2,
    )


def _nodes(drawing: go.Figure, places: Mapping[str, Point], *, kind: str, known: Iterable[str] = ()) -> None:
    drawing.add_scatter(
        x=[place[0] for place in places.values()],
        y=[place[1] for place in places.values()],
        mode="markers",
        name=escape(kind),
        text=[escape(name) for name in places],
        marker={"size": NODE_SIZE, "color": type_colour(kind, known), "line": {"width": 1.5, "color": LINE}},
        hoverinfo="text",
    )


def _object_type(name: str) -> str:
    for left, right in ("()", "（）"):
        if name.endswith(right) and left in name:
            return name[name.rindex(left) + 1 : -1]
    return name

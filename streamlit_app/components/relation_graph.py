"""Relations and events as a graph: an arrow from subject to object, or event to argument, with its relation or role."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from math import ceil, sqrt

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
MAX_HEIGHT = 900
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
    st.caption(t("graph.events", events=len(nodes), arguments=len(users), shared=shared))
    if len(found) > MAX_EDGES:
        st.caption(t("graph.strongest", shown=MAX_EDGES, count=len(found)))
    drawing = figure(found[:MAX_EDGES], alone=nodes)
    _draw(drawing, key=key, alt=t("graph.events.alt", events=len(nodes), arguments=len(users)))


def _draw(drawing: go.Figure, *, key: str, alt: str) -> None:
    st.plotly_chart(drawing, key=key, config={"displayModeBar": False}, alt=alt)


def scored(one: Triple) -> str:
    """A relation with its score."""
    return f"{one.relation} {one.object.score:.2f}"


def figure(
    found: list[Triple], *, label: Callable[[Triple], str] = scored, alone: Iterable[Annotation] = ()
) -> go.Figure:
    """Nodes are mentions of the same words, coloured by type; arrows of the same pair share one line.

    `label`: what an arrow says; `alone`: nodes to be drawn even without an arrow.
    """
    kinds: dict[str, str] = {}
    edges: dict[tuple[str, str], list[str]] = {}
    for one in found:
        subject, target = one.subject.text or "—", one.object.text or "—"
        kinds.setdefault(subject, base_name(one.subject.type))
        kinds.setdefault(target, _object_type(one.object.type))
        edges.setdefault((subject, target), []).append(label(one))
    for node in alone:
        kinds.setdefault(node.text or "—", base_name(node.type))
    graph = nx.Graph(list(edges))
    graph.add_nodes_from(kinds)
    places, width, rows = _layout(graph)
    drawing = go.Figure()
    for (subject, target), names in edges.items():
        _arrow(drawing, places[subject], places[target], label="、".join(dict.fromkeys(names)))
    for kind in dict.fromkeys(kinds.values()):
        _nodes(drawing, {name: places[name] for name, its in kinds.items() if its == kind}, kind=kind)
    drawing.update_layout(
        height=min(110 + 190 * rows, MAX_HEIGHT),
        margin={"l": 0, "r": 0, "t": 8, "b": 8},
        xaxis={"visible": False, "range": [-0.5, width - 0.5], "fixedrange": True},
        yaxis={"visible": False, "range": [0.4 - rows, 0.5], "fixedrange": True},
        legend={"orientation": "h"},
    )
    return drawing


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
        places |= nx.spring_layout(cell, seed=SEED, iterations=120, scale=side / 2 - 0.14, center=centre)
        column, height = column + side, max(height, side)
    return places, width, row + height


def _arrow(drawing: go.Figure, start: Point, end: Point, *, label: str) -> None:
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
    drawing.add_annotation(
        x=(start[0] + end[0]) / 2,
        y=(start[1] + end[1]) / 2,
        text=escape(label),
        showarrow=False,
        font={"size": 12, "color": ink()},
        bgcolor=paper(),
        borderpad=2,
    )


def _nodes(drawing: go.Figure, places: dict[str, Point], *, kind: str) -> None:
    drawing.add_scatter(
        x=[place[0] for place in places.values()],
        y=[place[1] for place in places.values()],
        mode="markers+text",
        name=escape(kind),
        text=[escape(name) for name in places],
        textposition="bottom center",
        textfont={"size": 13, "color": ink()},
        marker={"size": NODE_SIZE, "color": type_colour(kind), "line": {"width": 1.5, "color": LINE}},
        hoverinfo="text",
    )


def _object_type(name: str) -> str:
    for left, right in ("()", "（）"):
        if name.endswith(right) and left in name:
            return name[name.rindex(left) + 1 : -1]
    return name

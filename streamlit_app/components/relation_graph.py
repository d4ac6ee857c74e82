"""Relations as a graph: an arrow from each subject to its object, named after the relation."""

from __future__ import annotations

import networkx as nx
import plotly.graph_objects as go
import streamlit as st

from core.rendering import type_colour
from core.types import AnnotatedDocument
from streamlit_app.components.findings import Triple, triples
from streamlit_app.i18n import t

MAX_EDGES = 60
NODE_SIZE = 30
SEED = 7


def relation_graph(result: AnnotatedDocument, *, key: str) -> None:
    """Draw the strongest `MAX_EDGES` relations of a document; says so when there are more."""
    found = sorted(triples(result), key=lambda one: -one.object.score)
    if not found:
        return
    if len(found) > MAX_EDGES:
        st.caption(t("graph.strongest", shown=MAX_EDGES, count=len(found)))
    st.plotly_chart(
        figure(found[:MAX_EDGES]), key=key, config={"displayModeBar": False}, alt=t("graph.alt", count=len(found))
    )


def figure(found: list[Triple]) -> go.Figure:
    """Nodes are mentions of the same words, coloured by type; arrows of the same pair share one line."""
    kinds: dict[str, str] = {}
    edges: dict[tuple[str, str], list[str]] = {}
    for one in found:
        subject, target = one.subject.text or "—", one.object.text or "—"
        kinds.setdefault(subject, one.subject.type)
        kinds.setdefault(target, _object_type(one.object.type))
        edges.setdefault((subject, target), []).append(f"{one.relation} {one.object.score:.2f}")
    graph = nx.Graph(list(edges))
    places = nx.spring_layout(graph, seed=SEED, k=1.6 / max(1, len(graph)) ** 0.5, iterations=120)
    drawing = go.Figure()
    for (subject, target), names in edges.items():
        (x0, y0), (x1, y1) = places[subject], places[target]
        drawing.add_annotation(
            x=x1, y=y1, ax=x0, ay=y0, xref="x", yref="y", axref="x", ayref="y",
            showarrow=True, arrowhead=2, arrowsize=1.1, arrowwidth=1.4, arrowcolor="#8a97a6",
            standoff=NODE_SIZE / 2 + 2, startstandoff=NODE_SIZE / 2,
        )  # fmt: skip
        drawing.add_annotation(
            x=(x0 + x1) / 2, y=(y0 + y1) / 2, text=_escape("、".join(dict.fromkeys(names))), showarrow=False,
            font={"size": 11}, bgcolor="rgba(138,151,166,0.25)", borderpad=2,
        )  # fmt: skip
    for kind in dict.fromkeys(kinds.values()):
        names = [name for name, its in kinds.items() if its == kind]
        drawing.add_scatter(
            x=[places[name][0] for name in names], y=[places[name][1] for name in names], mode="markers+text",
            name=_escape(kind), text=[_escape(name) for name in names], textposition="bottom center",
            marker={"size": NODE_SIZE, "color": type_colour(kind), "line": {"width": 1.5, "color": "#8a97a6"}},
            hoverinfo="text",
        )  # fmt: skip
    hidden = {"visible": False, "range": [-1.35, 1.35], "fixedrange": True}
    drawing.update_layout(
        height=360, margin={"l": 0, "r": 0, "t": 8, "b": 8}, xaxis=hidden, yaxis=hidden, legend={"orientation": "h"}
    )
    return drawing


def _object_type(name: str) -> str:
    for left, right in ("()", "（）"):
        if name.endswith(right) and left in name:
            return name[name.rindex(left) + 1 : -1]
    return name


def _escape(text: str) -> str:
    # Plotly reads a few tags and entities in its texts.
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

"""Bars and rings for classes and polarities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import plotly.graph_objects as go
import streamlit as st

from core.types import AnnotatedDocument, Annotation
from streamlit_app.components.findings import NEGATIVE, NEUTRAL, POSITIVE, class_paths, label_name
from streamlit_app.i18n import t

POLARITY_COLOURS = {POSITIVE: "#2d8a5f", NEUTRAL: "#8a97a6", NEGATIVE: "#c0504d"}
PLAIN = {"displayModeBar": False}
BAR = 34


def class_bars(annotations: Sequence[Annotation], *, key: str) -> None:
    """The classes found, with their scores, best on top."""
    paths = class_paths(annotations)[::-1]
    names = [_escape(" › ".join(label_name(name) for name in path)) for path, _ in paths]
    scores = [score for _, score in paths]
    drawing = go.Figure(
        go.Bar(x=scores, y=names, orientation="h", text=[f"{score:.3f}" for score in scores], textposition="auto")
    )
    drawing.update_layout(
        height=BAR * len(names) + 60, margin={"l": 0, "r": 10, "t": 6, "b": 0}, bargap=0.35,
        xaxis={"range": [0, 1], "title": None, "fixedrange": True}, yaxis={"title": None, "fixedrange": True},
    )  # fmt: skip
    st.plotly_chart(drawing, key=key, config=PLAIN, alt=t("chart.classes"))


def polarity_bar(counts: Counter[str], *, key: str) -> None:
    """One bar split into positive, neutral and negative."""
    drawing = go.Figure()
    for which in (POSITIVE, NEUTRAL, NEGATIVE):
        if counts[which]:
            drawing.add_bar(
                x=[counts[which]], y=[""], orientation="h", name=t(f"polarity.{which}"),
                text=f"{t(f'polarity.{which}')} {counts[which]}", textposition="inside", insidetextanchor="middle",
                marker_color=POLARITY_COLOURS[which], hoverinfo="name+x",
            )  # fmt: skip
    hidden = {"visible": False, "fixedrange": True}
    drawing.update_layout(
        barmode="stack", height=46, margin={"l": 0, "r": 0, "t": 4, "b": 4}, showlegend=False, xaxis=hidden,
        yaxis=hidden, bargap=0,
    )  # fmt: skip
    st.plotly_chart(drawing, key=key, config=PLAIN, alt=t("chart.polarity"))


def class_sunburst(results: Sequence[AnnotatedDocument], *, key: str) -> None:
    """How often each path of classes was found, the first level inside."""
    counts: Counter[tuple[str, ...]] = Counter()
    for result in results:
        for path, _ in class_paths(result.annotations):
            for depth in range(1, len(path) + 1):
                counts[path[:depth]] += 1
    paths = list(counts)
    drawing = go.Figure(
        go.Sunburst(
            ids=["\t".join(path) for path in paths], labels=[_escape(path[-1]) for path in paths],
            parents=["\t".join(path[:-1]) for path in paths], values=[counts[path] for path in paths],
            branchvalues="total",
        )
    )  # fmt: skip
    drawing.update_layout(height=300, margin={"l": 0, "r": 0, "t": 4, "b": 4})
    st.plotly_chart(drawing, key=key, config=PLAIN, alt=t("chart.sunburst"))


def count_bars(counts: Sequence[tuple[str, int]], *, key: str) -> None:
    """How often each type was found over all documents."""
    names, values = [_escape(name) for name, _ in counts][::-1], [count for _, count in counts][::-1]
    drawing = go.Figure(go.Bar(x=values, y=names, orientation="h", text=values, textposition="auto"))
    drawing.update_layout(
        height=26 * len(names) + 50, margin={"l": 0, "r": 10, "t": 6, "b": 0}, bargap=0.3,
        xaxis={"title": None, "fixedrange": True}, yaxis={"title": None, "fixedrange": True},
    )  # fmt: skip
    st.plotly_chart(drawing, key=key, config=PLAIN, alt=t("chart.counts"))


def _escape(text: str) -> str:
    # Plotly reads a few tags and entities in its texts.
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

"""How often things were found, as bars and rings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import plotly.graph_objects as go
import streamlit as st

from core.palette import DARK, LIGHT, PALETTE, WHITE, line_on
from core.schemas.schema import Schema
from core.types import AnnotatedDocument
from core.views.classes import found_path
from core.views.findings import class_paths, walk
from streamlit_app.i18n import t

BLUE = PALETTE[0]
# Light and dark ones in turn, so that neighbours differ in more than hue.
RINGS = tuple(PALETTE[place] for place in (0, 1, 2, 3, 6, 4, 5, 9))
PALE = "rgba(138,151,166,0.28)"
PLAIN = {"displayModeBar": False}


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
            ids=["\t".join(path) for path in paths], labels=[escape(path[-1]) for path in paths],
            parents=["\t".join(path[:-1]) for path in paths], values=[counts[path] for path in paths],
            branchvalues="total",
        )
    )  # fmt: skip
    drawing.update_layout(height=300, sunburstcolorway=RINGS, margin={"l": 0, "r": 0, "t": 4, "b": 4})
    st.plotly_chart(drawing, key=key, config=PLAIN, alt=t("chart.sunburst"))


def schema_sunburst(schema: Schema, result: AnnotatedDocument, *, key: str) -> None:
    """The classes asked for as rings, all leaves equally wide; what was found is coloured, the rest is pale."""
    found = {
        (*(one.type for one in node.above), node.annotation.type): node.annotation.score
        for node in walk(result.annotations)
    }
    paths = list(schema.paths())
    leaves = [path for path in paths if not any(other != path and other[: len(path)] == path for other in paths)]
    drawing = go.Figure(
        go.Sunburst(
            ids=["\t".join(path) for path in paths], labels=[escape(path[-1]) for path in paths],
            parents=["\t".join(path[:-1]) for path in paths],
            values=[sum(leaf[: len(path)] == path for leaf in leaves) for path in paths],
            branchvalues="total", marker={"colors": [BLUE if path in found else PALE for path in paths]},
            insidetextfont={"color": [WHITE if path in found else ink() for path in paths]}, leaf={"opacity": 1},
            hovertext=[f"{found[path]:.3f}" if path in found else "" for path in paths], hoverinfo="label+text",
        )
    )  # fmt: skip
    drawing.update_layout(height=320, margin={"l": 0, "r": 0, "t": 4, "b": 4})
    st.plotly_chart(drawing, key=key, config=PLAIN, alt=t("chart.rings", found=found_path(result.annotations) or "—"))


def count_bars(counts: Sequence[tuple[str, int]], *, key: str) -> None:
    """How often each type was found over all documents."""
    names, values = [escape(name) for name, _ in counts][::-1], [count for _, count in counts][::-1]
    drawing = go.Figure(
        go.Bar(x=values, y=names, orientation="h", text=values, textposition="auto", textangle=0, marker_color=BLUE)
    )
    drawing.update_layout(
        height=26 * len(names) + 50, margin={"l": 0, "r": 10, "t": 6, "b": 0}, bargap=0.3,
        xaxis={"visible": False, "fixedrange": True}, yaxis={"title": None, "fixedrange": True},
    )  # fmt: skip
    st.plotly_chart(drawing, key=key, config=PLAIN, alt=t("chart.counts"))


def ink() -> str:
    """The colour of texts in a picture, readable on the background of the theme in use."""
    return "#e3e8ef" if st.context.theme.type == "dark" else "#1d2530"


def paper() -> str:
    """The background of the theme in use, a little see-through."""
    return "rgba(18,23,30,0.85)" if st.context.theme.type == "dark" else "rgba(255,255,255,0.85)"


def line_colour(colour: str) -> str:
    """`colour`, lighter or darker until a line of it stands out from the background of the theme in use."""
    return line_on(colour, (DARK if st.context.theme.type == "dark" else LIGHT)[0])


def escape(text: str) -> str:
    """`text` for Plotly, which reads a few tags and entities in its texts."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

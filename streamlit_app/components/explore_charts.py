"""Figures of stored findings, from counts to Plotly figures, in colours that the theme in use makes readable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import plotly.graph_objects as go
import streamlit as st

from core.palette import DARK, LIGHT, over
from core.rendering import type_colour
from streamlit_app.components.charts import BLUE, RINGS, escape, line_colour
from streamlit_app.i18n import t

LONGEST_NAME = 18
REST = "#8a97a6"


def short(name: str) -> str:
    """A name that leaves room for the bars, escaped; the whole one stands in the tooltip."""
    return escape(name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…")


def bars(counts: Mapping[str, Sequence[tuple[str, int]]]) -> go.Figure:
    """Horizontal bars; with several series (runs) they stand beside each other, the first one's order counting."""
    names = list(dict.fromkeys(name for rows in counts.values() for name, _ in rows))[::-1]
    drawing = go.Figure()
    for place, (series, rows) in enumerate(counts.items()):
        known = dict(rows)
        values = [known.get(name, 0) for name in names]
        drawing.add_bar(
            x=values, y=list(range(len(names))), orientation="h", name=escape(series), text=values, textangle=0,
            marker_color=BLUE if len(counts) == 1 else RINGS[place % len(RINGS)],
            customdata=[escape(name) for name in names], hovertemplate="%{customdata}：%{x}<extra></extra>",
        )  # fmt: skip
    thickness = 26 if len(counts) == 1 else 22 * len(counts) + 8
    drawing.update_layout(
        height=thickness * len(names) + 60, margin={"l": 0, "r": 30, "t": 8, "b": 8}, bargap=0.3,
        showlegend=len(counts) > 1, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        xaxis={"visible": False, "fixedrange": True},
        yaxis={
            "tickmode": "array", "tickvals": list(range(len(names))), "ticktext": [short(name) for name in names],
            "fixedrange": True,
        },
    )  # fmt: skip
    return drawing


def histogram(bins: Mapping[str, Sequence[int]], *, most: int = 8) -> go.Figure:
    """How the scores are spread, one colour a type; types beyond the `most` frequent are one."""
    ranked = sorted(bins, key=lambda name: -sum(bins[name]))
    shown = {name: list(bins[name]) for name in ranked[:most]}
    colours = type_colours(ranked[:most])
    if len(ranked) > most:
        rest = [bins[name] for name in ranked[most:]]
        shown[t("explore.rest", count=len(rest))] = [sum(column) for column in zip(*rest, strict=True)]
    drawing = go.Figure()
    for name, values in shown.items():
        width = 1 / len(values)
        drawing.add_bar(
            x=[(number + 0.5) * width for number in range(len(values))], y=values, width=width * 0.96,
            name=short(name), marker_color=line_colour(colours.get(name, REST)),
            customdata=[f"{number * width:.2f}–{(number + 1) * width:.2f}" for number in range(len(values))],
            hovertemplate=f"{escape(name)}<br>%{{customdata}}：%{{y}}<extra></extra>",
        )  # fmt: skip
    lowest = min((number for values in shown.values() for number, one in enumerate(values) if one), default=0)
    drawing.update_layout(
        barmode="stack", height=380, margin={"l": 0, "r": 10, "t": 8, "b": 8},
        xaxis={"title": t("explore.axis.score"), "range": [lowest / 20, 1.0], "fixedrange": True,
               "tick0": 0, "dtick": 0.05 if lowest >= 6 else 0.1},
        yaxis={"title": t("explore.axis.findings"), "fixedrange": True, **_whole(shown.values())},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"},
    )  # fmt: skip
    return drawing


def heat(
    rows: Sequence[str], columns: Sequence[str], counts: Mapping[tuple[str, str], int], *, x: str = "", y: str = ""
) -> go.Figure:
    """A heat map with the number in each cell; an empty cell has none. A row or column without a name is “nothing”."""
    values = [[counts.get((row, column), 0) for column in columns] for row in rows]
    names = {name: short(name) if name else t("explore.nothing") for name in (*rows, *columns)}
    drawing = go.Figure(
        go.Heatmap(
            z=values, x=list(range(len(columns))), y=list(range(len(rows))), colorscale=_scale(), showscale=False,
            text=[[str(value) if value else "" for value in line] for line in values], texttemplate="%{text}",
            customdata=[[f"{names[row]} × {names[column]}" for column in columns] for row in rows],
            hovertemplate="%{customdata}：%{z}<extra></extra>", xgap=2, ygap=2,
        )
    )  # fmt: skip
    ticks = {"tickmode": "array", "fixedrange": True, "showgrid": False, "zeroline": False}
    drawing.update_layout(
        height=max(320, 34 * len(rows) + 130), margin={"l": 0, "r": 10, "t": 8, "b": 8},
        xaxis={**ticks, "tickvals": list(range(len(columns))), "ticktext": [names[one] for one in columns],
               "title": x, "tickangle": -35 if len(columns) > 6 else 0},
        yaxis={**ticks, "tickvals": list(range(len(rows))), "ticktext": [names[one] for one in rows], "title": y,
               "autorange": "reversed"},
    )  # fmt: skip
    return drawing


def _scale() -> list[list[object]]:
    """From nearly the background of the theme in use to blue, opaque: the ink of the numbers is chosen by it."""
    background = (DARK if st.context.theme.type == "dark" else LIGHT)[0]
    return [[0, over(BLUE, background, 0.04)], [1, BLUE]]


def timeline(series: Mapping[str, Mapping[date, int]], *, colours: Mapping[str, str] | None = None) -> go.Figure:
    """A line with points for each type over the stretches of time in which anything was found."""
    days = sorted({day for its in series.values() for day in its})
    drawing = go.Figure()
    for place, (name, its) in enumerate(series.items()):
        drawing.add_scatter(
            x=days, y=[its.get(day, 0) for day in days], mode="lines+markers", name=short(name),
            line={"color": line_colour((colours or {}).get(name, RINGS[place % len(RINGS)])), "width": 2},
            hovertemplate=f"{escape(name)}<br>%{{x|%Y-%m-%d}}：%{{y}}<extra></extra>",
        )  # fmt: skip
    drawing.update_layout(
        height=400, margin={"l": 0, "r": 10, "t": 8, "b": 8},
        xaxis={"fixedrange": True, "tickformat": "%Y-%m-%d"},
        yaxis={"title": t("explore.axis.findings"), "fixedrange": True, "rangemode": "tozero",
               **_whole(its.values() for its in series.values())},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"},
    )  # fmt: skip
    return drawing


def _whole(values: Iterable[Iterable[int]]) -> dict[str, int]:
    """Ticks at whole numbers where there are few: nothing is found half a time."""
    return {"dtick": 1} if max((max(its, default=0) for its in values), default=0) <= 8 else {}


def shares(counts: Mapping[str, Mapping[str, int]], *, colours: Mapping[str, str]) -> go.Figure:
    """One bar a name, divided into the parts of `colours` in their order."""
    names = list(counts)[::-1]
    drawing = go.Figure()
    for part, colour in colours.items():
        values = [counts[name].get(part, 0) for name in names]
        drawing.add_bar(
            x=values, y=list(range(len(names))), orientation="h", name=escape(part), marker_color=colour,
            text=[value or "" for value in values], textangle=0, insidetextanchor="middle",
            customdata=[escape(name) for name in names],
            hovertemplate=f"%{{customdata}} · {escape(part)}：%{{x}}<extra></extra>",
        )  # fmt: skip
    drawing.update_layout(
        barmode="stack", height=28 * len(names) + 80, margin={"l": 0, "r": 10, "t": 8, "b": 8}, bargap=0.3,
        xaxis={"visible": False, "fixedrange": True}, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        yaxis={"tickmode": "array", "tickvals": list(range(len(names))), "ticktext": [short(one) for one in names],
               "fixedrange": True},
    )  # fmt: skip
    return drawing


def type_colours(types: Sequence[str]) -> dict[str, str]:
    """The colours that the types have in marked texts, no two alike among the first twelve."""
    return {name: type_colour(name, types[:place]) for place, name in enumerate(types)}

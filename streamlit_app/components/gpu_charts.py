"""The history of cards and host as lines over time, with marks of what happened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from core.gpu.records import Event, GpuSnapshot, HostSnapshot, Sample
from streamlit_app.components.charts import escape, ink
from streamlit_app.i18n import t

GIB = 1024**3
POINTS = 300
MARKED_EVENTS = 40
GAP_S = 30.0
"""Readings further apart than this are not joined: nobody looked in between, or the driver did not answer."""
# The same colours as the memory bar where the line is the same thing.
UPPER_COLOURS = ("#8a97a6", "#56b4e9", "#0072b2")
LOWER_COLOURS = ("#009e73", "#e69f00", "#cc79a7")
BAD = ("oom", "xid", "error", "restart")
NOTABLE = ("job", "job_end", "model", "unload", "flush")
MARKS = {"bad": "#d55e00", "notable": "#0072b2", "other": "#8a97a6"}

Line = list[float | None]


def thinned(samples: Sequence[Sample], points: int = POINTS) -> list[Sample]:
    """At most `points` samples, evenly spaced, the newest always among them."""
    step = max(1, -(-len(samples) // points))
    return list(samples[::-1][::step][::-1])


def card_history(samples: Sequence[Sample], events: Sequence[Event], *, position: int, key: str) -> None:
    """Memory above, load and temperature below, of the card at `position` in each sample."""
    shown = thinned(samples)
    cards = [_at(sample.cards, position) for sample in shown]

    def values(read: Callable[[GpuSnapshot], float | None]) -> Line:
        return [None if card is None else read(card) for card in cards]

    upper = {
        t("gpu.line.used"): values(lambda card: _gib(card.used_bytes)),
        t("gpu.line.reserved"): values(lambda card: _gib(card.torch.reserved_bytes if card.torch else None)),
        t("gpu.line.allocated"): values(lambda card: _gib(card.torch.allocated_bytes if card.torch else None)),
    }
    lower = {
        t("gpu.line.utilisation"): values(lambda card: card.utilisation_percent),
        t("gpu.line.temperature"): values(lambda card: card.temperature_c),
        t("gpu.line.power"): values(_power_percent),
    }
    _draw(shown, upper, lower, events=events, key=key)


def host_history(samples: Sequence[Sample], events: Sequence[Event], *, key: str) -> None:
    """Memory of this process above, processor below."""
    shown = thinned(samples)
    hosts: list[HostSnapshot] = [sample.host for sample in shown]
    worker: Line = [_gib(host.worker_rss_bytes) for host in hosts]
    upper: dict[str, Line] = {t("gpu.line.worker"): worker} if any(value is not None for value in worker) else {}
    upper[t("gpu.line.rss")] = [_gib(host.rss_bytes) for host in hosts]
    lower: dict[str, Line] = {
        t("gpu.line.process_cpu"): [host.cpu_percent for host in hosts],
        t("gpu.line.machine_cpu"): [host.machine_cpu_percent for host in hosts],
    }
    _draw(shown, upper, lower, events=events, key=key)


def _draw(
    samples: Sequence[Sample],
    upper: Mapping[str, Line],
    lower: Mapping[str, Line],
    *,
    events: Sequence[Event],
    key: str,
) -> None:
    """Two pictures above each other on one axis of time; made at once, as building them up step by step is slow."""
    traces = [
        {"type": "scatter", "mode": "lines", "name": name, "line": {"color": colour, "width": 2}, "yaxis": axis}
        | dict(zip(("x", "y"), _with_gaps(samples, numbers), strict=True))
        for axis, lines, colours in (("y", upper, UPPER_COLOURS), ("y2", lower, LOWER_COLOURS))
        # A single line takes the strongest colour.
        for (name, numbers), colour in zip(lines.items(), colours[-len(lines) :], strict=True)
        if any(number is not None for number in numbers)
    ]
    seen = [event for event in events if samples and event.time_s >= samples[0].time_s]
    shapes, names = _marks(seen, ends_s=samples[-1].time_s if samples else 0.0)
    layout = {
        "height": 390,
        "margin": {"l": 8, "r": 8, "t": 66, "b": 8},
        "hovermode": "x unified",
        "legend": {"orientation": "h", "y": -0.1},
        # Keeps the user's zoom while new points arrive.
        "uirevision": key,
        "xaxis": {"type": "date", "tickformat": "%H:%M:%S", "nticks": 7, "anchor": "y2"},
        "yaxis": {"title": {"text": "GiB"}, "rangemode": "tozero", "domain": [0.47, 1.0]},
        "yaxis2": {"title": {"text": t("gpu.axis.load")}, "rangemode": "tozero", "domain": [0.0, 0.41], "anchor": "x"},
        "shapes": shapes,
        "annotations": names,
    }
    figure = go.Figure({"data": traces, "layout": layout})
    st.plotly_chart(figure, key=key, config={"displayModeBar": False}, alt=t("gpu.history"))


def _marks(events: Sequence[Event], *, ends_s: float) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A dotted line for each event, and its name above it; of events that crowd only the first is named."""
    shapes, names = [], []
    room_s = max(1.0, ends_s - events[0].time_s) / 22 if events else 0.0
    named_until = float("-inf")
    for event in events[-MARKED_EVENTS:]:
        when = _moment(event.time_s)
        kind = "bad" if event.kind in BAD else "notable" if event.kind in NOTABLE else "other"
        line = {"width": 1, "dash": "dot", "color": MARKS[kind]}
        shapes.append({"type": "line", "x0": when, "x1": when, "yref": "paper", "y0": 0, "y1": 1, "line": line})
        if event.time_s < named_until and kind != "bad":
            continue
        named_until = event.time_s + room_s
        names.append(
            {
                "x": when,
                "y": 1.0,
                "yref": "paper",
                "yanchor": "bottom",
                "xanchor": "left",
                "textangle": -38,
                "text": escape(t(f"gpu.event.{event.kind}")),
                "hovertext": escape(event.text),
                "showarrow": False,
                "font": {"size": 11, "color": MARKS[kind] if kind == "bad" else ink()},
            }
        )
    return shapes, names


def _moment(time_s: float) -> str:
    """A time as Plotly reads it, in the zone of this machine."""
    return datetime.fromtimestamp(time_s).isoformat(sep=" ", timespec="milliseconds")


def _with_gaps(samples: Sequence[Sample], numbers: Line) -> tuple[list[str], Line]:
    """Times and values, with an empty value where readings are too far apart to be joined."""
    times: list[str] = []
    joined: Line = []
    before_s = None
    for sample, number in zip(samples, numbers, strict=True):
        if before_s is not None and sample.time_s - before_s > GAP_S:
            times.append(_moment((sample.time_s + before_s) / 2))
            joined.append(None)
        times.append(_moment(sample.time_s))
        joined.append(number)
        before_s = sample.time_s
    return times, joined


def _at(cards: Sequence[GpuSnapshot], position: int) -> GpuSnapshot | None:
    return cards[position] if position < len(cards) else None


def _gib(size_bytes: int | None) -> float | None:
    return None if size_bytes is None else round(size_bytes / GIB, 3)


def _power_percent(card: GpuSnapshot) -> float | None:
    if card.power_w is None or not card.power_limit_w:
        return None
    return round(100 * card.power_w / card.power_limit_w, 1)

"""The history of cards and host as lines over time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import plotly.graph_objects as go
import streamlit as st
from plotly.subplots import make_subplots

from core.gpu.records import Event, GpuSnapshot, HostSnapshot, Sample
from streamlit_app.i18n import t

GIB = 1024**3
POINTS = 300
LABELLED_EVENTS = 12
# The same colours as the memory bar where the line is the same thing.
UPPER_COLOURS = ("#8a97a6", "#7fb0e6", "#1f5fae")
LOWER_COLOURS = ("#2d8a5f", "#d9822b", "#7356b3")


def thinned(samples: Sequence[Sample], points: int = POINTS) -> list[Sample]:
    """At most `points` samples, evenly spaced, the newest always among them."""
    step = max(1, -(-len(samples) // points))
    return list(samples[::-1][::step][::-1])


def card_history(samples: Sequence[Sample], events: Sequence[Event], *, position: int, key: str) -> None:
    """Memory above, load and temperature below, of the card at `position` in each sample."""
    cards = [(sample.time_s, _at(sample.cards, position)) for sample in thinned(samples)]
    times = [datetime.fromtimestamp(time_s) for time_s, _ in cards]

    def values(read: Any) -> list[float | None]:
        return [None if card is None else read(card) for _, card in cards]

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
    _draw(times, upper, lower, events=events, key=key)


def host_history(samples: Sequence[Sample], events: Sequence[Event], *, key: str) -> None:
    """Memory of this process above, processor below."""
    hosts: list[tuple[float, HostSnapshot]] = [(sample.time_s, sample.host) for sample in thinned(samples)]
    times = [datetime.fromtimestamp(time_s) for time_s, _ in hosts]
    upper = {t("gpu.line.rss"): [_gib(host.rss_bytes) for _, host in hosts]}
    lower = {
        t("gpu.line.process_cpu"): [host.cpu_percent for _, host in hosts],
        t("gpu.line.machine_cpu"): [host.machine_cpu_percent for _, host in hosts],
    }
    _draw(times, upper, lower, events=events, key=key)


def _draw(
    times: list[datetime],
    upper: dict[str, list[float | None]],
    lower: dict[str, list[float | None]],
    *,
    events: Sequence[Event],
    key: str,
) -> None:
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.58, 0.42], vertical_spacing=0.07)
    for row, (lines, colours) in enumerate(((upper, UPPER_COLOURS), (lower, LOWER_COLOURS)), 1):
        # A single line takes the strongest colour.
        for (name, numbers), colour in zip(lines.items(), colours[-len(lines) :], strict=True):
            if any(number is not None for number in numbers):
                line = {"color": colour, "width": 2}
                figure.add_trace(go.Scatter(x=times, y=numbers, name=name, mode="lines", line=line), row=row, col=1)
    visible = [event for event in events if times and event.time_s >= times[0].timestamp()]
    for event in visible[-LABELLED_EVENTS:]:
        figure.add_vline(
            x=datetime.fromtimestamp(event.time_s),
            line={"width": 1, "dash": "dot", "color": "#8a97a6"},
        )
        figure.add_annotation(
            x=datetime.fromtimestamp(event.time_s),
            y=1.0,
            yref="paper",
            yanchor="bottom",
            text=_escaped(t(f"gpu.event.{event.kind}")),
            hovertext=_escaped(event.text),
            showarrow=False,
            font={"size": 11},
        )
    figure.update_yaxes(title_text="GiB", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title_text=t("gpu.axis.load"), rangemode="tozero", row=2, col=1)
    figure.update_xaxes(tickformat="%H:%M:%S", nticks=8)
    figure.update_layout(
        height=350,
        margin={"l": 8, "r": 8, "t": 24, "b": 8},
        hovermode="x unified",
        legend={"orientation": "h", "y": -0.1},
        # Keeps the user's zoom while new points arrive.
        uirevision=key,
    )
    st.plotly_chart(figure, key=key, config={"displayModeBar": False}, alt=t("gpu.history"))


def _at(cards: Sequence[GpuSnapshot], position: int) -> GpuSnapshot | None:
    return cards[position] if position < len(cards) else None


def _gib(size_bytes: int | None) -> float | None:
    return None if size_bytes is None else round(size_bytes / GIB, 3)


def _power_percent(card: GpuSnapshot) -> float | None:
    if card.power_w is None or not card.power_limit_w:
        return None
    return round(100 * card.power_w / card.power_limit_w, 1)


def _escaped(text: str) -> str:
    # Plotly reads a few tags and entities in its texts.
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

"""The curve of a fine-tuning: the loss of its steps, and loss and F1 of the corrections held back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
import streamlit as st
from plotly.subplots import make_subplots

from streamlit_app.components.charts import PLAIN, ink
from streamlit_app.i18n import t

STEP, HELD_BACK, F1 = "#7fb0e6", "#d9822b", "#2d8a5f"
HEIGHT = 260


def tuning_chart(points: Sequence[Mapping[str, Any]], *, kept: int = 0, key: str) -> None:
    """Draw the curve over the steps; the pass whose weights were kept is marked."""
    steps = [point for point in points if "loss" in point and "held_back_loss" not in point]
    passes = [point for point in points if "held_back_loss" in point]
    figure = make_subplots(specs=[[{"secondary_y": True}]])
    for some, name, label, colour, second in (
        (steps, "loss", "models.curve.loss", STEP, False),
        (passes, "held_back_loss", "models.curve.held_back", HELD_BACK, False),
        (passes, "held_back_f1", "models.curve.f1", F1, True),
    ):
        if some:
            # a line of one point would not be seen
            mode = "lines" if some is steps and len(steps) > 3 else "lines+markers"
            x, y = [point["step"] for point in some], [point[name] for point in some]
            line = {"color": colour, "width": 1.5 if some is steps else 2.5}
            figure.add_trace(go.Scatter(x=x, y=y, name=t(label), mode=mode, line=line), secondary_y=second)
    for point in passes:
        if point["epoch"] == kept:
            figure.add_vline(
                x=point["step"], line_dash="dot", line_width=1, line_color=ink(), annotation_text=t("models.curve.kept")
            )
    figure.update_layout(
        height=HEIGHT, margin={"l": 0, "r": 0, "t": 26, "b": 0}, legend={"orientation": "h", "y": 1.16},
        hovermode="x unified",
    )  # fmt: skip
    figure.update_xaxes(title=t("models.curve.step"), fixedrange=True)
    figure.update_yaxes(title=t("models.curve.axis"), rangemode="tozero", fixedrange=True, secondary_y=False)
    figure.update_yaxes(
        title="F1", range=[0, 1.02], tickvals=[0, 0.25, 0.5, 0.75, 1], showgrid=False, fixedrange=True, secondary_y=True
    )
    st.plotly_chart(figure, key=key, config=PLAIN, alt=t("models.curve.alt"))

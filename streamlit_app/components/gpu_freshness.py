"""How old the reading on the screen is, and whether the readings still come."""

from __future__ import annotations

from html import escape

import streamlit as st

from core.gpu.records import SamplerStatus
from streamlit_app.i18n import t


def freshness(status: SamplerStatus) -> None:
    """One quiet line; a warning when the driver does not answer any more."""
    age = 0 if status.age_s is None else round(status.age_s)
    if status.stalled:
        st.warning(t("gpu.stale", seconds=age), icon=":material/hourglass_disabled:")
    words = t("gpu.fresh", age=age, every=f"{status.interval_s:g}", sessions=status.sessions)
    look = "gpu-fresh gpu-late" if status.stalled else "gpu-fresh"
    st.html(f'<div class="{look}"><i></i>{escape(words)}</div>')

"""Exploring stored findings: what, how often, how sure, with what, when, and in which words."""

from __future__ import annotations

import streamlit as st

from core.storage import queries
from streamlit_app.components import address
from streamlit_app.components.empty_state import no_results
from streamlit_app.components.explore_filter import MOST_RUNS, explore_filter
from streamlit_app.components.explore_quality import quality_view
from streamlit_app.components.explore_views import VIEWS
from streamlit_app.components.heading import heading
from streamlit_app.components.messages import shown_errors
from streamlit_app.i18n import t
from streamlit_app.resources import application

heading("explore")
runs = [run for run in queries.list_runs(application().database, limit=MOST_RUNS) if run.done]
if not runs:
    no_results("explore.empty", key="explore")
    st.stop()

with shown_errors():
    chosen = explore_filter(runs)
    if chosen is not None:
        views = VIEWS | {"quality": quality_view}
        labels = {name: t(f"explore.view.{name}") for name in views}
        if st.session_state.get("explore-view") not in views:
            st.session_state["explore-view"] = "types"
        # Only the chosen view asks the database.
        view = st.segmented_control(
            t("explore.view"),
            list(views),
            format_func=labels.__getitem__,
            required=True,
            key="explore-view",
            label_visibility="collapsed",
            persist_state="session",
        )
        runs_shown = ",".join(map(str, chosen.runs))
        address.keep("explore", run=runs_shown, view=view if view != "types" else None)
        views[view or "types"](chosen)

"""A view of the exploration that has nothing to draw: why, and the runs or the filters with which it has."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from core.storage import queries
from core.storage.explore_queries import Filter
from core.storage.review_queries import reviewed_runs
from streamlit_app.components.explore_filter import MOST_RUNS, clear_filters, run_label
from streamlit_app.i18n import t
from streamlit_app.resources import application

OFFERED = 3
TREES = ("re", "ee", "absa", "atsc")
POLAR = ("absa", "atsc", "sentiment")


def nothing_drawn(words: str, chosen: Filter, *, fits: Callable[[queries.RunInfo], bool]) -> None:
    """Say `words`, and offer the newest other runs that `fits`, and to clear the filters where there are some."""
    st.info(t(words), icon=":material/search_off:")
    runs = [one for one in queries.list_runs(application().database, limit=MOST_RUNS) if one.done]
    fitting = [one for one in runs if one.id not in chosen.runs and fits(one)][:OFFERED]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if chosen.types or chosen.contains or chosen.metadata or (chosen.lowest, chosen.highest) != (0.0, 1.0):
            st.button(t("explore.clear"), key="explore-clear", icon=":material/filter_alt_off:", on_click=clear_filters)
        if fitting:
            st.caption(t("explore.fitting"), width="content")
        for one in fitting:
            st.button(run_label(one), key=f"explore-fitting-{one.id}", on_click=_choose, args=(one.id,))


def of_tasks(tasks: Sequence[str]) -> Callable[[queries.RunInfo], bool]:
    """Whether a run of one of the tasks found anything."""
    return lambda run: run.task in tasks and run.annotations > 0


def with_findings(run: queries.RunInfo) -> bool:
    """Whether a run found anything."""
    return run.annotations > 0


def reviewed() -> Callable[[queries.RunInfo], bool]:
    """Whether documents of a run were reviewed to the end."""
    known = reviewed_runs(application().database)
    return lambda run: run.id in known


def _choose(run: int) -> None:
    clear_filters()
    st.session_state["explore-runs"] = [run]

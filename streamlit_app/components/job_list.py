"""The list of jobs, newest first; it keeps itself up to date."""

from __future__ import annotations

import streamlit as st

from core.bootstrap import Application
from core.storage import queries
from streamlit_app.components.empty_state import no_results
from streamlit_app.components.job_rows import job_rows
from streamlit_app.i18n import t

PAGE = 15
OPEN = "jobs-open"
"""Where the session keeps the job that is shown alone."""
FILTERS: dict[str, tuple[str, ...] | None] = {
    "all": None,
    "active": ("queued", "running", "paused"),
    "ended": ("done", "failed", "cancelled"),
}
# Others may add jobs on the command line: an idle list looks too, but seldom.
BUSY_S, IDLE_S = 1.0, 5.0


def job_list(app: Application) -> None:
    """Draw the jobs of one page with their progress and actions."""
    if not queries.count_runs(app.database):
        no_results("jobs.empty", key="jobs")
    labels = {name: t(f"jobs.filter.{name}") for name in FILTERS}
    chosen = st.segmented_control(
        t("jobs.filter"),
        list(labels),
        format_func=labels.__getitem__,
        default="all",
        required=True,
        key="jobs-filter",
        label_visibility="collapsed",
        persist_state="session",
    )
    states = FILTERS[chosen or "all"]
    count = queries.count_runs(app.database, states=states)
    pages = max(1, -(-count // PAGE))
    number = st.pagination(pages, key="jobs-page", persist_state="session") if pages > 1 else 1
    busy = bool(queries.count_runs(app.database, states=("queued", "running")))

    @st.fragment(run_every=BUSY_S if busy else IDLE_S)
    def follow() -> None:
        if st.session_state.get(OPEN):
            st.rerun()  # the whole page, not only the list
        jobs = queries.list_runs(app.database, states=states, limit=PAGE, offset=(number - 1) * PAGE)
        job_rows(app, jobs, key="job-rows", on_open=_open)
        if not jobs and states is not None:
            st.info(t("jobs.none"), icon=":material/search_off:")
        if bool(queries.count_runs(app.database, states=("queued", "running"))) != busy:
            st.rerun()  # the whole page: it looks more or less often from now on

    follow()


def _open(job: int) -> None:
    st.session_state[OPEN] = str(job)

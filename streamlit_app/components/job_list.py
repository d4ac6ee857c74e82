"""The list of jobs, newest first; it keeps itself up to date."""

from __future__ import annotations

import streamlit as st

from core.bootstrap import Application
from core.storage import queries
from core.storage.queries import RunInfo
from streamlit_app.components.empty_state import no_results
from streamlit_app.components.job_controls import (
    job_bar,
    job_buttons,
    job_line,
    job_title,
    schema_title,
    show_note,
    state_badge,
)
from streamlit_app.components.messages import plain
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
    """Draw the jobs of one page with their progress and buttons."""
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
        jobs = queries.list_runs(app.database, states=states, limit=PAGE, offset=(number - 1) * PAGE)
        with st.container(key="job-rows", gap="xxsmall"):
            for job in jobs:
                _row(app, job)
        if not jobs and states is not None:
            st.info(t("jobs.none"), icon=":material/search_off:")
        if bool(queries.count_runs(app.database, states=("queued", "running"))) != busy:
            st.rerun()  # the whole page: it looks more or less often from now on

    follow()


def _row(app: Application, job: RunInfo) -> None:
    with st.container(border=True, key=f"job-row-{job.id}"):
        name, about, bar, buttons = st.columns([3, 5, 3, 3], vertical_alignment="center", gap="small")
        name.markdown(f"{job_title(job)} {state_badge(job)}")
        when = f"{job.started_at.astimezone():%m-%d %H:%M}"
        # What a narrow window cuts off is the end, and stands whole where the job is opened.
        facts = [when, schema_title(job), plain(job.model or job.source.rpartition("/")[2])]
        about.caption(" · ".join(fact for fact in facts if fact))
        with bar:
            if job.done < job.total:
                job_bar(app, job)
            else:
                st.caption(job_line(job))
        place = buttons.container(horizontal=True, horizontal_alignment="right", gap="small")
        job_buttons(app, job, place=place, key=f"job-{job.id}", labels=False)
        if place.button(
            t("jobs.open"),
            key=f"job-{job.id}-open",
            icon=":material/chevron_right:",
            icon_position="right",
            type="tertiary",
        ):
            st.session_state[OPEN] = str(job.id)
            st.rerun()  # the whole page, not only the list
        show_note(app, job)

"""Runs of the past: what ran with which model and schema, and its results again."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core import services
from core.errors import RexError
from core.schemas.schema import parse_schema
from core.storage import queries
from core.tasks import TASKS
from streamlit_app.components.annotation_table import table
from streamlit_app.components.heading import heading
from streamlit_app.components.messages import plain, show_error
from streamlit_app.components.results import results
from streamlit_app.i18n import t, title
from streamlit_app.resources import application

PAGE = 25


def task_title(name: str) -> str:
    """The task's name in the language of the session."""
    return title(TASKS[name].title_zh, TASKS[name].title_en) if name in TASKS else name


def label(run: queries.RunInfo) -> str:
    """A run in a list of choices."""
    when = f"{run.started_at.astimezone():%Y-%m-%d %H:%M}"
    return t("runs.label", id=run.id, task=task_title(run.task), when=when)


heading("runs")
app = application()
count = queries.count_runs(app.database)
if not count:
    st.info(t("runs.empty"), icon=":material/lightbulb:")
    st.stop()

pages = -(-count // PAGE)
number = st.pagination(pages, key="runs-page") if pages > 1 else 1
runs = queries.list_runs(app.database, limit=PAGE, offset=(number - 1) * PAGE)
frame = pd.DataFrame(
    {
        "run": run.id,
        "task": task_title(run.task),
        "schema": f"{run.schema_name} v{run.schema_version}" if run.schema_name else "",
        "state": t(f"state.{run.state}"),
        "documents": f"{run.done}/{run.total}",
        "findings": run.annotations,
        "threshold": run.threshold,
        "model": run.model,
        "device": f"{run.device} {run.dtype}",
        "started": run.started_at.astimezone(),
        "seconds": (run.finished_at - run.started_at).total_seconds() if run.finished_at else None,
    }
    for run in runs
)
table(frame, key="runs-table")

labels = {run.id: label(run) for run in runs}
identifier = st.selectbox(
    t("runs.open"),
    list(labels),
    index=None,
    placeholder=t("choose"),
    format_func=labels.__getitem__,
    key="runs-open",
)
chosen = next((run for run in runs if run.id == identifier), None)
if chosen is not None:
    if chosen.error:
        st.error(plain(chosen.error), icon=":material/error:")
    try:
        found = services.load_run(app, chosen.id)
    except RexError as error:
        show_error(error)
        st.stop()
    if found:
        asked = None
        if chosen.schema_name:
            versions = queries.schema_versions(app.database, chosen.schema_name)
            asked = next(parse_schema(dict(one.body)) for one in versions if one.version == chosen.schema_version)
        results(found, schema=asked, name=f"{chosen.task}-{chosen.id}", key=f"run-{chosen.id}")
    else:
        st.info(t("results.nothing"), icon=":material/search_off:")
    if st.button(t("runs.delete"), key=f"run-{chosen.id}-delete", icon=":material/delete:", help=t("runs.delete.help")):
        app.store.delete_run(chosen.id)
        st.rerun()

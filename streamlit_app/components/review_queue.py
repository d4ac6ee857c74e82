"""Which documents are reviewed, in which order, and the way from one to the next."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.review.nodes import STARTED, STATES, UNREVIEWED
from core.storage import queries
from core.storage.review_queries import CERTAINTY, POSITION, QueueFilter, queue_items
from core.tasks import TASKS
from streamlit_app.components.annotation_table import table
from streamlit_app.components.review_session import open_document, types_of
from streamlit_app.i18n import hold, t, title
from streamlit_app.resources import application

RUNS = 100
ALL = "all"
WINDOW = 50


def run_choice(linked: int | None) -> queries.RunInfo:
    """The run to review: one of the newest, or the one that a link names."""
    database = application().database
    runs = {run.id: run for run in queries.list_runs(database, limit=RUNS)}
    if linked is not None and linked not in runs:
        runs[linked] = queries.get_run(database, linked)
    hold("review-run")
    number = st.selectbox(
        t("review.run"),
        list(runs),
        format_func=lambda key: _label(runs[key]),
        key="review-run",
        help=t("review.older", shown=RUNS) if len(runs) >= RUNS else None,
        persist_state="session",
    )
    return runs[number]


def filters(run: queries.RunInfo) -> QueueFilter:
    """State, type, score and order of the queue."""
    names = {ALL: t("review.states.all"), **{state: t(f"review.state.{state}") for state in STATES}}
    types = [ALL, *types_of(run)]
    hold("review-state", "review-order", f"review-type-{run.id}")
    state, kind, order, below = st.columns([1.2, 1.6, 1.4, 1.2])
    chosen = state.selectbox(
        t("review.states"), list(names), format_func=names.__getitem__, key="review-state", persist_state="session"
    )
    type = kind.selectbox(
        t("review.type"),
        types,
        format_func=lambda name: t("review.type.all") if name == ALL else name,
        key=f"review-type-{run.id}",
        persist_state="session",
    )
    way = order.selectbox(
        t("review.order"),
        [POSITION, CERTAINTY],
        format_func=lambda name: t(f"review.order.{name}"),
        key="review-order",
        persist_state="session",
    )
    limit = below.number_input(
        t("review.below"),
        0.0,
        1.0,
        1.0,
        step=0.05,
        key="review-below",
        help=t("review.below.help"),
        persist_state="session",
    )
    states = () if chosen == ALL else (UNREVIEWED, STARTED) if chosen == UNREVIEWED else (chosen,)
    return QueueFilter(states, None if type == ALL else type, None if limit >= 1 else limit, order=way)


def queue_table(run_id: int, ids: list[int], here: int) -> None:
    """The documents of the queue round the present one; a row that is selected is opened."""
    at = ids.index(here) if here in ids else 0
    first = max(0, min(at - WINDOW // 2, len(ids) - WINDOW))
    some = ids[first : first + WINDOW]
    st.caption(t("review.queue.shown", first=first + 1, last=first + len(some), total=len(ids)))
    items = queue_items(application().database, run_id, some)
    frame = pd.DataFrame(
        {
            "document": ("▶ " if one.document_id == here else "") + (one.external_id or str(one.document_id)),
            "text": one.preview,
            "state": t(f"review.state.{one.state}"),
            "review.annotations": one.annotations,
            "review.least": None if one.score is None else round(one.score, 3),
            "review.author": one.author,
        }
        for one in items
    )
    # a new key for every document, so that no row stays selected
    key = f"review-queue-table-{run_id}-{here}"

    def chosen() -> None:
        rows = st.session_state[key].selection.rows
        if rows:
            open_document(run_id, items[rows[0]].document_id)

    table(frame, key=key, on_select=chosen)


def _label(run: queries.RunInfo) -> str:
    task = title(TASKS[run.task].title_zh, TASKS[run.task].title_en) if run.task in TASKS else run.task
    when = f"{run.started_at.astimezone():%m-%d %H:%M}"
    return t("review.run.label", id=run.id, task=task, when=when, done=run.done)

"""One action on many annotations: every occurrence of some words, and everything above a score; first a preview."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
import streamlit as st

from core import reviews
from core.review.actions import Action
from core.review.nodes import OPEN
from core.review.palette import types_below
from core.storage.review_queries import Review
from streamlit_app.components.annotation_table import table
from streamlit_app.components.messages import plain
from streamlit_app.components.review_session import PREVIEW, act, author
from streamlit_app.i18n import t
from streamlit_app.resources import application

DONE = "review-batch"


def occurrences_panel(review: Review, schema: Mapping[str, Any]) -> None:
    """What "every occurrence" would label, here and in the run, once it was asked for."""
    asked: Action | None = st.session_state.get(PREVIEW)
    if asked is None:
        return
    words, kind = _asked(review, asked)
    types = types_below(review.task, schema, (), nodes=review.nodes)
    if not words.strip() or not types:
        st.session_state.pop(PREVIEW)
        return
    with st.container(border=True):
        head, close = st.columns([6, 1], vertical_alignment="center")
        head.markdown(f"**{plain(t('review.all.title', text=words))}**")
        close.button(
            t("review.all.close"), key="review-all-close", on_click=lambda: st.session_state.pop(PREVIEW, None)
        )
        left, right = st.columns([1, 2], vertical_alignment="bottom")
        at = types.index(kind) if kind in types else 0
        type = left.selectbox(t("review.all.type"), types, index=at, key=f"review-all-type-{words}-{kind}")
        finished = right.checkbox(t("review.all.finished"), key="review-all-finished", persist_state="session")
        here = reviews.occurrences(review, words, type)
        with st.spinner(t("review.all.searching")):
            found = reviews.preview_labels(application().database, review.run_id, words, type, finished=finished)
        st.caption(t("review.all.found", documents=len(found.documents), places=found.places, left=found.left_out))
        if found.examples:
            if found.places > len(found.examples):
                st.caption(t("review.all.shown", shown=len(found.examples)))
            _examples(found.examples)
        else:
            st.caption(t("review.all.none"))
        row = st.container(horizontal=True)
        row.button(
            t("review.all.document", count=len(here)),
            key="review-all-document",
            disabled=not here,
            on_click=lambda: act(
                [Action("add_all", type=type, places=tuple((one.start, one.end) for one in here))],
                version=review.version,
            ),
        )
        if row.button(
            t("review.all.run", places=found.places), key="review-all-run", type="primary", disabled=not found.places
        ):
            st.session_state.pop(PREVIEW)
            steps = reviews.label_everywhere(
                application().database, review.run_id, found, words=words, type=type, author=author()
            )
            _work(steps, review.run_id)


def scores_panel(review: Review) -> None:
    """Accept every open annotation above a score, in the document or in the run."""
    slider, here, everywhere = st.columns([3, 1.2, 1.2], vertical_alignment="bottom")
    score = slider.slider(
        t("review.score"), 0.5, 1.0, value=0.95, step=0.01, key="review-score", persist_state="session"
    )
    count = sum(node.decision == OPEN and node.score >= score for node in review.nodes)
    here.button(
        t("review.score.document", count=count),
        key="review-score-document",
        disabled=not count,
        on_click=lambda: act([Action("accept_above", score=score)], version=review.version),
        width="stretch",
    )
    if everywhere.button(t("review.score.preview"), key="review-score-preview", width="stretch"):
        st.session_state["review-score-found"] = (review.run_id, score)
    if st.session_state.get("review-score-found") == (review.run_id, score):
        with st.spinner(t("review.all.searching")):
            found = reviews.preview_scores(application().database, review.run_id, score)
        st.caption(
            t(
                "review.score.found",
                documents=len(found.documents),
                places=found.places,
                score=score,
                left=found.left_out,
            )
        )
        if found.documents and st.button(
            t("review.score.run", places=found.places), key="review-score-run", type="primary"
        ):
            st.session_state.pop("review-score-found")
            steps = reviews.accept_everywhere(
                application().database, review.run_id, found, score=score, author=author()
            )
            _work(steps, review.run_id)


def batch_outcome(run_id: int) -> None:
    """How the last action over many documents went, and the way back."""
    done: tuple[int, reviews.Progress] | None = st.session_state.get(DONE)
    if done is None or done[0] != run_id:
        return
    progress = done[1]
    text, button = st.columns([5, 1], vertical_alignment="center")
    text.success(
        t("review.batch.done", changed=progress.changed, total=progress.total, conflicts=progress.conflicts),
        icon=":material/check:",
    )
    if button.button(t("review.batch.undo"), key="review-batch-undo", icon=":material/undo:"):
        st.session_state.pop(DONE)
        _work(
            reviews.undo_everywhere(application().database, run_id, progress.batch, author=author()), run_id, keep=False
        )


def _work(steps: Iterator[reviews.Progress], run_id: int, *, keep: bool = True) -> None:
    """Do the steps one by one; a press on any button ends the script between two of them, what is done stays."""
    bar = st.progress(0.0)
    st.button(t("review.batch.stop"), key="review-batch-stop", icon=":material/stop_circle:")
    for progress in steps:
        bar.progress(
            progress.done / progress.total, t("review.batch.working", done=progress.done, total=progress.total)
        )
        if keep:
            st.session_state[DONE] = (run_id, progress)
    st.rerun()


def _asked(review: Review, action: Action) -> tuple[str, str]:
    """The words that were asked about, and the type that they have where they were found."""
    if action.places:
        start, end = action.places[0]
        return review.document.text[start:end], ""
    node = next((one for one in review.nodes if one.id == action.id), None)
    return ("", "") if node is None else (node.text, node.type)


def _examples(found: tuple[reviews.Occurrence, ...]) -> None:
    rows = [
        {
            "document": one.external_id or str(one.document_id),
            "review.before": one.before,
            "review.text": one.text,
            "review.after": one.after,
        }
        for one in found
    ]
    table(pd.DataFrame(rows), key="review-all-table")

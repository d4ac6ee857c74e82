"""Review: the machine's annotations document by document, corrected with mouse and keyboard."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.errors import RexError
from core.review.nodes import DISMISSED, SKIPPED, UNREVIEWED
from core.storage import queries
from core.storage.review_queries import Review, count_states, get_review, history
from streamlit_app.components import address
from streamlit_app.components.annotator import annotator
from streamlit_app.components.cards import quote
from streamlit_app.components.empty_state import no_results
from streamlit_app.components.heading import heading
from streamlit_app.components.messages import plain, show_error
from streamlit_app.components.review_bulk import batch_outcome, occurrences_panel, scores_panel
from streamlit_app.components.review_queue import RUNS, filters, queue_table, run_choice
from streamlit_app.components.review_session import (
    AUTHOR,
    CONFLICT,
    ERROR,
    LAST,
    PLACE,
    SEEN,
    TICKET,
    act,
    go,
    mine,
    open_document,
    press,
    queue,
    refresh,
    schema_of,
    take_actions,
)
from streamlit_app.components.review_views import changes_table, history_table, review_table, versions
from streamlit_app.i18n import t
from streamlit_app.resources import application

TEXT = "review-text"


def linked_run() -> int | None:
    """The run that a new address names; a job is a run. Raises RexError when there is none."""
    given = address.arrived("review")
    wanted = given.get("run") or given.get("job")
    if wanted is None:
        return st.session_state.get("review-run")
    run = queries.get_run(application().database, address.number(wanted) or 0)
    st.session_state["review-run"] = run.id
    if document := address.number(given.get("document")):
        open_document(run.id, document)
    return run.id


def opened(run: queries.RunInfo, ids: list[int]) -> Review | None:
    """The document to show: the one that is open or linked, else the first of the queue."""
    place = st.session_state.get(PLACE)
    if place is not None and place[0] == run.id:
        try:
            return get_review(app.database, *place)
        except RexError:
            st.warning(t("review.gone", run=run.id, document=place[1]), icon=":material/link_off:")
    if not ids:
        return None
    open_document(run.id, ids[0])
    return get_review(app.database, run.id, ids[0])


def document_line(review: Review, ids: list[int]) -> None:
    """Where we are, and the buttons of the document."""
    number = ids.index(review.document_id) + 1 if review.document_id in ids else "—"
    name = review.document.id or review.document.name or str(review.document_id)
    where = plain(t("review.where", number=number, total=len(ids), id=name))
    left, right = st.columns([1, 1.75], vertical_alignment="center")
    left.markdown(f"**{where}** · {t(f'review.state.{review.state}')}")
    if review.updated_at is not None:
        when = f"{review.updated_at.astimezone():%m-%d %H:%M}"
        left.caption(plain(t("review.by", author=review.author, when=when, version=review.version)))
    row = right.container(horizontal=True, horizontal_alignment="right", gap="xsmall")
    row.button(t("review.previous"), key="review-previous", on_click=go, args=(-1,))
    row.button(t("review.next"), key="review-next", on_click=go, args=(1,))
    button(row, "undo", "undo", disabled=not review.can_undo)
    button(row, "redo", "redo", disabled=not review.can_redo)
    if review.state in (DISMISSED, SKIPPED):
        button(row, "resume", "restart_alt")
    else:
        button(row, "skip", "skip_next")
        button(row, "dismiss", "block", help=t("review.dismiss.help"))
    button(row, "finish", "check", primary=True, help=t("review.finish.help"))


def button(
    row: DeltaGenerator,
    kind: str,
    icon: str,
    *,
    disabled: bool = False,
    primary: bool = False,
    help: str | None = None,
) -> None:
    """A button that does one thing to the document on the screen."""
    row.button(
        t(f"review.{kind}"),
        key=f"review-{kind}",
        icon=f":material/{icon}:",
        on_click=press,
        args=(kind,),
        disabled=disabled,
        type="primary" if primary else "secondary",
        help=help,
    )


def conflict_panel(review: Review) -> None:
    """What was not written because somebody else was quicker: both versions, and the choice between them."""
    conflict = st.session_state.get(CONFLICT)
    if conflict is None or (conflict.run_id, conflict.document_id) != (review.run_id, review.document_id):
        return
    with st.container(border=True):
        st.warning(plain(conflict.message), icon=":material/group:")
        st.caption(t("review.conflict.mine"))
        versions(mine(conflict), review.nodes)
        row = st.container(horizontal=True)
        row.button(
            t("review.conflict.theirs"),
            key="review-conflict-theirs",
            type="primary",
            on_click=lambda: st.session_state.pop(CONFLICT, None),
        )
        row.button(
            t("review.conflict.again"),
            key="review-conflict-again",
            on_click=act,
            args=(conflict.actions,),
            kwargs={"version": review.version},
        )


heading("review")
app = application()
if not any(run.done for run in queries.list_runs(app.database, limit=RUNS)):
    no_results("review.empty", key="review")
    st.stop()
try:
    linked = linked_run()
except RexError as error:
    show_error(error)
    linked = None

first, second, third = st.columns([1.7, 3.6, 0.9], vertical_alignment="bottom")
with first:
    run = run_choice(linked)
with second:
    chosen = filters(run)
third.text_input(
    t("review.author"),
    key=AUTHOR,
    placeholder=t("review.author.default"),
    help=t("review.author.help"),
    persist_state="session",
)
ids = queue(run.id, chosen)
review = opened(run, ids)
if review is None:
    st.info(t("review.none"), icon=":material/filter_alt_off:")
    st.button(t("review.refresh"), key="review-refresh", on_click=refresh)
    st.stop()
assert review is not None

st.session_state[SEEN] = review.version
address.keep("review", run=run.id, document=review.document_id)
if st.session_state.pop(LAST, False):
    st.toast(t("review.last"), icon=":material/flag:")

document_line(review, ids)
batch_outcome(run.id)
conflict_panel(review)
if message := st.session_state.pop(ERROR, None):
    st.error(plain(message), icon=":material/error:")
if review.document.text_pair is not None:
    st.caption(t("review.pair"))
    quote(review.document.text_pair)
schema = schema_of(run)
annotator(review, schema, ticket=st.session_state.get(TICKET, ""), key=TEXT, on_actions=lambda: take_actions(TEXT))
occurrences_panel(review, schema)

states = count_states(app.database, run.id)
total = sum(states.values())
done = total - sum(count for state, count in states.items() if state in (UNREVIEWED, "started"))
st.progress(
    done / total if total else 0.0,
    "　".join(
        [
            t("review.progress", done=done, total=total),
            *(f"{t(f'review.state.{state}')} {count}" for state, count in sorted(states.items())),
        ]
    ),
)
names = ("table", "changes", "history", "queue", "scores")
shown = st.segmented_control(
    t("results.view"),
    names,
    format_func=lambda name: t(f"review.tab.{name}"),
    default="table",
    required=True,
    key="review-view",
    label_visibility="collapsed",
    persist_state="session",
)
if shown == "table":
    review_table(review)
elif shown == "changes":
    changes_table(review)
elif shown == "history":
    history_table(history(app.database, review.run_id, review.document_id))
elif shown == "queue":
    queue_table(run.id, ids, review.document_id)
    st.button(t("review.refresh"), key="review-refresh", on_click=refresh)
else:
    scores_panel(review)

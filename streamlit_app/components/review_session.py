"""What a session remembers of its review: the queue, the document, what was drawn, and steps that met another's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from core import reviews
from core.errors import ConflictError, RexError
from core.review.actions import Action, outcome
from core.review.nodes import Nodes
from core.storage.queries import RunInfo, type_counts
from core.storage.review_queries import QueueFilter, found_types, queue_ids
from streamlit_app.i18n import t
from streamlit_app.resources import application

QUEUE, PLACE, SEEN, TICKET = "review-queue", "review-place", "review-seen", "review-ticket"
TYPES, COUNTED = "review-types", "review-counted"
CONFLICT, ERROR, PREVIEW, AUTHOR, LAST = (
    "review-conflict", "review-error", "review-preview", "review-author", "review-last",
)  # fmt: skip
ADVANCING = ("finish", "skip", "dismiss", "next")


@dataclass(frozen=True, slots=True)
class Conflict:
    """Steps that were not written because somebody else had changed the document since `version`."""

    run_id: int
    document_id: int
    version: int
    actions: tuple[Action, ...]
    message: str


def author() -> str:
    """Who works here: the name of the log-in where there is one, else what was typed."""
    known = st.user.get("name") or st.user.get("email") if getattr(st.user, "is_logged_in", False) else ""
    return str(known or st.session_state.get(AUTHOR, "")).strip()[:255] or t("review.author.default")


def queue(run_id: int, chosen: QueueFilter) -> list[int]:
    """The documents of the queue; it stays as it is, whatever becomes of them, until its filter changes."""
    known = st.session_state.get(QUEUE)
    if known is None or known[0] != (run_id, chosen):
        known = ((run_id, chosen), queue_ids(application().database, run_id, chosen))
        st.session_state[QUEUE] = known
    return list(known[1])


def schema_of(run: RunInfo) -> Mapping[str, Any]:
    """What was asked; for an imported file the types that are in it, looked up once in a session."""
    if run.schema:
        return run.schema
    known = st.session_state.setdefault(TYPES, {})
    if run.id not in known:
        known[run.id] = found_types(application().database, run.id)
    return dict(known[run.id])


def types_of(run: RunInfo) -> list[str]:
    """The types of a run's findings, most frequent first; counted anew only when the run has grown."""
    key, known = (run.id, run.annotations), st.session_state.get(COUNTED)
    if known is None or known[0] != key:
        known = (key, list(type_counts(application().database, run.id)))
        st.session_state[COUNTED] = known
    return list(known[1])


def refresh() -> None:
    """Ask for the queue anew."""
    st.session_state.pop(QUEUE, None)


def go(by: int) -> None:
    """To the next or previous document of the queue; says so at its end."""
    (run_id, _), ids = st.session_state[QUEUE]
    here = st.session_state[PLACE][1]
    at = ids.index(here) + by if here in ids else 0
    if 0 <= at < len(ids):
        open_document(run_id, ids[at])
    else:
        st.session_state[LAST] = True


def open_document(run_id: int, document_id: int) -> None:
    """Show a document; what was said about another one goes."""
    st.session_state[PLACE] = (run_id, document_id)
    for name in (CONFLICT, ERROR, PREVIEW):
        st.session_state.pop(name, None)


def act(actions: Sequence[Action], *, version: int) -> None:
    """Do `actions` to the document on the screen as it was drawn; what cannot be done is remembered for the page."""
    run_id, document_id = st.session_state[PLACE]
    database = application().database
    st.session_state.pop(ERROR, None)
    left = list(actions)
    try:
        review = reviews.seen(database, run_id, document_id, version=version)
        while left:
            action = left[0]
            if action.kind in ("next", "previous"):
                go(1 if action.kind == "next" else -1)
                return
            review = reviews.perform(database, review, action, author=author())
            left.pop(0)
            st.session_state.pop(CONFLICT, None)
            if action.kind in ADVANCING:
                go(1)
                return
    except ConflictError as error:
        st.session_state[CONFLICT] = Conflict(run_id, document_id, review.version, tuple(left), str(error))
    except RexError as error:
        st.session_state[ERROR] = str(error)


def press(kind: str) -> None:
    """What the buttons of the page do."""
    act([Action(kind)], version=st.session_state[SEEN])


def take_actions(key: str) -> None:
    """What the browser sent: a list of actions with the version and the document that it showed."""
    sent = st.session_state[key].actions
    if not sent or sent["ticket"] == st.session_state.get(TICKET):
        return
    st.session_state[TICKET] = sent["ticket"]
    if sent["document"] != "/".join(str(part) for part in st.session_state[PLACE]):
        return  # typed before the next document was drawn
    asked = [_action(one) for one in sent["actions"]]
    st.session_state[PREVIEW] = next((one for one in asked if one.kind == "preview"), st.session_state.get(PREVIEW))
    act([one for one in asked if one.kind != "preview"], version=int(sent["version"]))


def mine(conflict: Conflict) -> Nodes:
    """The document as it would stand if the steps of a conflict had taken effect on what their author saw."""
    review = reviews.seen(application().database, conflict.run_id, conflict.document_id, version=conflict.version)
    nodes, state = review.nodes, review.state
    for action in conflict.actions:
        if action.kind in ("undo", "redo", "next", "previous"):
            break
        nodes, state = outcome(action, nodes, state, text=review.document.text, task=review.task)
    return nodes


def _action(sent: dict[str, object]) -> Action:
    """An action as the browser sends it; anything else in it is left aside."""
    places = sent.get("places") or []
    assert isinstance(places, list)
    return Action(
        kind=str(sent["kind"]),
        id=_number(sent.get("id")),
        type=str(sent.get("type", "")),
        parent=_number(sent.get("parent")),
        places=tuple((int(start), int(end)) for start, end in places),
    )


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None

"""The input of coreference: words are marked by pressing them in the text; what is not marked is looked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from core import job_services
from core.errors import RexError
from core.mentions import MOST_NAMES, MOST_PRONOUNS, REACH, THINGS, pronouns_in
from core.types import Document, Span
from core.views import word_marks
from core.views.findings import flat_spans
from core.views.word_marks import CANDIDATE, KINDS, PRONOUN, Mark, Marks
from streamlit_app.components.document_input import MANY, Given, choose_source, many_documents, text_field
from streamlit_app.components.job_progress import PATIENCE_S, find_jobs, job_progress, working
from streamlit_app.components.messages import show_error
from streamlit_app.components.stored_results import find_results
from streamlit_app.i18n import t
from streamlit_app.resources import application

FRONTEND = Path(__file__).resolve().parents[1] / "frontend"
_MARKER = st.components.v2.component(
    "marker",
    html='<div class="rexm" role="group"></div>',
    css=(FRONTEND / "marker.css").read_text(encoding="utf-8"),
    js=(FRONTEND / "marker.js").read_text(encoding="utf-8"),
    # Selecting text across a shadow root is not the same in all browsers.
    isolate_styles=False,
)


def coreference_input(task: str) -> Given:
    """A text whose words may be marked, or many documents; where nothing is marked the words are looked for."""
    source = choose_source(task, MANY)
    if source in MANY[1:]:
        st.caption(_found_by_itself())
        if source == "file":
            st.caption(t("input.coref.file"))
        return many_documents(task, source)
    text = text_field(task)
    candidates, pronouns = marked_words(task, text)
    return [Document(text, candidates=candidates, pronouns=pronouns)] if text.strip() else []


def _found_by_itself() -> str:
    return t("coref.auto", names=MOST_NAMES, reach=REACH)


def marked_words(task: str, text: str) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """Draw the text to be marked; its candidates and pronouns."""
    key = _key(task)
    marks = word_marks.for_text(st.session_state.get(key, Marks("")), text)
    marks = _with_found(task, marks)
    st.session_state[key] = marks
    if not text.strip():
        return (), ()
    names = {CANDIDATE: t("coref.candidate"), PRONOUN: t("coref.pronoun")}
    row = st.container(horizontal=True, vertical_alignment="center", gap="small")
    mode = row.segmented_control(
        t("coref.mode"),
        list(names),
        format_func=names.__getitem__,
        default=CANDIDATE,
        required=True,
        key=f"{task}-mark-mode",
        label_visibility="collapsed",
    )
    row.button(t("coref.find"), key=f"{task}-mark-find", icon=":material/manage_search:", help=t("coref.find.help"),
               on_click=_find, args=(task,))  # fmt: skip
    row.button(t("coref.all"), key=f"{task}-mark-all", icon=":material/done_all:", help=t("coref.all.help"),
               on_click=_turn_all, args=(task, True))  # fmt: skip
    row.button(t("coref.none"), key=f"{task}-mark-none", icon=":material/remove_done:",
               on_click=_turn_all, args=(task, False))  # fmt: skip
    _follow(task)
    st.caption(t("coref.mode.help"))
    _MARKER(
        key=f"{task}-marker",
        data={"pieces": word_marks.pieces(marks), "mode": mode, "names": names, "label": t("coref.label")},
        on_mark_change=lambda: _turn(task),
    )
    candidates, pronouns = marks.spans(CANDIDATE), marks.spans(PRONOUN)
    st.caption(_told(text, len(candidates), len(pronouns)))
    return candidates, pronouns


def _told(text: str, candidates: int, pronouns: int) -> str:
    """What will be judged, as far as it is known before the model has looked for names."""
    if not candidates:
        count = pronouns or len(pronouns_in(text))
        most = min(count, MOST_PRONOUNS) * MOST_NAMES
        return t("coref.unmarked", pronouns=count, pairs=most) + " " + _found_by_itself()
    count = pronouns or len(pronouns_in(text))
    said = t("coref.pairs", candidates=candidates, pronouns=count, pairs=candidates * count)
    return said if pronouns else said + " " + t("coref.all_pronouns")


def put_marks(task: str, document: Document) -> None:
    """Mark the words that a document brings; only before the input is drawn, or in a callback."""
    st.session_state[_key(task)] = word_marks.of_document(document)


def _key(task: str) -> str:
    return f"{task}-marks"


def _turn(task: str) -> None:
    said = st.session_state[f"{task}-marker"].mark
    mark = _mark(said)
    if mark is not None:
        st.session_state[_key(task)] = word_marks.turn(st.session_state[_key(task)], mark)


def _mark(said: Any) -> Mark | None:
    """What the browser says, believed only when it has the form of a mark."""
    if not isinstance(said, Mapping) or said.get("kind") not in KINDS:
        return None
    start, end = said.get("start"), said.get("end")
    if not isinstance(start, int | float) or not isinstance(end, int | float):
        return None
    return Mark(int(start), int(end), said["kind"], bool(said.get("on")))


def _turn_all(task: str, on: bool) -> None:
    st.session_state[_key(task)] = word_marks.turn_all(st.session_state[_key(task)], on)


def _find(task: str) -> None:
    """Let the model look for names of people, places and things; it is a job like any other."""
    app = application()
    text = st.session_state[_key(task)].text
    try:
        with working(app):
            job = job_services.start_job(app, [Document(text)], task="ner", schema=list(THINGS))
            job_services.wait_for_jobs(app, [job], PATIENCE_S)
    except RexError as error:
        st.session_state[f"{task}-find-error"] = error
        return
    st.session_state[f"{task}-find-job"] = job


def _follow(task: str) -> None:
    """How far looking for candidates is, with a way to stop it; an error where it happened."""
    if error := st.session_state.pop(f"{task}-find-error", None):
        show_error(error)
    app = application()
    job = st.session_state.get(f"{task}-find-job")
    if job is not None and any(one.active for one in find_jobs(app, [job])):
        job_progress(app, [job], key=f"{task}-find")


def _with_found(task: str, marks: Marks) -> Marks:
    """The marks with what the model found in this text as suggestions, once it has ended."""
    app = application()
    job = st.session_state.get(f"{task}-find-job")
    ended = [one for one in find_jobs(app, [job] if job is not None else []) if not one.active]
    if not ended:
        return marks
    del st.session_state[f"{task}-find-job"]
    read = [result for result in find_results(app, ended[0]) if result.document.text == marks.text]
    found = [one for result in read for one in flat_spans(result.annotations)]
    spans = [Span(one.start, one.end, one.text) for one in found if one.start is not None and one.end is not None]
    if not spans:
        st.caption(t("coref.nothing"))
    # A longer name goes before the parts of it.
    spans.sort(key=lambda span: span.start - span.end)
    return word_marks.suggest(marks, word_marks.candidate_marks(spans))

"""What a task reads: a text typed in or the documents of uploaded files; one function for each shape of input."""

from __future__ import annotations

import re
from collections.abc import Callable

import streamlit as st

from core.types import Document, Span
from streamlit_app.components.document_upload import document_upload
from streamlit_app.i18n import t

Inputs = Callable[[str], list[Document]]
WORDS = re.compile(r"[、，,；;\s]+")
CONTEXT = 6


def text_input(task: str) -> list[Document]:
    """One text, or files."""
    if _source(task) == "file":
        return document_upload(task)
    text = _text(task)
    return [Document(text)] if text.strip() else []


def pair_input(task: str) -> list[Document]:
    """Two texts to compare, or files with a column for each."""
    if _source(task) == "file":
        st.caption(t("input.pair.file"))
        return document_upload(task)
    first = _text(task, label="input.first")
    second = st.text_area(t("input.second"), key=f"{task}-text-pair", height=130, persist_state="session")
    return [Document(first, text_pair=second)] if first.strip() and (second or "").strip() else []


def aspect_input(task: str) -> list[Document]:
    """A text with the aspects to judge (none: the model finds them), or files."""
    if _source(task) == "file":
        return document_upload(task)
    text = _text(task)
    words = _words(f"{task}-aspects", "input.aspects")
    for word in words:
        if word not in text:
            st.caption(t("input.aspects.absent", word=word))
    return [Document(text, aspects=tuple(words))] if text.strip() else []


def coreference_input(task: str) -> list[Document]:
    """A text with the occurrences of candidates and pronouns to compare, or files that mark them."""
    if _source(task) == "file":
        st.caption(t("input.coref.file"))
        return document_upload(task)
    text = _text(task)
    candidates = _spans(task, "candidates", text)
    pronouns = _spans(task, "pronouns", text)
    if not (text.strip() and candidates and pronouns):
        return []
    return [Document(text, candidates=candidates, pronouns=pronouns)]


def overview_input(task: str) -> Document | None:
    """One text, and, folded away, what pair tasks and coreference need; None without a text."""
    text = _text(task)
    with st.expander(t("overview.more"), icon=":material/tune:"):
        second = st.text_area(t("input.second.optional"), key=f"{task}-text-pair", height=80, persist_state="session")
        candidates = _spans(task, "candidates", text)
        pronouns = _spans(task, "pronouns", text)
    if not text.strip():
        return None
    return Document(text, text_pair=(second or "").strip() or None, candidates=candidates, pronouns=pronouns)


def occurrences(text: str, words: list[str]) -> list[Span]:
    """Every place in `text` where one of `words` stands, in text order."""
    found = {Span(match.start(), match.end(), word) for word in words for match in re.finditer(re.escape(word), text)}
    return sorted(found, key=lambda span: (span.start, span.end))


def _source(task: str) -> str:
    labels = {name: t(f"input.source.{name}") for name in ("text", "file")}
    st.session_state.setdefault(f"{task}-source", "text")
    source = st.segmented_control(
        t("input.source"),
        list(labels),
        format_func=labels.__getitem__,
        required=True,
        key=f"{task}-source",
        label_visibility="collapsed",
        persist_state="session",
    )
    return source or "text"


def _text(task: str, *, label: str = "input.text", height: int = 130) -> str:
    return (
        st.text_area(
            t(label), key=f"{task}-text", height=height, placeholder=t("input.text.example"), persist_state="session"
        )
        or ""
    )


def _words(key: str, label: str) -> list[str]:
    written = st.text_input(t(label), key=key, help=t(f"{label}.help"), persist_state="session") or ""
    return [word for word in dict.fromkeys(WORDS.split(written)) if word]


def _spans(task: str, field: str, text: str) -> tuple[Span, ...]:
    words = _words(f"{task}-{field}", f"input.{field}")
    found = occurrences(text, words)
    for word in words:
        if word not in text:
            st.caption(t("input.absent", word=word))
    if not found:
        return ()
    # The choice is made anew for another text or other words: old positions would point elsewhere.
    chosen = st.multiselect(
        t(f"input.{field}.where"),
        range(len(found)),
        default=range(len(found)),
        format_func=lambda index: _in_context(text, found[index]),
        key=f"{task}-{field}-where-{hash((text, *words))}",
    )
    return tuple(found[index] for index in chosen)


def _in_context(text: str, span: Span) -> str:
    before = text[max(0, span.start - CONTEXT) : span.start]
    after = text[span.end : span.end + CONTEXT]
    return f"…{before}【{span.text}】{after}…"

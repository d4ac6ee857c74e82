"""What a task reads: a text typed in or the documents of uploaded files; one function for each shape of input."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import streamlit as st

from core.types import Document
from streamlit_app.components.document_upload import document_upload
from streamlit_app.components.many_input import Stored, lines_input, stored_input
from streamlit_app.i18n import t

Given = list[Document] | Stored | None
"""Documents, or the numbers of stored ones; nothing while there are none."""
Inputs = Callable[[str], Given]
MANY = ("text", "lines", "file", "stored")
MOST_TOLD = 20
PARTED = re.compile(r"[\t|｜]")
WORDS = re.compile(r"[、，,；;\s]+")


def text_input(task: str) -> Given:
    """One text, several a line each, files, or stored documents."""
    source = choose_source(task, MANY)
    if source in MANY[1:]:
        return many_documents(task, source)
    text = text_field(task)
    return [Document(text)] if text.strip() else []


def pair_input(task: str) -> Given:
    """Two texts to compare, a pair a line, files with a column for each, or stored pairs."""
    source = choose_source(task, MANY)
    if source == "stored":
        return stored_input(task, pairs=True)
    if source == "lines":
        return _pairs(task)
    if source == "file":
        st.caption(t("input.pair.file"))
        documents = document_upload(task, pair=True)
        alone = sum(document.text_pair is None for document in documents)
        if alone:
            st.warning(t("input.pair.alone", count=alone), icon=":material/warning:")
        return documents
    first = text_field(task, label="input.first")
    second = st.text_area(t("input.second"), key=f"{task}-text-pair", height=130, persist_state="session")
    return [Document(first, text_pair=second)] if first.strip() and (second or "").strip() else []


def _pairs(task: str) -> list[Document]:
    """A pair a line, its texts parted by a tab, as a spreadsheet gives them, or by a bar; others are named."""
    st.caption(t("input.pair.lines"))
    documents, alone = [], []
    for number, one in enumerate(lines_input(task), 1):
        first, *others = (part.strip() for part in PARTED.split(one.text, maxsplit=1))
        if first and others and others[0]:
            documents.append(Document(first, text_pair=others[0]))
        else:
            alone.append(str(number))
    if alone:
        st.warning(
            t("input.pair.lines.alone", lines="、".join(alone[:MOST_TOLD]), count=len(alone)), icon=":material/warning:"
        )
    return documents


def aspect_input(task: str) -> Given:
    """A text with the aspects to judge (none: the model finds them), or many documents as in `text_input`."""
    source = choose_source(task, MANY)
    if source in MANY[1:]:
        return many_documents(task, source)
    text = text_field(task)
    words = _words(f"{task}-aspects", "input.aspects")
    for word in words:
        if word not in text:
            st.caption(t("input.aspects.absent", word=word))
    return [Document(text, aspects=tuple(words))] if text.strip() else []


def many_documents(task: str, source: str) -> Given:
    """The documents of a source that is not "text"."""
    if source == "lines":
        return lines_input(task)
    return stored_input(task) if source == "stored" else document_upload(task)


def choose_source(task: str, sources: Sequence[str] = ("text", "file")) -> str:
    """Whether the documents are typed in ("text"; "lines": many), come as files ("file"), or are "stored"."""
    labels = {name: t(f"input.source.{name}") for name in sources}
    if st.session_state.get(f"{task}-source") not in sources:
        st.session_state[f"{task}-source"] = "text"
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


def text_field(task: str, *, label: str = "input.text", height: int = 130) -> str:
    """The field for one text."""
    return (
        st.text_area(
            t(label), key=f"{task}-text", height=height, placeholder=t("input.text.example"), persist_state="session"
        )
        or ""
    )


def _words(key: str, label: str) -> list[str]:
    written = st.text_input(t(label), key=key, help=t(f"{label}.help"), persist_state="session") or ""
    return [word for word in dict.fromkeys(WORDS.split(written)) if word]

"""Which page a task is on, and how stored documents get there."""

from __future__ import annotations

import streamlit as st

from core.storage.search import Search
from core.types import Document
from streamlit_app.components.document_filter import choose_filter
from streamlit_app.components.many_input import MOST
from streamlit_app.components.preset_picker import put_document

TASK_PAGES = {
    "ner": "entities",
    "re": "relations",
    "ee": "events",
    "absa": "aspects",
    "atsc": "aspect_sentiment",
    "sentiment": "sentiment",
    "classification": "classification",
    "multilabel": "classification",
    "hierarchy": "hierarchy",
    "matching": "matching",
    "nli": "matching",
    "coref": "coreference",
    "mrc": "reading",
}


def hand_over(task: str, document: Document) -> None:
    """Open the page of `task` with `document` in its fields; only in a callback."""
    put_document(task, document)
    st.session_state[f"{task}-source"] = "text"
    _open(task)


def hand_over_many(task: str, search: Search, *, count: int) -> None:
    """Open the page of `task` with the `count` stored documents of `search` as its input; only in a callback."""
    st.session_state[f"{task}-source"] = "stored"
    st.session_state[f"{task}-stored-words"] = search.words
    st.session_state[f"{task}-stored-most"] = min(count, MOST)
    choose_filter(f"{task}-stored", search.metadata)
    _open(task)


def _open(task: str) -> None:
    page = TASK_PAGES[task]
    st.session_state[f"{page}-task"] = task
    st.switch_page(f"../pages/{page}.py")

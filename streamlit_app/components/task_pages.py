"""Which page a task is on, and how a stored document gets there."""

from __future__ import annotations

import streamlit as st

from core.types import Document
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
    page = TASK_PAGES[task]
    st.session_state[f"{page}-task"] = task
    st.switch_page(f"../pages/{page}.py")

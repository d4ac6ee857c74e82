"""What the overview reads."""

from __future__ import annotations

import streamlit as st

from core.types import Document
from streamlit_app.components.coreference_input import marked_words
from streamlit_app.components.document_input import text_field
from streamlit_app.i18n import t


def overview_input(task: str) -> Document | None:
    """One text, and, folded away, what pair tasks and coreference need; None without a text."""
    text = text_field(task)
    with st.expander(t("overview.more"), icon=":material/tune:"):
        second = st.text_area(t("input.second.optional"), key=f"{task}-text-pair", height=80, persist_state="session")
        candidates, pronouns = marked_words(task, text)
    if not text.strip():
        return None
    return Document(text, text_pair=(second or "").strip() or None, candidates=candidates, pronouns=pronouns)

"""Many documents without a file: texts typed in, one a line, and stored documents found by words and metadata."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.storage import queries
from core.storage.search import Search
from core.types import Document
from streamlit_app.components.document_filter import document_filter
from streamlit_app.i18n import t
from streamlit_app.resources import application

MOST = 2_000
COMMON = 100
PREVIEW = 50


def lines_input(task: str) -> list[Document]:
    """A text a line; empty lines are none."""
    written = st.text_area(
        t("input.lines"),
        key=f"{task}-lines",
        height=180,
        placeholder=t("input.lines.example"),
        persist_state="session",
    )
    found = [Document(line.strip()) for line in (written or "").splitlines() if line.strip()]
    if found:
        st.caption(t("input.lines.count", count=len(found)))
    return found


def stored_input(task: str) -> list[Document]:
    """Documents of the library, newest first, by words of their text and by metadata."""
    app = application()
    fields = st.container(horizontal=True, vertical_alignment="bottom", gap="small")
    words = fields.text_input(t("input.stored.words"), key=f"{task}-stored-words", persist_state="session") or ""
    st.session_state.setdefault(f"{task}-stored-most", COMMON)
    most = fields.number_input(
        t("input.stored.most"),
        1,
        MOST,
        key=f"{task}-stored-most",
        width=120,
        help=t("input.stored.most.help"),
        persist_state="session",
    )
    search = Search(words.strip(), document_filter(app.database, key=f"{task}-stored"))
    total = queries.count_documents(app.database, search)
    if not total:
        st.caption(t("input.stored.none"))
        return []
    infos = queries.list_documents(app.database, search, limit=int(most))
    st.caption(t("input.stored.count", count=len(infos), total=total))
    frame = pd.DataFrame([{"id": one.external_id or str(one.id), "text": one.preview} for one in infos[:PREVIEW]])
    st.dataframe(
        frame,
        hide_index=True,
        height=170,
        column_config={
            "id": st.column_config.TextColumn(t("column.document"), width="small"),
            "text": st.column_config.TextColumn(t("column.text")),
        },
    )
    documents = queries.get_documents(app.database, [one.id for one in infos])
    return [documents[one.id] for one in infos if one.id in documents]

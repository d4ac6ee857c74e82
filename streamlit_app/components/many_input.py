"""Many documents without a file: texts typed in, one a line, and stored documents found by words and metadata."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from core.storage import job_queries, queries
from core.storage.search import Search
from core.types import Document
from streamlit_app.components.document_filter import document_filter
from streamlit_app.i18n import t
from streamlit_app.resources import application

MOST = 100_000
COMMON = 100
PREVIEW = 50


@dataclass(frozen=True, slots=True)
class Stored:
    """Documents of the library by their numbers: thousands of texts are not read at every touch of a page."""

    document_ids: tuple[int, ...]


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


def stored_input(task: str, *, pairs: bool = False) -> Stored | None:
    """Documents of the library, newest first, by words of their text and by metadata; None without any.

    With `pairs` those that have a second text.
    """
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
    search = Search(words.strip(), document_filter(app.database, key=f"{task}-stored"), pairs)
    total = queries.count_documents(app.database, search)
    if not total:
        st.caption(t("input.stored.none"))
        return None
    infos = queries.list_documents(app.database, search, limit=min(int(most), PREVIEW))
    found = job_queries.find_documents(app.database, search)[: -int(most) - 1 : -1]
    st.caption(t("input.stored.count", count=len(found), total=total))
    frame = pd.DataFrame([{"id": one.external_id or str(one.id), "text": one.preview} for one in infos])
    st.dataframe(
        frame,
        hide_index=True,
        height=170,
        column_config={
            "id": st.column_config.TextColumn(t("column.document"), width="small"),
            "text": st.column_config.TextColumn(t("column.text")),
        },
    )
    return Stored(tuple(found))

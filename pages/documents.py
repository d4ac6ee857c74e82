"""Stored documents: search, filter by metadata, read with what the runs found, bring in new ones, delete."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.storage import queries, search_index
from core.storage.search import Search
from core.tasks import TASKS
from streamlit_app.components import address
from streamlit_app.components.annotation_table import table
from streamlit_app.components.document_filter import document_filter
from streamlit_app.components.document_import import document_import
from streamlit_app.components.document_view import document_view
from streamlit_app.components.empty_state import no_results
from streamlit_app.components.heading import heading
from streamlit_app.components.many_input import MOST
from streamlit_app.components.task_pages import TASK_PAGES, hand_over_many
from streamlit_app.i18n import hold, t, title
from streamlit_app.resources import application

PAGE = 25
# In a row with others it would shrink to the number of the page.
PAGER = 300
OPEN = "documents-open"
# Documents that a search reads without the index before this is worth a word.
WORTH_SAYING = 5_000


def open_row(numbers: list[int]) -> None:
    """Open the document of the row that was clicked."""
    rows = st.session_state["documents-table"]["selection"]["rows"]
    st.session_state[OPEN] = str(numbers[rows[0]]) if rows else None


def many_button(search: Search, count: int) -> None:
    """The way of all that was found to the page of a task."""
    names = {name: title(TASKS[name].title_zh, TASKS[name].title_en) for name in TASK_PAGES}
    hold("documents-many-task")
    task = st.selectbox(
        t("documents.many.task"),
        list(names),
        format_func=names.__getitem__,
        key="documents-many-task",
        width=170,
        label_visibility="collapsed",
        persist_state="session",
    )
    st.button(
        t("documents.many", count=f"{count:,}"),
        key="documents-many",
        icon=":material/play_arrow:",
        on_click=hand_over_many,
        args=(task, search),
        kwargs={"count": count},
        help=t("documents.many.help", most=f"{MOST:,}"),
    )


heading("documents")
app = application()

importing = "documents-job" in st.session_state or bool(st.session_state.get("documents-reports"))
with st.expander(t("documents.import"), icon=":material/upload_file:", expanded=importing):
    document_import("documents")

if asked := address.arrived("documents").get("document"):
    st.session_state[OPEN] = asked
opened = st.session_state.get(OPEN)
address.keep("documents", document=opened)
# Drawn when it is known what the list holds, and so what comes next.
reading = st.container()
with st.container(horizontal=True, vertical_alignment="bottom"):
    words = st.text_input(
        t("documents.search"),
        key="documents-search",
        placeholder=t("documents.search.example"),
        width=420,
        persist_state="session",
    )
    metadata = document_filter(app.database, key="documents")
search = Search(words, metadata)
count = queries.count_documents(app.database, search)
if opened:
    with reading.container(border=True):
        document_view(app, opened, place=OPEN, search=search)

if count:
    pages = -(-count // PAGE)
    row = st.container(horizontal=True, vertical_alignment="center")
    said = t("documents.count", count=f"{count:,}")
    waiting = search_index.pending(app.database) if words else 0
    if waiting > WORTH_SAYING:
        said += " · " + t("documents.pending", count=f"{waiting:,}")
    row.caption(said, width="stretch")
    with row:
        many_button(search, count)
        number = st.pagination(pages, key="documents-page", width=PAGER, persist_state="session") if pages > 1 else 1
    found = queries.list_documents(app.database, search, limit=PAGE, offset=(number - 1) * PAGE)
    frame = pd.DataFrame(
        {
            "number": one.id,
            "document": one.external_id,
            "name": one.name,
            "text": one.preview,
            "characters": one.characters,
            "metadata": "；".join(f"{key}：{value}" for key, value in one.metadata.items() if value)[:200],
            "runs": one.runs,
            "created": one.created_at.astimezone(),
        }
        for one in found
    )
    # The row that is marked is that of the open document, however it was opened.
    rows = [row for row, one in enumerate(found) if str(one.id) == opened]
    st.session_state["documents-table"] = {"selection": {"rows": rows}}
    table(frame, key="documents-table", whole=True, on_select=lambda: open_row([one.id for one in found]))
    if not opened:
        st.caption(t("documents.click"))
elif words or metadata:
    st.info(t("documents.none"), icon=":material/search_off:")
else:
    no_results("documents.empty", key="documents")

"""Stored documents: search, read, bring in new ones, delete."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.storage import queries
from core.tasks import TASKS
from streamlit_app.components.annotation_table import table
from streamlit_app.components.cards import quote
from streamlit_app.components.document_import import document_import
from streamlit_app.components.heading import heading
from streamlit_app.components.messages import plain
from streamlit_app.components.task_pages import TASK_PAGES, hand_over
from streamlit_app.i18n import t, title
from streamlit_app.resources import application

PAGE = 25

heading("documents")
app = application()

with st.expander(t("documents.import"), icon=":material/upload_file:"):
    document_import("documents")

search = st.text_input(
    t("documents.search"), key="documents-search", type="search", placeholder=t("documents.search.example"), live=True
)
count = queries.count_documents(app.database, search)
if not count:
    st.info(t("documents.none" if search else "documents.empty"), icon=":material/lightbulb:")
    st.stop()

pages = -(-count // PAGE)
number = st.pagination(pages, key="documents-page") if pages > 1 else 1
found = queries.list_documents(app.database, search, limit=PAGE, offset=(number - 1) * PAGE)
st.caption(t("documents.count", count=count))
frame = pd.DataFrame(
    {
        "number": one.id,
        "document": one.external_id,
        "name": one.name,
        "text": one.preview,
        "characters": one.characters,
        "runs": one.runs,
        "created": one.created_at.astimezone(),
    }
    for one in found
)
table(frame, key="documents-table")

labels = {one.id: f"{one.id} · {one.preview[:40]}" for one in found}
identifier = st.selectbox(
    t("documents.open"),
    list(labels),
    index=None,
    placeholder=t("choose"),
    format_func=labels.__getitem__,
    key="documents-open",
)
if identifier is not None:
    document = queries.get_document(app.database, identifier)
    quote(document.text)
    if document.text_pair:
        quote(document.text_pair)
    if document.metadata:
        st.caption("  \n".join(plain(f"{name}：{value}") for name, value in document.metadata.items()))
    titles = {name: title(TASKS[name].title_zh, TASKS[name].title_en) for name in TASK_PAGES}
    row = st.container(horizontal=True, vertical_alignment="bottom")
    row.selectbox(t("documents.analyse"), list(titles), format_func=titles.__getitem__, key="documents-task", width=240)
    row.button(
        t("documents.go"),
        key="documents-go",
        icon=":material/play_arrow:",
        on_click=lambda: hand_over(st.session_state["documents-task"], document),
    )
    if row.button(t("documents.delete"), key=f"documents-delete-{identifier}", icon=":material/delete:"):
        app.store.delete_document(identifier)
        st.rerun()

"""Files from the user, read into documents with a word on how they were read."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core import services
from core.errors import RexError
from core.types import Document
from streamlit_app.components.messages import plain, show_error
from streamlit_app.i18n import t
from streamlit_app.resources import application

SUFFIXES = ["txt", "md", "csv", "tsv", "jsonl", "json"]
SPLITS = ["auto", "file", "line", "paragraph"]
PREVIEW = 5


def document_upload(key: str) -> list[Document]:
    """Draw the uploader and what was read; the documents of all files, none while a file has an error."""
    files = st.file_uploader(
        t("upload.label"), SUFFIXES, accept_multiple_files=True, key=f"{key}-upload", help=t("upload.help")
    )
    if not files:
        st.caption(t("upload.empty"))
        return []
    splits = {name: t(f"upload.split.{name}") for name in SPLITS}
    split = st.selectbox(
        t("upload.split"),
        SPLITS,
        format_func=splits.__getitem__,
        key=f"{key}-split",
        help=t("upload.split.help"),
    )
    cache = st.session_state.setdefault(f"{key}-read", {})
    documents: list[Document] = []
    for file in files:
        column_key = f"{key}-column-{file.file_id}"
        column = st.session_state.get(column_key) or None
        wanted = (file.file_id, split, column)
        try:
            if wanted not in cache:
                report = services.import_file(
                    application(), file.name, file.getvalue(), split=split, text_column=column
                )
                cache[wanted] = report
            report = cache[wanted]
        except RexError as error:
            show_error(error)
            continue
        if report.columns:
            labels = {"": t("upload.column.auto")} | {name: name for name in report.columns}
            st.selectbox(
                t("upload.column", name=plain(file.name)),
                list(labels),
                format_func=labels.__getitem__,
                key=column_key,
            )
        st.caption(t("upload.read", name=plain(file.name), count=len(report.documents), encoding=report.encoding))
        for note in report.notes:
            st.caption(plain(note))
        if report.problems:
            st.warning("  \n".join(plain(problem) for problem in report.problems), icon=":material/warning:")
        documents += report.documents
    st.session_state[f"{key}-read"] = {
        wanted: report for wanted, report in cache.items() if wanted[0] in {file.file_id for file in files}
    }
    if documents:
        preview(documents)
    return documents


def preview(documents: list[Document]) -> None:
    """The first documents as a small table."""
    rows = [{"id": one.id, "text": one.text[:200]} for one in documents[:PREVIEW]]
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_config={
            "id": st.column_config.TextColumn(t("column.document"), width="small"),
            "text": st.column_config.TextColumn(t("column.text")),
        },
    )
    if len(documents) > PREVIEW:
        st.caption(t("upload.more", shown=PREVIEW, count=len(documents)))

"""Files from the user, read into documents with a word on how they were read."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import pandas as pd
import streamlit as st

from core import services
from core.errors import RexError
from core.readers import EXTENSIONS, ReadReport, Split
from core.types import Document
from streamlit_app.components.messages import plain, show_error
from streamlit_app.i18n import t
from streamlit_app.resources import application

SPLIT, TABLES = ("txt", "md", "docx", "docm", "pdf"), ("csv", "tsv", "xlsx", "xls", "xlsm")
SPLITS: tuple[Split, ...] = ("auto", "file", "line", "paragraph", "page")
PREVIEW = 5


def document_upload(key: str) -> list[Document]:
    """Draw the uploader and what was read; the documents of all files. A file with an error is named and left out."""
    files = st.file_uploader(
        t("upload.label"),
        list(EXTENSIONS),
        accept_multiple_files=True,
        key=f"{key}-upload",
        help=t("upload.help"),
    )
    if not files:
        st.caption(t("upload.empty", formats="、".join(EXTENSIONS)))
        return []
    documents: list[Document] = []
    said = st.container()
    with st.expander(t("upload.options"), icon=":material/tune:"):
        options = _split(key) if any(_suffix(file.name) in SPLIT for file in files) else {}
        for file in files:
            try:
                report = _read(key, file, options=options)
            except RexError as error:
                with said:
                    show_error(error)
                continue
            documents += report.documents
            said.caption(_summary(file.name, report))
            if report.problems:
                said.warning("  \n".join(plain(problem) for problem in report.problems), icon=":material/warning:")
        if documents:
            _preview(documents)
    return documents


def _read(key: str, file: Any, *, options: dict[str, str]) -> ReadReport:
    cache: dict[Any, ReadReport] = st.session_state.setdefault(f"{key}-read", {})
    for known in [known for known in cache if known[0] not in {one.file_id for one in _uploaded(key)}]:
        del cache[known]
    column = None
    if _suffix(file.name) in TABLES:
        column = st.text_input(
            t("upload.column", name=plain(file.name)),
            key=f"{key}-column-{file.file_id}",
            placeholder=t("upload.column.auto"),
        )
    # Read once for each choice of options: the page runs again at every touch.
    wanted = (file.file_id, column, *options.values())
    if wanted not in cache:
        cache[wanted] = services.import_file(
            application(), file.name, file.getvalue(), text_column=column or None, **options
        )
    report = cache[wanted]
    if report.columns:
        st.caption(t("upload.column.known", names=plain("、".join(report.columns))))
    return report


def _uploaded(key: str) -> list[Any]:
    files: list[Any] = st.session_state[f"{key}-upload"]
    return files


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower().lstrip(".")


def _split(key: str) -> dict[str, str]:
    labels = {name: t(f"upload.split.{name}") for name in SPLITS}
    chosen = st.selectbox(t("upload.split"), SPLITS, format_func=labels.__getitem__, key=f"{key}-split")
    return {"split": chosen}


def _summary(name: str, report: ReadReport) -> str:
    read = t("upload.read", name=plain(name), count=len(report.documents), encoding=plain(report.encoding or "—"))
    return "  \n".join([read, *(plain(note) for note in report.notes)])


def _preview(documents: list[Document]) -> None:
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

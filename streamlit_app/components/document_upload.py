"""Files from the user, read into documents with a word on how they were read."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import pandas as pd
import streamlit as st

from core import services
from core.errors import RexError
from core.readers import EXTENSIONS, ReadOptions, ReadReport, Split, from_bytes, sample
from core.types import Document
from streamlit_app.components.messages import plain, show_error
from streamlit_app.i18n import t
from streamlit_app.resources import application

SPLIT, TABLES = ("txt", "md", "docx", "docm", "pdf"), ("csv", "tsv", "xlsx", "xls", "xlsm")
SPLITS: tuple[Split, ...] = ("auto", "file", "line", "paragraph", "page")
PREVIEW = 5


def document_upload(key: str, *, pair: bool = False) -> list[Document]:
    """Draw the uploader and what was read; the documents of all files. A file with an error is named and left out.

    pair: every document needs a second text, whose column can be chosen.
    """
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
    with st.expander(t("upload.options"), icon=":material/tune:", expanded=pair):
        options = _split(key) if any(_suffix(file.name) in SPLIT for file in files) else {}
        for file in files:
            try:
                report = _read(key, file, options=options, pair=pair)
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


def _read(key: str, file: Any, *, options: dict[str, str], pair: bool) -> ReadReport:
    cache: dict[Any, ReadReport] = st.session_state.setdefault(f"{key}-read", {})
    for known in [known for known in cache if known[0] not in {one.file_id for one in _uploaded(key)}]:
        del cache[known]
    columns = _columns(key, file, pair=pair) if _suffix(file.name) in TABLES else {}
    # Read once for each choice of options: the page runs again at every touch.
    wanted = (file.file_id, *columns.values(), *options.values())
    if wanted not in cache:
        cache[wanted] = services.import_file(application(), file.name, file.getvalue(), **columns, **options)
    return cache[wanted]


def _columns(key: str, file: Any, *, pair: bool) -> dict[str, str | None]:
    """Which column of a table holds the text, and for pairs which holds the second; None: found by its name."""
    known: dict[str, tuple[str, ...]] = st.session_state.setdefault(f"{key}-columns", {})
    if file.file_id not in known:
        known[file.file_id] = sample(from_bytes(file.name, file.getvalue()), ReadOptions()).columns
    names = known[file.file_id]
    fields = st.columns(2)

    def choice(place: int, name: str) -> str | None:
        return fields[place].selectbox(
            t(f"upload.column.{name}", name=plain(file.name)),
            names,
            index=None,
            key=f"{key}-{name}-{file.file_id}",
            placeholder=t("import.column.auto"),
        )

    chosen = {"text_column": choice(0, "text")}
    return {**chosen, "pair_column": choice(1, "pair")} if pair else chosen


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
    rows = [{"id": one.id, "text": one.text[:200], "pair": (one.text_pair or "")[:200]} for one in documents[:PREVIEW]]
    names = ["id", "text", *(["pair"] if any(row["pair"] for row in rows) else [])]
    st.dataframe(
        pd.DataFrame(rows, columns=names),
        hide_index=True,
        column_config={
            "id": st.column_config.TextColumn(t("column.document"), width="small"),
            "text": st.column_config.TextColumn(t("column.text")),
            "pair": st.column_config.TextColumn(t("column.text_pair")),
        },
    )
    if len(documents) > PREVIEW:
        st.caption(t("upload.more", shown=PREVIEW, count=len(documents)))

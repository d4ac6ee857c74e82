"""What an import would make of the chosen files: encodings to choose by eye, columns by name, the first documents."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from core.readers import ReadOptions, Sample, Source, preview, sample
from core.readers.encoding import PREVIEWED
from streamlit_app.components.messages import plain
from streamlit_app.i18n import t

TABLES = ("csv", "tsv", "xlsx", "xls", "xlsm")
TEXTUAL = ("txt", "md", "csv", "tsv", "json", "jsonl")
HEAD_BYTES = 16_384
CELL = 300


@dataclass(frozen=True, slots=True)
class Choices:
    """The options with the columns chosen, and encodings chosen by hand, by the name of the file."""

    options: ReadOptions
    encodings: dict[str, str] = field(default_factory=dict)


def suffix(name: str) -> str:
    """The extension in lower case, without its dot."""
    return Path(name).suffix.lower().lstrip(".")


def encoding_choices() -> dict[str, str]:
    """Encodings to choose from, the first meaning that it is found out."""
    return {"": t("import.encoding.auto"), **{name: name for name in PREVIEWED}}


def import_preview(files: Sequence[Any], options: ReadOptions, *, key: str) -> Choices:
    """Draw the preview of one of the files and the choices about it; returns the choices for all."""
    known = {file.name: file for file in files if suffix(file.name) != "zip"}
    if not known:
        return Choices(options)
    encodings = {
        name: chosen for name, file in known.items() if (chosen := st.session_state.get(f"{key}-encoding-{name}"))
    }
    with st.container(border=True):
        top = st.container(horizontal=True, vertical_alignment="bottom")
        name = top.selectbox(t("import.preview.file"), list(known), key=f"{key}-file", width=420)
        file = known[name]
        if suffix(name) in TEXTUAL:
            names = encoding_choices()
            chosen = top.selectbox(
                t("import.encoding.file"),
                list(names),
                format_func=names.__getitem__,
                key=f"{key}-encoding-{name}",
                width=260,
            )
            encodings = {one: code for one, code in {**encodings, name: chosen}.items() if code}
        if any(suffix(one) in TABLES for one in known):
            options = _columns(known, options, encodings, key=key)
        found = _sample(file, replace(options, encoding=encodings.get(name)), key=key)
        _first_documents(found)
        if suffix(name) in TEXTUAL:
            _readings(file)
    return Choices(options, encodings)


def _columns(files: dict[str, Any], options: ReadOptions, encodings: dict[str, str], *, key: str) -> ReadOptions:
    tables = [file for name, file in files.items() if suffix(name) in TABLES]
    # without choices of columns: a column that is not there would hide the ones that are
    columns = [
        column
        for file in tables[:5]
        for column in _sample(file, replace(options, encoding=encodings.get(file.name)), key=key).columns
    ]
    columns = list(dict.fromkeys(columns))
    if not columns:
        return options
    row = st.columns(3)
    text = row[0].selectbox(
        t("import.column.text"), columns, index=None, placeholder=t("import.column.auto"), key=f"{key}-text"
    )
    identity = row[1].selectbox(
        t("import.column.id"), columns, index=None, placeholder=t("import.column.auto"), key=f"{key}-id"
    )
    kept = row[2].multiselect(
        t("import.column.metadata"), columns, placeholder=t("import.column.all"), key=f"{key}-metadata"
    )
    return replace(options, text_column=text, id_column=identity, metadata_columns=tuple(kept) or None)


def _sample(file: Any, options: ReadOptions, *, key: str) -> Sample:
    """The sample, made once for each file and choice: the page runs again at every touch."""
    cache: dict[Any, Sample] = st.session_state.setdefault(f"{key}-samples", {})
    wanted = (file.file_id, options)
    if wanted not in cache:
        cache[wanted] = sample(Source(file.name, file.size, lambda: _reopened(file)), options)
    return cache[wanted]


def _reopened(file: Any) -> Any:
    """The bytes of the upload from their beginning, in a reader that may be closed."""
    return io.BytesIO(file.getbuffer())


def _first_documents(found: Sample) -> None:
    if found.error:
        st.warning(plain(found.error), icon=":material/warning:")
        return
    if not found.documents:
        st.caption(t("import.preview.large"))
        return
    encoding = t("import.preview.encoding", encoding=found.encoding) if found.encoding else ""
    said = [t("import.preview.first", count=len(found.documents)), encoding, *found.notes]
    st.caption(plain(" · ".join(part for part in said if part)))
    keys = list(dict.fromkeys(key for one in found.documents for key in one.metadata))
    rows = [
        {"id": one.id, "text": one.text[:CELL], **{f"m-{key}": one.metadata.get(key, "")[:CELL] for key in keys}}
        for one in found.documents
    ]
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_config={
            "id": st.column_config.TextColumn(t("column.document"), width="small"),
            "text": st.column_config.TextColumn(t("column.text"), width="large"),
            **{f"m-{key}": st.column_config.TextColumn(key) for key in keys},
        },
    )


def _readings(file: Any) -> None:
    with st.expander(t("import.preview"), icon=":material/translate:"):
        rows = [
            {"encoding": one.encoding, "fits": one.fits, "lines": " ⏎ ".join(one.lines)[:CELL]}
            for one in preview(bytes(file.getbuffer()[:HEAD_BYTES]), lines=3)
        ]
        st.dataframe(
            pd.DataFrame(rows),
            hide_index=True,
            column_config={
                "encoding": t("import.result.encoding"),
                "fits": st.column_config.CheckboxColumn(t("import.preview.fits"), width="small"),
                "lines": st.column_config.TextColumn(t("import.preview.lines"), width="large"),
            },
        )

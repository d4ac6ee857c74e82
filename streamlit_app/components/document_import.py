"""Files from the user into the stored documents: options, a preview of encodings, and a report for each file."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from core.errors import RexError
from core.imports import import_annotated
from core.readers import ANNOTATED_FORMATS, ARCHIVES, EXTENSIONS, FileReport, Importer, ReadOptions, from_path, preview
from core.readers.annotated import UNITS
from core.readers.encoding import PREVIEWED
from streamlit_app.components.document_upload import SPLITS
from streamlit_app.i18n import t
from streamlit_app.resources import application

PLAIN = "plain"
ANNOTATED_SUFFIXES = ("ann", "bio", "conll", "conf", "zip")
TEXTUAL = ("txt", "md", "csv", "tsv", "json", "jsonl")
HEAD_BYTES = 16_384


def document_import(key: str) -> None:
    """Draw the uploader, the options and, once asked, import file after file; what became of each stays on screen."""
    # a new uploader after each import lets go of the bytes of the last
    turn = st.session_state.setdefault(f"{key}-turn", 0)
    accepted = tuple(dict.fromkeys((*EXTENSIONS, *ARCHIVES, *ANNOTATED_SUFFIXES)))
    files: list[Any] = st.file_uploader(
        t("import.label"), accepted, accept_multiple_files=True, key=f"{key}-files-{turn}", help=t("import.help")
    )
    chosen = _format(key)
    options, duplicates, offsets = _options(key, chosen)
    if not files:
        st.caption(t("import.empty", formats="、".join((*EXTENSIONS, *ARCHIVES))))
    else:
        _encodings([file for file in files if Path(file.name).suffix.lower().lstrip(".") in TEXTUAL])
    if st.button(t("import.run", count=len(files)), key=f"{key}-run", type="primary", disabled=not files):
        with st.spinner(t("import.running", name=""), show_time=True):
            reports = _import(files, chosen, options=options, duplicates=duplicates, offsets=offsets)
        st.session_state[f"{key}-reports"] = reports
        st.session_state[f"{key}-turn"] = turn + 1
        st.rerun()
    _show(key, st.session_state.get(f"{key}-reports", []))


def _format(key: str) -> str:
    names = {PLAIN: t("import.format.plain"), **{name: one.title for name, one in ANNOTATED_FORMATS.items()}}
    return st.selectbox(
        t("import.format"),
        list(names),
        format_func=names.__getitem__,
        key=f"{key}-format",
        help=t("import.format.help"),
    )


def _options(key: str, chosen: str) -> tuple[ReadOptions, str, str]:
    with st.expander(t("upload.options"), icon=":material/tune:"):
        encodings = {"": t("import.encoding.auto"), **{name: name for name in PREVIEWED}}
        encoding = st.selectbox(
            t("import.encoding"), list(encodings), format_func=encodings.__getitem__, key=f"{key}-encoding"
        )
        if chosen != PLAIN:
            units = {name: t(f"import.offsets.{name}") for name in UNITS}
            offsets = st.selectbox(
                t("import.offsets"), list(units), format_func=units.__getitem__, key=f"{key}-offsets"
            )
            return ReadOptions(encoding or None), "keep", offsets
        splits = {name: t(f"upload.split.{name}") for name in SPLITS}
        split = st.selectbox(t("upload.split"), SPLITS, format_func=splits.__getitem__, key=f"{key}-split")
        columns = st.columns(3)
        text = columns[0].text_input(t("import.column.text"), key=f"{key}-text", placeholder=t("import.column.auto"))
        identity = columns[1].text_input(t("import.column.id"), key=f"{key}-id", placeholder=t("import.column.auto"))
        kept = columns[2].text_input(
            t("import.column.metadata"), key=f"{key}-metadata", placeholder=t("import.column.all")
        )
        names = tuple(name.strip() for name in kept.replace("，", ",").split(",") if name.strip())
        choices = {name: t(f"import.duplicates.{name}") for name in ("keep", "drop")}
        duplicates = st.segmented_control(
            t("import.duplicates"),
            list(choices),
            format_func=choices.__getitem__,
            default="keep",
            required=True,
            key=f"{key}-duplicates",
        )
        options = ReadOptions(encoding or None, split, text.strip() or None, identity.strip() or None, names or None)
        return options, duplicates or "keep", "auto"


def _encodings(files: list[Any]) -> None:
    if not files:
        return
    with st.expander(t("import.preview"), icon=":material/translate:"):
        rows = [
            {"file": file.name, "encoding": one.encoding, "fits": one.fits, "lines": " ⏎ ".join(one.lines)[:200]}
            for file in files[:5]
            for one in preview(bytes(file.getbuffer()[:HEAD_BYTES]), lines=3)
        ]
        st.dataframe(
            pd.DataFrame(rows),
            hide_index=True,
            column_config={
                "file": t("import.result.file"),
                "encoding": t("import.result.encoding"),
                "fits": st.column_config.CheckboxColumn(t("import.preview.fits"), width="small"),
                "lines": st.column_config.TextColumn(t("import.preview.lines"), width="large"),
            },
        )


def _import(files: list[Any], chosen: str, *, options: ReadOptions, duplicates: str, offsets: str) -> list[FileReport]:
    app = application()
    uploads = app.settings.data_dir / "uploads"
    uploads.mkdir(parents=True, exist_ok=True)
    importer = Importer(app.store.add_documents, options, duplicates="drop" if duplicates == "drop" else "keep")
    reports: list[FileReport] = []
    with tempfile.TemporaryDirectory(dir=uploads) as folder:
        # under their own names, for pairs of brat find each other by them
        paths = [_spool(file, Path(folder)) for file in files]
        for path in paths:
            try:
                if chosen == PLAIN:
                    reports += importer.source(from_path(path))
                elif chosen != "brat" or path.suffix.lower() in (".ann", ".zip"):
                    reports.append(_annotated(app, path, chosen, encoding=options.encoding, offsets=offsets))
            except RexError as error:
                reports.append(FileReport(path.name, error=str(error)))
    return reports


def _spool(file: Any, folder: Path) -> Path:
    path = folder / Path(file.name.replace("\\", "/")).name
    file.seek(0)
    with path.open("wb") as target:
        shutil.copyfileobj(file, target)
    return path


def _annotated(app: Any, path: Path, chosen: str, *, encoding: str | None, offsets: str) -> FileReport:
    report, runs = import_annotated(app.store, path, chosen, encoding=encoding, offsets=offsets)
    found = t("import.result.annotations", annotations=report.annotations, runs="、".join(map(str, runs)))
    said = (found, *report.repaired, *report.notes)
    return FileReport(path.name, report.documents, problems=report.problems, notes=said)


def _show(key: str, reports: list[FileReport]) -> None:
    if not reports:
        return
    failed = sum(bool(report.error) for report in reports)
    said = t("import.done", documents=sum(report.documents for report in reports), failed=failed)
    (st.warning if failed else st.success)(said, icon=":material/fact_check:")
    frame = pd.DataFrame(
        {
            "file": report.name,
            "documents": report.documents,
            "duplicates": report.duplicates,
            "encoding": report.encoding,
            "said": "\n".join(filter(None, (report.error, *report.problems, *report.notes))),
        }
        for report in reports
    )
    st.dataframe(
        frame,
        hide_index=True,
        key=f"{key}-report",
        column_config={
            name: st.column_config.Column(t(f"import.result.{name}"), width="large" if name == "said" else None)
            for name in frame.columns
        },
    )

"""Files from the user into the stored documents: options, progress with a way to stop, a report for each file."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from core.errors import RexError
from core.import_job import ImportJob, ImportOrder, start_import
from core.readers import ANNOTATED_FORMATS, ARCHIVES, EXTENSIONS, FileReport, ReadOptions
from core.readers.annotated import UNITS
from streamlit_app.components.document_upload import SPLITS
from streamlit_app.components.import_preview import TABLES, Choices, encoding_choices, import_preview, suffix
from streamlit_app.components.messages import shown_errors
from streamlit_app.i18n import t
from streamlit_app.resources import application

PLAIN = "plain"
ANNOTATED_SUFFIXES = ("ann", "bio", "conll", "conf", "zip")
EVERY_S = 0.5


def document_import(key: str) -> None:
    """Draw the uploader, the options and, once asked, import file after file; what became of each stays on screen."""
    job: ImportJob | None = st.session_state.get(f"{key}-job")
    if job is not None:
        _follow(key, job)
        return
    # a new uploader after each import lets go of the bytes of the last
    turn = st.session_state.setdefault(f"{key}-turn", 0)
    accepted = tuple(dict.fromkeys((*EXTENSIONS, *ARCHIVES, *ANNOTATED_SUFFIXES)))
    files: list[Any] = st.file_uploader(
        t("import.label"), accepted, accept_multiple_files=True, key=f"{key}-files-{turn}", help=t("import.help")
    )
    if not files:
        st.caption(t("import.empty", formats="、".join((*EXTENSIONS, *ARCHIVES))))
    chosen = _format(key)
    if chosen == PLAIN:
        options, drop = _options(key, files)
        choices = import_preview(files, options, key=f"{key}-{turn}") if files else Choices(options)
        order = ImportOrder((), choices.options, encodings=choices.encodings, drop_duplicates=drop)
    else:
        order = _annotated_order(key, chosen)
    if st.button(t("import.run", count=len(files)), key=f"{key}-run", type="primary", disabled=not files):
        with shown_errors():
            st.session_state[f"{key}-job"] = _start(files, order)
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
        persist_state="session",
    )


def _options(key: str, files: list[Any]) -> tuple[ReadOptions, bool]:
    """How all files are split, and whether repeated texts are dropped."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        splits = {name: t(f"upload.split.{name}") for name in SPLITS}
        only_tables = bool(files) and all(suffix(file.name) in TABLES for file in files)
        split = st.selectbox(
            t("upload.split"),
            SPLITS,
            format_func=splits.__getitem__,
            key=f"{key}-split",
            disabled=only_tables,
            help=t("import.split.tables") if only_tables else None,
            width=320,
            persist_state="session",
        )
        choices = {name: t(f"import.duplicates.{name}") for name in ("keep", "drop")}
        duplicates = st.segmented_control(
            t("import.duplicates"),
            list(choices),
            format_func=choices.__getitem__,
            default="keep",
            required=True,
            key=f"{key}-duplicates",
            persist_state="session",
        )
    return ReadOptions(split="auto" if only_tables else split), duplicates == "drop"


def _annotated_order(key: str, chosen: str) -> ImportOrder:
    with st.container(horizontal=True):
        encodings = encoding_choices()
        encoding = st.selectbox(
            t("import.encoding"),
            list(encodings),
            format_func=encodings.__getitem__,
            key=f"{key}-encoding",
            width=320,
            persist_state="session",
        )
        units = {name: t(f"import.offsets.{name}") for name in UNITS}
        offsets = st.selectbox(
            t("import.offsets"),
            list(units),
            format_func=units.__getitem__,
            key=f"{key}-offsets",
            width=320,
            persist_state="session",
        )
    return ImportOrder((), ReadOptions(encoding or None), chosen, offsets=offsets)


def _start(files: list[Any], order: ImportOrder) -> ImportJob:
    """Put the files on the disk and begin."""
    app = application()
    uploads = app.settings.data_dir / "uploads"
    uploads.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=uploads))
    paths = []
    for number, file in enumerate(files):
        name = Path(file.name.replace("\\", "/")).name or "未命名"
        # two files of one name keep it, each in a folder of its own; pairs of brat find each other by their names
        place = folder if not (folder / name).exists() else folder / str(number)
        place.mkdir(exist_ok=True)
        file.seek(0)
        with (place / name).open("wb") as target:
            shutil.copyfileobj(file, target)
        paths.append(place / name)
    if order.format == "brat":
        paths = [path for path in paths if path.suffix.lower() in (".ann", ".zip")]
    whole = ImportOrder(
        tuple(paths), order.options, order.format, order.encodings, order.drop_duplicates, order.offsets
    )
    try:
        return start_import(app.store, whole, folder=folder)
    except RexError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _follow(key: str, job: ImportJob) -> None:
    @st.fragment(run_every=EVERY_S)
    def progress() -> None:
        if job.state == "done":
            st.session_state[f"{key}-reports"] = job.reports
            del st.session_state[f"{key}-job"]
            st.rerun()
        words = "import.indexing" if job.state == "indexing" else "import.running"
        share = job.files / job.total if job.total else 1.0
        said = t(words, name=job.name, files=job.files, total=job.total, documents=job.documents)
        st.progress(min(share, 1.0), text=said.replace("[", "\\["))
        with st.container(horizontal=True):
            st.button(t("job.cancel"), key=f"{key}-cancel", icon=":material/stop_circle:", on_click=job.cancel)
            if job.state == "indexing" and st.button(t("import.go_on"), key=f"{key}-go-on", icon=":material/check:"):
                st.session_state[f"{key}-reports"] = job.reports
                del st.session_state[f"{key}-job"]
                st.rerun()

    # a short import is over before a bar would be worth drawing
    if job.wait(1.0):
        st.session_state[f"{key}-reports"] = job.reports
        del st.session_state[f"{key}-job"]
        st.rerun()
    progress()


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

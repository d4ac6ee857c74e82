"""What a page says while there is nothing to show: what it is for, and a button that brings an example."""

from __future__ import annotations

import json
from pathlib import Path

import streamlit as st

from core import job_services, services
from core.errors import RexError
from core.schemas.presets import list_presets
from core.storage import queries
from streamlit_app.components.job_progress import job_progress
from streamlit_app.components.messages import plain
from streamlit_app.i18n import t, title
from streamlit_app.resources import application

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "samples" / "news.txt"
TASK = "ner"


def no_results(words: str, *, key: str) -> None:
    """Draw the words of a page without documents or results, and the button that has the sample file read.

    While a job runs, its progress takes the button's place; the page runs again when it has ended.
    """
    app = application()
    st.info(t(words), icon=":material/lightbulb:")
    if active := queries.list_runs(app.database, states=("queued", "running"), limit=1):
        job_progress(app, [active[0].id], key=f"{key}-sample")
        return
    st.button(t("sample.load"), key=f"{key}-sample", type="primary", icon=":material/science:", on_click=_read_sample)
    st.caption(t("sample.documents"))


def no_schemas(words: str) -> None:
    """Draw the words of an empty library, and the button that saves the first preset."""
    preset = list_presets(TASK)[0]
    st.info(t(words), icon=":material/lightbulb:")
    name = plain(title(preset.name, preset.name_en))
    st.button(t("sample.schema", name=name), key="schemas-sample", icon=":material/science:", on_click=_save_preset)
    st.code(json.dumps(preset.schema, ensure_ascii=False, indent=1), language="json")


def _read_sample() -> None:
    app = application()
    preset = list_presets(TASK)[0]
    try:
        read = services.import_file(app, SAMPLE.name, SAMPLE.read_bytes())
        job = job_services.submit_job(
            app, read.documents, task=TASK, schema=preset.schema, schema_name=preset.name, threshold=None
        )
    except (RexError, OSError) as error:
        st.toast(plain(str(error)), icon=":material/error:")
        return
    app.runner.start()
    st.toast(t("sample.loaded", documents=len(read.documents), job=job), icon=":material/check:")


def _save_preset() -> None:
    preset = list_presets(TASK)[0]
    try:
        services.save_schema(application(), preset.name, task=TASK, schema=preset.schema)
    except RexError as error:
        st.toast(plain(str(error)), icon=":material/error:")

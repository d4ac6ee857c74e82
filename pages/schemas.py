"""Saved schemas: versions, new ones from a file or an editor, and files of them."""

from __future__ import annotations

import json

import pandas as pd
import streamlit as st

from core import services
from core.errors import RexError
from core.schemas.schema import parse_schema
from core.storage import queries
from core.tasks import TASKS
from streamlit_app.components.annotation_table import table
from streamlit_app.components.heading import heading
from streamlit_app.components.messages import show_error
from streamlit_app.i18n import t, title
from streamlit_app.resources import application

TASKS_WITH_SCHEMA = [name for name, task in TASKS.items() if task.schema_kind != "none" and name != "rex"]


def task_title(name: str) -> str:
    """The task's name in the language of the session."""
    return title(TASKS[name].title_zh, TASKS[name].title_en)


def version_label(one: queries.SchemaInfo) -> str:
    """A version in a list of choices."""
    return t("schemas.version.label", number=one.version, when=f"{one.created_at.astimezone():%Y-%m-%d %H:%M}")


heading("schemas")
app = application()
left, right = st.columns([3, 2], gap="medium")

with right:
    st.subheader(t("schemas.new"), anchor=False)
    file = st.file_uploader(t("schemas.file"), ["json"], key="schemas-file", max_upload_size=5)
    if file is not None and st.session_state.get("schemas-file-read") != file.file_id:
        st.session_state["schemas-file-read"] = file.file_id
        st.session_state["schemas-body"] = file.getvalue().decode("utf-8-sig", errors="replace")
        st.session_state["schemas-name"] = file.name.removesuffix(".json")
    name = st.text_input(t("schemas.name"), key="schemas-name", placeholder=t("schemas.name.example"))
    titles = {name: task_title(name) for name in TASKS_WITH_SCHEMA}
    task = st.selectbox(t("schemas.task"), list(titles), format_func=titles.__getitem__, key="schemas-task")
    body = st.text_area(t("schema.json"), key="schemas-body", height=200, placeholder='{"人物": null}')
    if st.button(t("schemas.save"), key="schemas-save", type="primary", disabled=not (name.strip() and body.strip())):
        try:
            services.save_schema(app, name.strip(), task=task, schema=body)
            st.success(t("schemas.saved"), icon=":material/check:")
        except RexError as error:
            show_error(error)

with left:
    saved = queries.latest_schemas(app.database)
    if not saved:
        st.info(t("schemas.empty"), icon=":material/lightbulb:")
        st.stop()
    frame = pd.DataFrame(
        {
            "name": one.name,
            "task": task_title(one.task) if one.task in TASKS else one.task,
            "version": one.version,
            "types": sum(1 for _ in parse_schema(dict(one.body)).paths()),
            "created": one.created_at.astimezone(),
        }
        for one in saved
    )
    table(frame, key="schemas-table")
    chosen = st.selectbox(t("schemas.open"), [one.name for one in saved], key="schemas-open")
    versions = {one.version: one for one in queries.schema_versions(app.database, chosen)}
    labels = {number: version_label(one) for number, one in versions.items()}
    version = st.selectbox(
        t("schemas.version"), list(labels), format_func=labels.__getitem__, key=f"schemas-version-{chosen}"
    )
    text = json.dumps(dict(versions[version].body), ensure_ascii=False, indent=2)
    st.code(text, language="json", height=260)
    st.download_button(
        t("schemas.download"),
        text,
        f"{chosen}-v{version}.json",
        "application/json",
        key="schemas-download",
        icon=":material/download:",
        on_click="ignore",
    )

"""Choosing a preset fills the schema and, unless the user wrote a text of their own, the text."""

from __future__ import annotations

import streamlit as st

from core.schemas.presets import Preset, list_presets
from core.schemas.schema import parse_schema
from core.storage import queries
from core.storage.queries import SchemaInfo
from core.types import Document
from streamlit_app.components.coreference_input import put_marks
from streamlit_app.components.schema_editor import put_schema
from streamlit_app.i18n import hold, t, title
from streamlit_app.resources import application

SAVED = "saved:"


def preset_picker(task: str) -> None:
    """Draw the choice of presets and saved schemas of `task`; the first preset is in force on the first visit."""
    presets = {preset.name: preset for preset in list_presets(task)}
    saved = {
        SAVED + info.name: info
        for info in queries.latest_schemas(application().database, task)
        if not _same(info, presets.get(info.name))
    }
    key = f"{task}-preset"
    if st.session_state.get(key) not in presets and st.session_state.get(key) not in saved:
        st.session_state[key] = next(iter(presets))
        load_preset(task)
    hold(key)
    labels = {name: title(name, preset.name_en) for name, preset in presets.items()}
    labels |= {name: t("preset.saved", name=name.removeprefix(SAVED)) for name in saved}
    st.selectbox(
        t("preset.pick"),
        list(labels),
        format_func=labels.__getitem__,
        key=key,
        on_change=load_preset,
        args=(task,),
        help=t("preset.help"),
        persist_state="session",
    )


def load_preset(task: str) -> None:
    """Put the chosen preset's (or saved schema's) schema and sample into the inputs of `task`."""
    name = st.session_state[f"{task}-preset"]
    if name.startswith(SAVED):
        put_schema(task, dict(queries.schema_versions(application().database, name.removeprefix(SAVED))[0].body))
        return
    presets = list_presets(task)
    preset = next(preset for preset in presets if preset.name == name)
    if preset.schema is not None:
        put_schema(task, preset.schema)
    samples = {sample.sample.text for sample in presets}
    if st.session_state.get(f"{task}-text", "").strip() in samples | {""}:
        put_document(task, preset.sample)


def put_document(task: str, document: Document) -> None:
    """Put a document into the input fields of `task`; only before they are drawn, or in a callback."""
    st.session_state[f"{task}-text"] = document.text
    st.session_state[f"{task}-text-pair"] = document.text_pair or ""
    st.session_state[f"{task}-aspects"] = "、".join(document.aspects)
    put_marks(task, document)


def _same(saved: SchemaInfo, preset: Preset | None) -> bool:
    # A preset that was run as it is has been stored under its own name; it need not be offered twice.
    if preset is None:
        return False
    return preset.schema is None or parse_schema(dict(saved.body)) == parse_schema(preset.schema)

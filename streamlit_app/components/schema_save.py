"""Saving a schema: from a preset, a file or pasted text, with what was mended and what may disappoint."""

from __future__ import annotations

import json

import streamlit as st

from core import services
from core.errors import RexError, SchemaError
from core.schemas.lint import lint_schema
from core.schemas.pasted import read_pasted
from core.schemas.presets import list_presets
from core.schemas.schema import Schema
from core.schemas.sharing import read_shared
from core.tasks import TASKS
from streamlit_app.components.messages import plain, show_error, shown_errors
from streamlit_app.i18n import hold, t, title
from streamlit_app.resources import application

TASKS_WITH_SCHEMA = [name for name, task in TASKS.items() if task.schema_kind != "none" and name != "rex"]
SAVED = "schemas-saved"


def task_title(name: str) -> str:
    """The task's name in the language of the session; one that is no longer known, as it is."""
    return title(TASKS[name].title_zh, TASKS[name].title_en) if name in TASKS else name


def save_form() -> None:
    """Draw the form; a saved schema is the one that the page opens next."""
    titles = {name: task_title(name) for name in TASKS_WITH_SCHEMA}
    hold("schemas-task", "schemas-preset")
    left, right = st.columns(2, gap="medium")
    with left:
        file = st.file_uploader(t("schemas.file"), ["json", "txt"], key="schemas-file", max_upload_size=5)
        if file is not None and st.session_state.get("schemas-file-read") != file.file_id:
            st.session_state["schemas-file-read"] = file.file_id
            with shown_errors():
                _fill_from_file(file.name, file.getvalue())
        st.selectbox(
            t("schemas.task"), list(titles), format_func=titles.__getitem__, key="schemas-task", persist_state="session"
        )
        presets = {preset.name: preset for preset in list_presets(st.session_state["schemas-task"]) if preset.schema}
        names = {name: title(name, preset.name_en) for name, preset in presets.items()}
        st.selectbox(
            t("schema_library.preset"),
            list(names),
            index=None,
            format_func=names.__getitem__,
            placeholder=t("choose"),
            key="schemas-preset",
            on_change=_fill_from_preset,
            persist_state="session",
        )
        name = st.text_input(
            t("schemas.name"), key="schemas-name", placeholder=t("schemas.name.example"), persist_state="session"
        ).strip()
        note = st.text_input(
            t("schema_library.note"), key="schemas-note", max_chars=500, persist_state="session"
        ).strip()
    with right:
        body = st.text_area(
            t("schema.json"), key="schemas-body", height=310, placeholder='{"人物": null}', persist_state="session"
        )
        schema = _checked(body) if body.strip() else None
    if st.button(
        t("schemas.save"), key="schemas-save", type="primary", disabled=not name or schema is None,
        icon=":material/save:",
    ):  # fmt: skip
        _save(name, schema, note)


def _checked(body: str) -> Schema | None:
    """The schema in the text, after saying what was mended and what may disappoint; None while it has faults."""
    try:
        pasted = read_pasted(body)
    except SchemaError as error:
        show_error(error)
        return None
    if pasted.notes:
        st.info("\n".join(f"- {plain(note)}" for note in pasted.notes), icon=":material/build:")
    if pasted.text:
        st.caption(t("schema_library.old_text", text=plain(pasted.text[:80])))
    if pasted.notes:
        st.code(json.dumps(pasted.schema.to_dict(), ensure_ascii=False, indent=2), language="json", height=120)
    for hint in lint_schema(pasted.schema, st.session_state["schemas-task"]):
        st.caption(f":material/lightbulb: {plain(hint)}")
    return pasted.schema


def _save(name: str, schema: Schema | None, note: str) -> None:
    try:
        services.save_schema(application(), name, task=st.session_state["schemas-task"], schema=schema, note=note)
    except RexError as error:
        show_error(error)
        return
    st.session_state["schemas-open"] = name
    st.session_state[SAVED] = t("schemas.saved")
    st.rerun()


def _fill_from_file(name: str, data: bytes) -> None:
    text = data.decode("utf-8-sig", errors="replace")
    shared = read_shared(text)
    plainly = not shared.name
    # What was written by hand stays as it is, so that what is mended can be seen.
    body = text if plainly else json.dumps(shared.schema.to_dict(), ensure_ascii=False, indent=2)
    st.session_state["schemas-body"] = body
    st.session_state["schemas-name"] = name.rsplit(".", 1)[0] if plainly else shared.name
    st.session_state["schemas-note"] = shared.note
    if shared.task in TASKS_WITH_SCHEMA:
        st.session_state["schemas-task"] = shared.task


def _fill_from_preset() -> None:
    name = st.session_state["schemas-preset"]
    preset = next((one for one in list_presets(st.session_state["schemas-task"]) if one.name == name), None)
    if preset is not None:
        st.session_state["schemas-body"] = json.dumps(preset.schema, ensure_ascii=False, indent=2)
        st.session_state["schemas-name"] = preset.name

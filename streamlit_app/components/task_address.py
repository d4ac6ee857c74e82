"""Task pages by address: `?document=7` brings a stored text, `?schema=name@2` what to look for, `?job=3` results.

All three may stand together. `?task=nli` chooses on a page of two tasks.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from core import job_services
from core.errors import RexError, StorageError
from core.schemas.presets import list_presets
from core.storage import queries, schema_store
from streamlit_app.components import address
from streamlit_app.components.messages import show_error
from streamlit_app.components.preset_picker import SAVED, put_document
from streamlit_app.components.schema_editor import put_schema
from streamlit_app.resources import application


def take_address(task: str) -> None:
    """Put what a new address names into the fields of `task`; before any of them is drawn."""
    given = address.arrived(task)
    # What a job read and asked comes first: a document or schema that is named beside it counts more.
    for name, take in (("job", _take_job), ("schema", _take_schema), ("document", _take_document)):
        if name in given:
            try:
                take(task, given[name])
            except RexError as error:
                show_error(error)


def keep_address(task: str) -> None:
    """Make the address name the document, the schema and the job of `task` as long as they are what the page shows."""
    state = st.session_state
    document, text = state.get(f"{task}-linked-document", (None, None))
    schema, body = state.get(f"{task}-linked-schema", (None, None))
    several = task if task in ("multilabel", "nli") else None
    address.keep(
        task,
        task=several,
        document=document if state.get(f"{task}-text") == text else None,
        schema=schema if state.get(f"{task}-schema") == body else None,
        job=state.get(f"{task}-job"),
    )


def _take_document(task: str, given: str) -> None:
    number = address.number(given) or 0
    document = queries.get_document(application().database, number)
    put_document(task, document)
    st.session_state[f"{task}-source"] = "text"
    st.session_state[f"{task}-linked-document"] = (number, document.text)


def _take_schema(task: str, given: str) -> None:
    preset = next((one for one in list_presets(task) if given in (one.name, one.name_en)), None)
    if preset is not None and preset.schema is not None:
        st.session_state[f"{task}-preset"] = preset.name
        _put(task, given, preset.schema)
        if not st.session_state.get(f"{task}-text"):
            put_document(task, preset.sample)
        return
    name, _, version = given.rpartition("@")
    wanted = address.number(version) if name else None
    found = schema_store.versions(application().database, name if wanted else given)
    chosen = next((one for one in found if wanted in (None, one.number)), None)
    if chosen is None:
        raise StorageError(f"模式“{name}”没有第 {wanted} 版，最新的是第 {found[0].number} 版。请改正地址里的 schema=。")
    if chosen.task == task:
        st.session_state[f"{task}-preset"] = SAVED + chosen.name
    _put(task, given, chosen.schema.to_dict())


def _put(task: str, given: str, body: Any) -> None:
    # The picker would fill the fields with its first preset were none chosen yet.
    st.session_state.setdefault(f"{task}-preset", list_presets(task)[0].name)
    put_schema(task, body)
    st.session_state[f"{task}-linked-schema"] = (given, st.session_state.get(f"{task}-schema"))


def _take_job(task: str, given: str) -> None:
    app = application()
    job = job_services.get_job(app, address.number(given) or 0)
    if job is None or job.task != task:
        raise StorageError(f"地址里的作业 {given} 不存在，或者不是这一页的任务。请从“作业”页打开它。")
    st.session_state[f"{task}-job"] = job.id
    st.session_state.setdefault(f"{task}-preset", list_presets(task)[0].name)
    if job.schema:
        put_schema(task, dict(job.schema))
    if job.total == 1 and job.done == 1:
        put_document(task, queries.load_results(app.database, job.id)[0].document)
        st.session_state[f"{task}-source"] = "text"

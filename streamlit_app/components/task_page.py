"""The page of a task: what to read and what to look for on the left, what was found on the right."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core import job_services
from core.errors import RexError
from core.schemas.schema import Schema
from core.storage.queries import RunInfo
from core.tasks import TASKS
from streamlit_app.components.candidates import HIGHEST, LOWEST
from streamlit_app.components.document_input import Given, Inputs, text_input
from streamlit_app.components.job_progress import PATIENCE_S, job_progress, working
from streamlit_app.components.many_input import Stored
from streamlit_app.components.messages import plain, show_error
from streamlit_app.components.preset_picker import SAVED, preset_picker
from streamlit_app.components.schema_editor import schema_editor
from streamlit_app.components.stored_results import stored_results
from streamlit_app.components.task_address import keep_address, take_address
from streamlit_app.i18n import t
from streamlit_app.resources import application

Ask = Callable[[str], Schema | None]


def task_page(task: str, *, inputs: Inputs = text_input, ask: Ask | None = None) -> None:
    """Draw the page of `task`. `inputs` gives the documents, `ask` the schema (by default the schema editor)."""
    take_address(task)
    left, right = st.columns([2, 3], gap="medium")
    with left:
        preset_picker(task)
        documents = inputs(task)
        schema, ready = _schema(task, ask)
        slider, button = st.columns([4, 5], vertical_alignment="bottom", gap="small")
        threshold = slider.slider(
            t("task.threshold"),
            LOWEST,
            HIGHEST,
            value=application().settings.threshold,
            step=0.01,
            key=f"{task}-threshold",
            help=t("task.threshold.help"),
            persist_state="session",
        )
        pressed = button.button(
            t("task.run"),
            key=f"{task}-run",
            type="primary",
            icon=":material/play_arrow:",
            width="stretch",
            disabled=not documents or not ready,
            shortcut="Ctrl+Enter",
        )
        if not documents:
            st.caption(t("task.no_document"))
    with right:
        if pressed and documents:
            _start(task, documents, schema=schema, threshold=threshold)
        keep_address(task)
        _outcome(task, threshold)


def _schema(task: str, ask: Ask | None) -> tuple[Schema | None, bool]:
    if ask is not None:
        schema = ask(task)
        return schema, schema is not None
    kind = TASKS[task].schema_kind
    if kind == "none":
        return None, True
    schema = schema_editor(task, nested=kind == "tree")
    return schema, schema is not None


def _start(task: str, documents: Given, *, schema: Schema | None, threshold: float) -> None:
    st.session_state.pop(f"{task}-job", None)
    app = application()
    name = st.session_state[f"{task}-preset"].removeprefix(SAVED)
    try:
        with working(app):
            if isinstance(documents, Stored):
                job = job_services.start_stored(
                    app, documents.document_ids, task=task, schema=schema, schema_name=name, threshold=threshold
                )
            else:
                job = job_services.start_job(
                    app, documents or [], task=task, schema=schema, schema_name=name, threshold=threshold
                )
            job_services.wait_for_jobs(app, [job], PATIENCE_S)
    except RexError as error:
        show_error(error)
        return
    st.session_state[f"{task}-job"] = job


def _outcome(task: str, threshold: float) -> None:
    app = application()
    identifier = st.session_state.get(f"{task}-job")
    job = job_services.get_job(app, identifier) if identifier is not None else None
    if job is None:
        st.info(t(f"empty.{task}"), icon=":material/lightbulb:")
        st.caption(t("empty.how"))
    elif job.active:
        job_progress(app, [job.id], key=task)
    else:
        _finished(task, job, threshold)


def _finished(task: str, job: RunInfo, threshold: float) -> None:
    if job.state == "failed":
        st.error(plain(str(job.error)), icon=":material/error:")
    elif job.state in ("cancelled", "paused"):
        st.warning(t(f"job.{job.state}", done=job.done, total=job.total), icon=":material/stop_circle:")
    if job.state != "done" or job.failed:
        st.page_link("../pages/jobs.py", label=t("job.open"), icon=":material/work:", query_params={"job": str(job.id)})
    stored_results(application(), job, key=f"{task}-{job.id}", threshold=threshold, task=task)

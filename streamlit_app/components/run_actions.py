"""What can be done with a finished run: as code, to review, to every format, and its schema kept under a name."""

from __future__ import annotations

import streamlit as st

from core import services
from core.as_code import Asked, as_commands, as_python
from core.bootstrap import Application
from core.errors import RexError
from core.storage.queries import RunInfo
from core.tasks import TASKS
from core.types import Document
from streamlit_app.components.messages import plain, show_error
from streamlit_app.i18n import t
from streamlit_app.resources import application

PAGES = {"review": "fact_check", "exports": "ios_share", "jobs": "work"}


def run_actions(app: Application, job: RunInfo, documents: list[Document], *, threshold: float, key: str) -> None:
    """Draw a row of links and buttons for `job`; code asks again with `threshold`, that of what is shown."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        for page, icon in PAGES.items():
            parameter = "job" if page == "jobs" else "run"
            st.page_link(
                f"../pages/{page}.py",
                label=t(f"actions.{page}"),
                icon=f":material/{icon}:",
                query_params={parameter: str(job.id)},
            )
        with st.popover(t("actions.code"), icon=":material/code:", key=f"{key}-code"):
            _code(app, job, documents, threshold=threshold)
        if job.schema and TASKS[job.task].schema_kind != "none":
            with st.popover(t("actions.save"), icon=":material/save:", key=f"{key}-save"):
                _save(job, key=key)


def _code(app: Application, job: RunInfo, documents: list[Document], *, threshold: float) -> None:
    model = "" if job.source == app.settings.model_source else job.source
    asked = Asked(job.id, job.task, dict(job.schema), threshold, model)
    st.caption(t("actions.code.about"))
    command, script = st.tabs([t("actions.code.command"), "Python"])
    command.code(as_commands(asked, documents), language="bash", wrap_lines=True)
    script.code(as_python(asked, documents), language="python", wrap_lines=True)


def _save(job: RunInfo, *, key: str) -> None:
    name = st.text_input(t("schemas.name"), key=f"{key}-save-name", placeholder=t("schemas.name.example")).strip()
    note = st.text_input(t("schema_library.note"), key=f"{key}-save-note", max_chars=500).strip()
    if st.button(t("schemas.save"), key=f"{key}-save-do", type="primary", disabled=not name):
        try:
            services.save_schema(application(), name, task=job.task, schema=dict(job.schema), note=note)
        except RexError as error:
            show_error(error)
        else:
            st.success(t("actions.saved", name=plain(name)), icon=":material/check:")
    st.caption(t("actions.save.about"))

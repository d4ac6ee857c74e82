"""One text read by every task, laid out as a report."""

from __future__ import annotations

import streamlit as st

from core import services
from core.errors import RexError
from core.tasks import TASKS
from core.types import AnnotatedDocument
from streamlit_app.components.document_input import overview_input
from streamlit_app.components.downloads import downloads
from streamlit_app.components.drawing import draw_finding
from streamlit_app.components.heading import heading
from streamlit_app.components.job_progress import job_progress
from streamlit_app.components.messages import plain, show_error
from streamlit_app.components.overview_schemas import overview_schemas, sample
from streamlit_app.components.preset_picker import put_document
from streamlit_app.components.task_page import PATIENCE_S
from streamlit_app.i18n import t, title
from streamlit_app.resources import application

JOB = "overview-job"


def section(result: AnnotatedDocument) -> None:
    """One task's part of the report."""
    task = TASKS[result.task]
    with st.container(border=True):
        st.subheader(title(task.title_zh, task.title_en), anchor=False)
        if result.annotations:
            draw_finding(result, key=f"overview-{result.task}")
        else:
            st.caption(t("overview.nothing"))


heading("overview")
app = application()
if "overview-text" not in st.session_state:
    put_document("overview", sample())

document = overview_input("overview")
pressed = st.button(
    t("overview.run"),
    key="overview-run",
    type="primary",
    icon=":material/summarize:",
    disabled=document is None,
    shortcut="Ctrl+Enter",
)
if pressed and document is not None:
    st.session_state.pop(JOB, None)
    try:
        started = services.start_overview(app, document, schemas=overview_schemas(document))
    except RexError as error:
        show_error(error)
        st.stop()
    st.session_state[JOB] = started.id
    with st.spinner(t("task.working")):
        started.wait(PATIENCE_S)

job = services.get_job(app, st.session_state[JOB]) if JOB in st.session_state else None
if job is None:
    st.info(t("overview.empty"), icon=":material/lightbulb:")
    st.stop()
if job.state == "running":
    job_progress(job, key="overview")
    st.stop()
if job.error:
    st.error(plain(job.error), icon=":material/error:")
found = job.results
if found:
    downloads(found, name="overview", key="overview")
for note in dict.fromkeys(note for result in found for note in result.notes):
    st.info(plain(note), icon=":material/info:")
# Two columns read like a page; findings fill the shorter one in turn.
columns = st.columns(2, gap="medium")
for number, result in enumerate(found):
    with columns[number % 2]:
        section(result)

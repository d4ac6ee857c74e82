"""One text read by every task, laid out as a report."""

from __future__ import annotations

import streamlit as st

from core import job_services
from core.errors import RexError
from core.tasks import TASKS
from core.types import AnnotatedDocument
from streamlit_app.components.annotated_text import annotated_text
from streamlit_app.components.document_input import overview_input
from streamlit_app.components.downloads import downloads
from streamlit_app.components.drawing import draw_finding
from streamlit_app.components.heading import heading
from streamlit_app.components.job_progress import PATIENCE_S, find_jobs, job_progress, working
from streamlit_app.components.messages import plain, show_error
from streamlit_app.components.overview_schemas import overview_schemas, sample
from streamlit_app.components.preset_picker import put_document
from streamlit_app.components.stored_results import find_results
from streamlit_app.i18n import t, title
from streamlit_app.resources import application

JOB = "overview-job"


def section(result: AnnotatedDocument) -> None:
    """One task's part of the report."""
    task = TASKS[result.task]
    with st.container(border=True):
        st.subheader(title(task.title_zh, task.title_en), anchor=False)
        if not result.annotations:
            st.caption(t("overview.nothing"))
        elif result.task == "ner":
            annotated_text(result.document.text, result.annotations)
        else:
            draw_finding(result, schema=None, key=f"overview-{result.task}")


heading("overview")
app = application()
if "overview-text" not in st.session_state:
    put_document("overview", sample())

document = overview_input("overview")
buttons, files = st.columns(2, vertical_alignment="center")
pressed = buttons.button(
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
        with working(app):
            started = job_services.start_overview(app, document, schemas=overview_schemas(document))
            job_services.wait_for_jobs(app, started, PATIENCE_S)
    except RexError as error:
        show_error(error)
        st.stop()
    st.session_state[JOB] = started

jobs = find_jobs(app, st.session_state.get(JOB, ()))
if not jobs:
    st.info(t("overview.empty"), icon=":material/lightbulb:")
    st.stop()
if any(job.active for job in jobs):
    job_progress(app, [job.id for job in jobs], key="overview")
    st.stop()
for reason in dict.fromkeys(job.error for job in jobs if job.error):
    st.error(plain(reason), icon=":material/error:")
found = [result for job in jobs for result in find_results(app, job)]
with files:
    downloads(found, name="overview", key="overview")
for note in dict.fromkeys(note for result in found for note in result.notes):
    st.info(plain(note), icon=":material/info:")
# Two columns read like a page; findings fill the shorter one in turn.
columns = st.columns(2, gap="medium")
for number, result in enumerate(found):
    with columns[number % 2]:
        section(result)

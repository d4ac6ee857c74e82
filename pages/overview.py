"""One text read by every task, laid out as a report."""

from __future__ import annotations

import streamlit as st

from core import job_services
from core.errors import RexError
from core.schemas.schema import Schema
from core.types import AnnotatedDocument
from streamlit_app.components.downloads import downloads
from streamlit_app.components.heading import heading
from streamlit_app.components.job_progress import PATIENCE_S, find_jobs, job_progress, working
from streamlit_app.components.messages import plain, show_error
from streamlit_app.components.overview_input import overview_input
from streamlit_app.components.overview_report import overview_report, report_download
from streamlit_app.components.overview_schemas import overview_schemas, sample
from streamlit_app.components.preset_picker import put_document
from streamlit_app.components.stored_results import asked, find_results
from streamlit_app.i18n import t
from streamlit_app.resources import application

JOB = "overview-job"

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
stopped = [job for job in jobs if job.state == "cancelled"]
if stopped:
    st.warning(t("overview.stopped", done=len(jobs) - len(stopped), total=len(jobs)), icon=":material/stop_circle:")
found: list[AnnotatedDocument] = [result for job in jobs for result in find_results(app, job)]
schemas: dict[str, Schema] = {job.task: schema for job in jobs if (schema := asked(job)) is not None}
with files.container(horizontal=True, horizontal_alignment="right", gap="small"):
    report_download(found, schemas=schemas, job=jobs[0])
    downloads(found, name="overview", key="overview")
for note in dict.fromkeys(note for result in found for note in result.notes):
    st.info(plain(note), icon=":material/info:")
if found:
    overview_report(found, schemas=schemas)

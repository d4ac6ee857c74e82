"""Jobs: what waits, runs and has ended, with its progress; and one job with its provenance, failures and results."""

from __future__ import annotations

import streamlit as st

from core import job_services
from streamlit_app.components import address
from streamlit_app.components.batch_jobs import batch_jobs
from streamlit_app.components.heading import heading
from streamlit_app.components.job_details import job_details
from streamlit_app.components.job_list import OPEN, job_list
from streamlit_app.i18n import t
from streamlit_app.resources import application

heading("jobs")
app = application()
if asked := address.arrived("jobs").get("job"):
    st.session_state[OPEN] = asked
opened = st.session_state.get(OPEN)
address.keep("jobs", job=opened)
if opened:
    job = job_services.get_job(app, address.number(opened) or 0)
    if job is not None:
        job_details(app, job)
        st.stop()
    st.warning(t("jobs.unknown"), icon=":material/search_off:")
    st.session_state[OPEN] = None
job_list(app)
batch_jobs(app)

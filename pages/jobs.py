"""Jobs: what waits, runs and has ended, with its progress; and one job with its provenance, failures and results."""

from __future__ import annotations

import streamlit as st

from core import job_services
from streamlit_app.components.heading import heading
from streamlit_app.components.job_details import job_details
from streamlit_app.components.job_list import job_list
from streamlit_app.i18n import t
from streamlit_app.resources import application

heading("jobs")
app = application()
wanted = st.query_params.get("job", "")
if wanted:
    job = job_services.get_job(app, int(wanted)) if wanted.isascii() and wanted.isdigit() else None
    if job is not None:
        job_details(app, job)
        st.stop()
    st.warning(t("jobs.unknown"), icon=":material/search_off:")
job_list(app)

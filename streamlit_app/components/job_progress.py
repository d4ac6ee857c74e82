"""A running job: how far it is, how fast, and a way to stop it."""

from __future__ import annotations

import streamlit as st

from core.services import Job
from streamlit_app.i18n import t

EVERY_S = 0.5


def job_progress(job: Job, *, key: str) -> None:
    """Follow `job` until it ends, then run the page again; the worker's thread never draws."""

    @st.fragment(run_every=EVERY_S)
    def follow() -> None:
        if job.state != "running":
            st.rerun()
        share = job.done / job.total if job.total else 0.0
        eta = "" if job.eta_s is None else t("job.eta", seconds=round(job.eta_s))
        st.progress(
            min(share, 1.0), text=t("job.progress", done=job.done, total=job.total, rate=job.rate or 0, eta=eta)
        )
        st.button(t("job.cancel"), key=f"{key}-cancel", icon=":material/stop_circle:", on_click=job.cancel)

    follow()

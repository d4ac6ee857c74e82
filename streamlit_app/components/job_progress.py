"""A running job: how far it is, how fast, and a way to stop it."""

from __future__ import annotations

from contextlib import AbstractContextManager

import streamlit as st

from core import services
from core.bootstrap import Application
from core.jobs.runner import Job
from streamlit_app.i18n import t

EVERY_S = 0.5
# A single text is usually read before a progress bar would be worth drawing.
PATIENCE_S = 1.5


def working(app: Application) -> AbstractContextManager[None]:
    """A spinner to wait under; it says so when the model has to be loaded first."""
    loaded = services.model_status(app).loaded
    return st.spinner(t("task.working" if loaded else "task.loading"))


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

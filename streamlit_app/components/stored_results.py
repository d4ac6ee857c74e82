"""The stored results of a job, read once for all sessions."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from core import services
from core.bootstrap import Application
from core.schemas.schema import Schema, parse_schema
from core.storage.queries import RunInfo
from core.types import AnnotatedDocument
from streamlit_app.components.results import results
from streamlit_app.i18n import t

# What a browser can leaf through; whoever has more uses the pages for many documents.
MOST_DOCUMENTS = 2_000


def stored_results(app: Application, job: RunInfo, *, key: str) -> None:
    """Draw what a job found so far; more documents than a page can hold are only counted."""
    if not job.done:
        st.info(t("job.nothing"), icon=":material/hourglass_empty:")
    elif job.done > MOST_DOCUMENTS:
        st.info(t("job.many", count=job.done, most=MOST_DOCUMENTS), icon=":material/info:")
    else:
        results(find_results(app, job), schema=asked(job), name=f"{job.task}-{job.id}", key=key)


def find_results(app: Application, job: RunInfo) -> list[AnnotatedDocument]:
    """What a job found, in the order of its input. Not to be changed: others see the same list."""
    return _load(app, job.id, job.done, job.total, job.finished_at or job.started_at)


@st.cache_resource(max_entries=8, show_spinner=False)
def _load(_app: Application, job_id: int, done: int, total: int, when: datetime) -> list[AnnotatedDocument]:
    del done, total, when  # only tell one state of a job from another
    return services.load_run(_app, job_id)


def asked(job: RunInfo) -> Schema | None:
    """The schema that a job asked; None for what was imported without one."""
    return parse_schema(dict(job.schema)) if job.schema else None

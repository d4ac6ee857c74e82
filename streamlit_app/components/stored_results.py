"""The stored results of a job, read once for all sessions."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from core import services
from core.bootstrap import Application
from core.schemas.schema import Schema, parse_schema
from core.storage.queries import RunInfo
from core.types import AnnotatedDocument
from streamlit_app.components.results import Shown, results
from streamlit_app.components.run_actions import run_actions
from streamlit_app.i18n import t

# What a browser can leaf through; whoever has more uses the pages for many documents.
MOST_DOCUMENTS = 2_000


def stored_results(
    app: Application, job: RunInfo, *, key: str, threshold: float | None = None, task: str | None = None
) -> None:
    """Draw what a job found so far; more documents than a page can hold are only counted.

    `threshold` is another one than the job's to look at it with; on the page of a `task` what is drawn can change its
    fields.
    """
    shown = Shown(job.threshold, job.threshold if threshold is None else threshold, task)
    if not job.done:
        st.info(t("job.nothing"), icon=":material/hourglass_empty:")
    elif job.done > MOST_DOCUMENTS:
        st.info(t("job.many", count=job.done, most=MOST_DOCUMENTS), icon=":material/info:")
        if task is not None:
            run_actions(app, job, [], threshold=shown.threshold, key=f"{key}-actions")
    else:
        stored = find_results(app, job)
        if task is not None:
            _another_threshold(job, shown)
        results(stored, schema=asked(job), name=f"{job.task}-{job.id}", key=key, shown=shown)
        if task is not None:
            documents = [one.document for one in stored]
            run_actions(app, job, documents, threshold=shown.threshold, key=f"{key}-actions")


def _another_threshold(job: RunInfo, shown: Shown) -> None:
    """Say so when what is shown is not what was stored."""
    low, asked = shown.threshold, shown.asked
    if abs(low - asked) < 1e-9:
        return
    kind = "raised" if low > asked else ("lowered" if job.floor is not None else "unknown")
    st.caption(
        f":material/filter_alt: {t(f'threshold.{kind}', threshold=f'{low:.2f}', asked=f'{asked:.2f}', run=job.id)}"
    )


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

"""One job: progress, what answered it, the documents that failed, and what was found."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core import job_services
from core.bootstrap import Application
from core.storage import job_memory, job_queries
from core.storage.job_memory import JobMemory
from core.storage.job_queries import Ground
from core.storage.queries import RunInfo
from streamlit_app.components.annotation_table import table
from streamlit_app.components.job_controls import (
    job_bar,
    job_buttons,
    job_title,
    schema_title,
    show_note,
    state_badge,
)
from streamlit_app.components.job_list import OPEN
from streamlit_app.components.job_memory import memory_text
from streamlit_app.components.job_progress import duration
from streamlit_app.components.messages import plain
from streamlit_app.components.stored_results import stored_results
from streamlit_app.i18n import t
from streamlit_app.navigation import PAGES

EVERY_S = 1.0
FAILURES = 25
LINKS = {"review": "fact_check", "explore": "query_stats", "exports": "ios_share"}


def job_details(app: Application, job: RunInfo) -> None:
    """Draw one job; while it waits or runs its progress keeps itself up to date."""
    st.button(t("jobs.back"), key="jobs-back", icon=":material/arrow_back:", on_click=_close)
    _head(app, job)
    with st.expander(t("jobs.schema"), icon=":material/schema:"):
        st.code(json.dumps(dict(job.schema), ensure_ascii=False, indent=1), language="json")
    if job.failed:
        _failures(app, job)
    if not job.active:
        st.subheader(t("jobs.results"), anchor=False)
        stored_results(app, job, key=f"job-{job.id}-results")


def _head(app: Application, shown: RunInfo) -> None:
    @st.fragment(run_every=EVERY_S if shown.active else None)
    def follow() -> None:
        job = job_services.get_job(app, shown.id)
        if job is None or job.active != shown.active:
            st.rerun()
        with st.container(border=True):
            name, buttons = st.columns([3, 4], vertical_alignment="center")
            name.markdown(f"#### {plain(job_title(job))} {state_badge(job)}")
            place = buttons.container(horizontal=True, horizontal_alignment="right", gap="small")
            job_buttons(app, job, place=place, key=f"job-{job.id}")
            job_bar(app, job)
            show_note(app, job)
            _facts(
                job, job_queries.grounds(app.database, job.id), job_memory.of_job(app.database, job.id) or JobMemory()
            )

    follow()
    links = [name for name in LINKS if any(name in names for names in PAGES.values())]
    place = st.container(horizontal=True, gap="medium", vertical_alignment="center")
    for name in links:
        place.page_link(
            f"../pages/{name}.py",
            label=t(f"page.{name}"),
            icon=f":material/{LINKS[name]}:",
            query_params={"run": str(shown.id)},
            disabled=not shown.done,
        )
    with place.popover(t("jobs.delete"), icon=":material/delete:", type="tertiary"):
        st.write(t("jobs.delete.sure"))
        st.button(t("jobs.delete.yes"), key=f"job-{shown.id}-delete", on_click=_delete, args=(app, shown.id))


def _facts(job: RunInfo, grounds: Sequence[Ground], memory: JobMemory) -> None:
    """Figures, and everything that made the results what they are."""
    several = len(grounds) > 1
    read_on = "、".join(
        t("jobs.ground", device=one.device or "—", dtype=one.dtype or "—", count=one.documents) for one in grounds
    )
    facts = {
        "schema": plain(schema_title(job)),
        "model": plain(job.model or "—"),
        "revision": plain(job.revision or "—"),
        "source": plain(job.source) or t("jobs.imported"),
        "device": plain(read_on if several else f"{job.device or '—'} · {job.dtype or '—'}"),
        "threshold": f"{job.threshold:.2f}",
        "findings": f"{job.annotations:,}",
        "windows": f"{job.windows:,}",
        "rate": "—" if job.per_s is None else t("jobs.per_s", rate=job.per_s),
        "worked": duration(job.worked_s),
        "memory": memory_text(memory),
        "started": _when(job),
    }
    if job.owner:
        facts["owner"] = plain("/".join(job.owner.split("/")[:2]))
    columns = st.columns(4)
    for number, (name, value) in enumerate(facts.items()):
        columns[number % 4].markdown(f":gray[:small[{t(f'jobs.fact.{name}')}]]  \n{value or '—'}")


def _when(job: RunInfo) -> str:
    """When a job began and ended; the day of its end only where it is another."""
    began = job.started_at.astimezone()
    if job.finished_at is None:
        return f"{began:%Y-%m-%d %H:%M:%S}"
    ended = job.finished_at.astimezone()
    until = f"{ended:%H:%M:%S}" if ended.date() == began.date() else f"{ended:%Y-%m-%d %H:%M:%S}"
    return f"{began:%Y-%m-%d %H:%M:%S} – {until}"


def _failures(app: Application, job: RunInfo) -> None:
    st.subheader(t("jobs.failed", count=job.failed), anchor=False)
    pages = -(-job.failed // FAILURES)
    number = st.pagination(pages, key=f"job-{job.id}-failures-page", persist_state="session") if pages > 1 else 1
    failed = job_queries.failed_documents(app.database, job.id, limit=FAILURES, offset=(number - 1) * FAILURES)
    frame = pd.DataFrame(
        {
            "number": one.document_id,
            "document": one.external_id or one.name,
            "text": one.preview,
            "error": one.error,
        }
        for one in failed
    )
    table(frame, key=f"job-{job.id}-failures")


def _delete(app: Application, job_id: int) -> None:
    job_services.delete_job(app, job_id)
    _close()
    st.toast(plain(t("jobs.deleted", id=job_id)), icon=":material/delete:")


def _close() -> None:
    st.session_state[OPEN] = None

"""One job: progress, what answered it, the documents that failed, and what was found."""

from __future__ import annotations

import json

import pandas as pd
import streamlit as st

from core import job_services
from core.bootstrap import Application
from core.storage import job_queries
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
from streamlit_app.components.job_progress import duration
from streamlit_app.components.messages import plain
from streamlit_app.components.stored_results import stored_results
from streamlit_app.i18n import t
from streamlit_app.navigation import PAGES

EVERY_S = 1.0
FAILURES = 25
LINKS = {"review": "rate_review", "explore": "travel_explore", "exports": "ios_share"}


def job_details(app: Application, job: RunInfo) -> None:
    """Draw one job; while it waits or runs its progress keeps itself up to date."""
    st.button(t("jobs.back"), key="jobs-back", icon=":material/arrow_back:", on_click=st.query_params.clear)
    _head(app, job)
    _provenance(app, job)
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
            name.markdown(f"#### {job_title(job).replace('**', '')} {state_badge(job)}")
            place = buttons.container(horizontal=True, horizontal_alignment="right", gap="small")
            job_buttons(app, job, place=place, key=f"job-{job.id}", labels=True)
            job_bar(job)
            show_note(app, job)
            _figures(job)

    follow()
    links = [name for name in LINKS if any(name in names for names in PAGES.values())]
    place = st.container(horizontal=True, gap="medium", vertical_alignment="center")
    for name in links:
        place.page_link(
            f"../pages/{name}.py",
            label=t(f"jobs.to.{name}"),
            icon=f":material/{LINKS[name]}:",
            query_params={"run": str(shown.id)},
            disabled=not shown.done,
        )
    with place.popover(t("jobs.delete"), icon=":material/delete:", type="tertiary"):
        st.write(t("jobs.delete.sure"))
        st.button(t("jobs.delete.yes"), key=f"job-{shown.id}-delete", on_click=_delete, args=(app, shown.id))


def _figures(job: RunInfo) -> None:
    figures = {
        "documents": f"{job.done:,} / {job.total:,}",
        "failed": f"{job.failed:,}",
        "findings": f"{job.annotations:,}",
        "windows": f"{job.windows:,}",
        "rate": "—" if job.per_s is None else t("jobs.per_s", rate=job.per_s),
        "worked": duration(job.worked_s),
    }
    for column, (name, value) in zip(st.columns(len(figures)), figures.items(), strict=True):
        column.metric(t(f"jobs.figure.{name}"), value)


def _provenance(app: Application, job: RunInfo) -> None:
    """Everything that made the results what they are."""
    grounds = job_queries.grounds(app.database, job.id)
    read_on = "、".join(
        t("jobs.ground", device=one.device or "—", dtype=one.dtype or "—", count=one.documents)
        for one in grounds[: None if len(grounds) > 1 else 0]
    )
    facts = {
        "model": job.model or "—",
        "revision": job.revision or "—",
        "source": job.source or t("jobs.imported"),
        "device": read_on or f"{job.device or '—'} · {job.dtype or '—'}",
        "threshold": f"{job.threshold:.2f}",
        "schema": schema_title(job).replace("\\", "") or "—",
        "started": f"{job.started_at.astimezone():%Y-%m-%d %H:%M:%S}",
        "finished": f"{job.finished_at.astimezone():%Y-%m-%d %H:%M:%S}" if job.finished_at else "—",
    }
    if job.owner:
        facts["owner"] = job.owner.rpartition("/")[0]
    st.subheader(t("jobs.provenance"), anchor=False)
    left, right = st.columns([3, 2], gap="medium")
    frame = pd.DataFrame({"fact": [t(f"jobs.fact.{name}") for name in facts], "value": list(facts.values())})
    left.dataframe(
        frame.rename(columns={"fact": t("jobs.fact"), "value": t("jobs.value")}),
        hide_index=True,
        height="content",
        key=f"job-{job.id}-facts",
    )
    with right.expander(t("jobs.schema"), icon=":material/schema:", expanded=False):
        st.code(json.dumps(dict(job.schema), ensure_ascii=False, indent=1), language="json", height=260)


def _failures(app: Application, job: RunInfo) -> None:
    st.subheader(t("jobs.failed", count=job.failed), anchor=False)
    pages = -(-job.failed // FAILURES)
    number = st.pagination(pages, key=f"job-{job.id}-failures-page") if pages > 1 else 1
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
    st.query_params.clear()
    st.toast(plain(t("jobs.deleted", id=job_id)), icon=":material/delete:")

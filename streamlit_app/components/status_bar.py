"""The bar at the foot of every page: model, device, memory, queue, and the running job with the way to it."""

from __future__ import annotations

from html import escape

import streamlit as st

from core import services
from core.bootstrap import Application
from core.gpu.records import Sample
from core.storage import queries
from core.storage.queries import RunInfo
from core.tasks import TASKS
from streamlit_app.components.gpu_gauge import main_card, size
from streamlit_app.components.job_progress import long_reading, progress_share
from streamlit_app.components.page_guard import bring_back
from streamlit_app.components.shortcuts import ask_help
from streamlit_app.i18n import t, title

EVERY = "3s"


def status_bar(app: Application) -> None:
    """Draw the bar; it keeps itself up to date."""
    with st.bottom:
        _bar(app)


@st.fragment(run_every=EVERY)
def _bar(app: Application) -> None:
    bring_back()
    running = queries.list_runs(app.database, states=("running",), limit=1)
    active = queries.count_runs(app.database, states=("queued", "running"))
    with st.container(key="desk-status", horizontal=True, vertical_alignment="center"):
        st.html(_facts(app, running, active))
        if running:
            job = running[0]
            st.page_link(
                "../pages/jobs.py",
                label=t("bar.open", id=job.id),
                icon=":material/work:",
                query_params={"job": str(job.id)},
            )
        if st.button(t("bar.keys"), key="desk-help-button", type="tertiary", icon=":material/keyboard:"):
            ask_help()
            st.rerun()  # the whole page, to which a dialog belongs


def _facts(app: Application, running: list[RunInfo], active: int) -> str:
    """Everything that the bar says, as one line of HTML; names of users are escaped."""
    status = services.model_status(app)
    state = t("status.loaded" if status.loaded else "status.waiting")
    lamp = f'<i class="{"on" if status.loaded else ""}"></i>'
    device = " · ".join((status.device or app.settings.device, status.dtype or app.settings.dtype))
    parts = [
        f"<span>{lamp}<b>{escape(t('bar.model'))}</b>{escape(status.name)} · {escape(state)}</span>",
        f"<span><b>{escape(t('bar.device'))}</b>{escape(device)}</span>",
        f"<span><b>{escape(t('bar.memory'))}</b>{escape(memory(app.monitor.snapshot()))}</span>",
        f"<span><b>{escape(t('bar.queue'))}</b>{escape(queue(len(running), active))}</span>",
    ]
    if running:
        parts.append(_running(app, running[0]))
    return f'<div class="desk-facts" role="status">{"".join(parts)}</div>'


def _running(app: Application, job: RunInfo) -> str:
    task = title(TASKS[job.task].title_zh, TASKS[job.task].title_en) if job.task in TASKS else job.task
    share = progress_share(long_reading(app, job), done=job.done, total=job.total)
    rate = "" if job.per_s is None else " · " + t("jobs.per_s", rate=job.per_s)
    said = f"{share:.0%} · {job.done:,} / {job.total:,}{rate}"
    bar = f'<span class="desk-run"><span style="width:{share:.1%}"></span></span>'
    return f"<span><b>{escape(str(job.id))} · {escape(task)}</b>{bar}{escape(said)}</span>"


def queue(running: int, active: int) -> str:
    """How many jobs run and wait."""
    return t("bar.idle") if not active else t("bar.jobs", running=running, waiting=max(active - running, 0))


def memory(sample: Sample) -> str:
    """Used and whole memory of the card of the model, or of the host where there is none."""
    if sample.cards:
        card = sample.cards[main_card(sample.cards)]
        more = f" · +{len(sample.cards) - 1}" if len(sample.cards) > 1 else ""
        return f"GPU {size(card.used_bytes)} / {size(card.total_bytes)}{more}"
    host = sample.host
    return f"{t('bar.process')} {size(host.rss_bytes)} · {t('bar.free')} {size(host.available_bytes)}"

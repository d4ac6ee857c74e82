"""The words, the colour and the actions of a job, for the list and for its own page."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core import job_services
from core.bootstrap import Application
from core.storage.queries import RunInfo
from core.tasks import TASKS
from streamlit_app.components.job_progress import act, long_reading, progress_bar, progress_text
from streamlit_app.components.messages import plain
from streamlit_app.i18n import t, title

BADGES = {
    "queued": ("gray", "schedule"),
    "running": ("blue", "progress_activity"),
    "paused": ("orange", "pause_circle"),
    "done": ("green", "check_circle"),
    "failed": ("red", "error"),
    "cancelled": ("gray", "block"),
}
ACTIONS = {
    "pause": (job_services.pause_job, "pause_circle"),
    "resume": (job_services.resume_job, "play_circle"),
    "cancel": (job_services.cancel_job, "stop_circle"),
    "retry": (job_services.retry_job, "replay"),
}


def job_title(job: RunInfo) -> str:
    """Number and task."""
    task = title(TASKS[job.task].title_zh, TASKS[job.task].title_en) if job.task in TASKS else job.task
    return f"{job.id} · {task}"


def schema_title(job: RunInfo) -> str:
    """The schema's name and version; without a name, its first types."""
    if job.schema_name:
        return f"{job.schema_name} v{job.schema_version}"
    names = list(job.schema)[:3]
    return "、".join(names) + ("…" if len(job.schema) > len(names) else "")


def state_badge(job: RunInfo) -> str:
    """The state as a coloured badge, in Markdown."""
    colour, icon = BADGES[job.state]
    return f":{colour}-badge[:material/{icon}: {t(f'state.{job.state}')}]"


def job_bar(app: Application, job: RunInfo) -> None:
    """How far a job is, with rate and time left, how many documents failed, and how far a long one is."""
    line = progress_text(job, done=job.done, total=job.total)
    line += f"  **{failures(job)}**" if job.failed else ""
    if job.total:
        progress_bar(job, long_reading(app, job), done=job.done, total=job.total, text=line)
    else:
        st.progress(1.0, text=line)


def failures(job: RunInfo) -> str:
    """How many documents failed, in words; empty when none did."""
    return t("jobs.failures", count=job.failed) if job.failed else ""


def actions(job: RunInfo) -> list[str]:
    """What can be done with a job now; nothing with what was imported."""
    if not job.source:
        return []
    if job.active:
        return ["pause", "cancel"]
    left = job.done < job.total
    possible = ["resume"] if left else []
    if job.state == "paused":
        possible.append("cancel")
    return possible + (["retry"] if job.failed else [])


def job_buttons(app: Application, job: RunInfo, *, place: DeltaGenerator, key: str) -> None:
    """A button for everything that can be done with a job now."""
    for name in actions(job):
        action, icon = ACTIONS[name]
        place.button(
            t(f"jobs.{name}"),
            key=f"{key}-{name}",
            icon=f":material/{icon}:",
            on_click=act(action, app, job.id),
        )


def model_note(app: Application, job: RunInfo) -> str:
    """Why a job does not begin or go on here; empty when it will."""
    if not job.active:
        return ""
    if app.runner.trouble:
        return app.runner.trouble
    if job.state != "queued":
        return ""
    if job.source == app.settings.model_source:
        return app.engine_away
    return t("jobs.other_model", source=job.source)


def show_note(app: Application, job: RunInfo) -> None:
    """What the user should know of a job: why it waits, or why it stopped."""
    if note := model_note(app, job):
        st.warning(plain(note), icon=":material/hourglass_empty:")
    if job.error:
        st.error(plain(job.error), icon=":material/error:")

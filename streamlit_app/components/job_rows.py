"""Jobs as rows of one table in the browser: progress, actions, and a link to each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from core.bootstrap import Application
from core.storage.queries import RunInfo
from streamlit_app.components.job_controls import (
    ACTIONS,
    BADGES,
    actions,
    failures,
    job_title,
    model_note,
    schema_title,
)
from streamlit_app.components.job_progress import act, long_reading, progress_share, progress_text, reading_text
from streamlit_app.i18n import t

FRONTEND = Path(__file__).resolve().parents[1] / "frontend"
# One message for all rows: as elements of Streamlit's each row was a dozen.
_COMPONENT = st.components.v2.component(
    "job_rows",
    html='<div class="rexj" role="list"></div>',
    css=(FRONTEND / "job_rows.css").read_text(encoding="utf-8"),
    js=(FRONTEND / "job_rows.js").read_text(encoding="utf-8"),
)


def job_rows(app: Application, jobs: Sequence[RunInfo], *, key: str, on_open: Callable[[int], None]) -> None:
    """Draw a row for each job; what is pressed is done before the next run, opening by `on_open`."""

    def pressed() -> None:
        perform(app, st.session_state[key].pressed, on_open=on_open)

    rows = [row(app, job) for job in jobs]
    _COMPONENT(key=key, data={"rows": rows, "label": t("page.jobs")}, on_pressed_change=pressed)


def perform(app: Application, said: Any, *, on_open: Callable[[int], None]) -> None:
    """Do what the browser says was pressed, believed only when it has the form of it."""
    if not isinstance(said, Mapping) or not isinstance(said.get("job"), int | float):
        return
    job, action = int(said["job"]), said.get("action")
    if action == "open":
        on_open(job)
    elif action in ACTIONS:
        act(ACTIONS[action][0], app, job)()


def row(app: Application, job: RunInfo) -> dict[str, Any]:
    """What a row says; the browser sets all of it as text."""
    reading = long_reading(app, job)
    note = model_note(app, job)
    # What a narrow window cuts off is the end, and stands whole where the job is opened.
    facts = (
        f"{job.started_at.astimezone():%m-%d %H:%M}",
        schema_title(job),
        job.model or job.source.rpartition("/")[2],
    )
    return {
        "job": job.id,
        "address": f"?job={job.id}",
        "title": job_title(job),
        "state": t(f"state.{job.state}"),
        "tone": BADGES[job.state][0],
        "facts": " · ".join(fact for fact in facts if fact),
        "line": progress_text(job, done=job.done, total=job.total),
        "failures": failures(job),
        "share": progress_share(reading, done=job.done, total=job.total) if job.done < job.total else None,
        "within": "" if reading is None else reading_text(job, reading),
        "actions": [[name, t(f"jobs.{name}")] for name in actions(job)] + [["open", f"{t('jobs.open')} ›"]],
        "notes": [[kind, text] for kind, text in (("warning", note), ("error", job.error or "")) if text],
    }

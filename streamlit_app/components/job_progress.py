"""Jobs on the way: how far they are, how fast, and ways to stop them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import streamlit as st

from core import job_services, services
from core.bootstrap import Application
from core.errors import RexError
from core.storage.queries import RunInfo
from core.types import Reading
from streamlit_app.components.messages import plain
from streamlit_app.i18n import t

EVERY_S = 0.5
# A single text is usually read before a progress bar would be worth drawing.
PATIENCE_S = 1.5
# Of documents of fewer windows those that are read are told often enough.
LONG_WINDOWS = 4


def working(app: Application) -> AbstractContextManager[None]:
    """A spinner to wait under; it says so when the model has to be loaded first."""
    loaded = services.model_status(app).loaded
    return st.spinner(t("task.working" if loaded else "task.loading"))


def find_jobs(app: Application, job_ids: Sequence[int]) -> list[RunInfo]:
    """Those of the jobs that have not been deleted."""
    found = (job_services.get_job(app, one) for one in job_ids)
    return [job for job in found if job is not None]


def job_progress(app: Application, job_ids: Sequence[int], *, key: str) -> None:
    """Follow jobs until none waits or runs, then run the page again; the worker's thread never draws."""

    @st.fragment(run_every=EVERY_S)
    def follow() -> None:
        jobs = find_jobs(app, job_ids)
        running = [job for job in jobs if job.active]
        if not running:
            st.rerun()
        done, total = sum(job.done for job in jobs), sum(job.total for job in jobs)
        text = progress_text(running[0], done=done, total=total)
        progress_bar(running[0], long_reading(app, running[0]), done=done, total=total, text=text)
        buttons = st.container(horizontal=True, gap="small")
        if len(running) == 1:
            buttons.button(
                t("job.pause"),
                key=f"{key}-pause",
                icon=":material/pause_circle:",
                on_click=act(job_services.pause_job, app, running[0].id),
            )
        buttons.button(
            t("job.cancel"),
            key=f"{key}-cancel",
            icon=":material/stop_circle:",
            on_click=act(job_services.cancel_job, app, *(job.id for job in running)),
        )

    follow()


def long_reading(app: Application, job: RunInfo) -> Reading | None:
    """How far long documents of a job are, where that says more than how many of them are read."""
    reading = job_services.reading(app, job) if job.state == "running" and job.done < job.total else None
    return reading if reading is not None and reading.asked >= LONG_WINDOWS * reading.documents else None


def progress_bar(job: RunInfo, reading: Reading | None, *, done: int, total: int, text: str) -> None:
    """A bar of documents, with the windows of those that are being read, and how long these take still, below it."""
    st.progress(progress_share(reading, done=done, total=total), text=text)
    if reading is not None:
        st.caption(reading_text(job, reading))


def progress_share(reading: Reading | None, *, done: int, total: int) -> float:
    """How much is read, 0 to 1, the present level of documents that are being read included."""
    within = reading.documents * reading.done / reading.asked if reading is not None else 0.0
    return min((done + within) / total, 1.0) if total else 0.0


def reading_text(job: RunInfo, reading: Reading) -> str:
    """Which of how many windows of which step; of pairs of words once the names of a text are known."""
    pairs = job.task == "coref" and reading.documents == 1 and reading.step > 1
    kind = "pairs" if pairs else "first" if reading.step == 1 else "windows"
    said = t(f"job.reading.{kind}", done=min(reading.done + 1, reading.asked), asked=reading.asked, step=reading.step)
    left = reading.left_s
    return said if left is None else f"{said} · {t('job.reading.left', left=duration(left))}"


def progress_text(job: RunInfo, *, done: int, total: int) -> str:
    """How many of how many, how fast, and how long that takes still."""
    if job.state == "queued":
        return t("job.queued", done=done, total=total)
    if not job.active and job.done:
        return t("job.ended", done=done, total=total, findings=job.annotations, worked=duration(job.worked_s))
    if job.state != "running" or job.per_s is None or job.left_s is None:
        return t("job.counted", done=done, total=total)
    return t("job.progress", done=done, total=total, rate=job.per_s, left=duration(job.left_s))


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, in words; tenths of the first few seconds, hundredths of less than one of them."""
    if 0 < seconds < 0.095:
        return t("job.seconds", count=f"{max(seconds, 0.01):.2f}")
    if seconds < 9.95:
        return t("job.seconds", count=f"{seconds:.1f}")
    if seconds < 90:
        return t("job.seconds", count=round(seconds))
    if seconds < 90 * 60:
        return t("job.minutes", count=round(seconds / 60))
    return t("job.hours", count=seconds / 3600)


def act(action: Callable[[Application, int], object], app: Application, *job_ids: int) -> Callable[[], None]:
    """A callback that does something to jobs; what the product refuses is told in passing.

    The screen may be older than the job: it may have ended meanwhile.
    """

    def callback() -> None:
        for one in job_ids:
            try:
                action(app, one)
            except RexError as error:
                st.toast(plain(str(error)), icon=":material/error:")

    return callback

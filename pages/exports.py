"""Export: a stored run in the form of another tool, and what that form cannot hold."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import streamlit as st

from core.bootstrap import Application
from core.export_job import ExportJob
from core.exporters import FORMATS, VERSIONS
from core.exporters.table import KEPT, readable
from core.job_services import get_job
from core.storage import queries
from core.tasks import TASKS
from streamlit_app.components import address
from streamlit_app.components.empty_state import no_results
from streamlit_app.components.export_preview import export_preview
from streamlit_app.components.heading import heading
from streamlit_app.components.messages import plain
from streamlit_app.i18n import hold, t, title
from streamlit_app.resources import application

PAGE = 100
DONE, JOB = "exports-done", "exports-job"
EVERY_S, PATIENCE_S = 0.5, 1.0


def label(run: queries.RunInfo) -> str:
    """A run in a list of choices."""
    task = title(TASKS[run.task].title_zh, TASKS[run.task].title_en) if run.task in TASKS else run.task
    facts = t("exports.facts", done=run.done, total=run.total, findings=run.annotations)
    return f"{run.id} · {task} · {run.started_at.astimezone():%Y-%m-%d %H:%M} · {facts}"


def follow(total: int) -> None:
    """Progress of the export that is being made, and what became of it; a short one is over before a bar is drawn."""
    asked, job = st.session_state[JOB]

    @st.fragment(run_every=EVERY_S)
    def progress() -> None:
        if job.wait(0):
            st.rerun()
        said = t("exports.progress", done=job.documents, total=total)
        st.progress(min(job.documents / total, 1.0) if total else 0.0, text=said)
        st.button(t("job.cancel"), key="exports-cancel", icon=":material/stop_circle:", on_click=job.cancel)

    if not job.wait(PATIENCE_S):
        progress()
        return
    del st.session_state[JOB]
    if job.error:
        st.error(plain(job.error), icon=":material/error:")
    else:
        st.session_state[DONE] = (asked, str(job.path), job.losses)


def follow_address(app: Application) -> None:
    """Choose what a new address names: a run, a format."""
    given = address.arrived("exports")
    if get_job(app, address.number(given.get("run")) or 0) is not None:
        st.session_state["exports-run"] = address.number(given["run"])
    if given.get("format") in FORMATS:
        st.session_state["exports-format"] = given["format"]


heading("exports")
app = application()
count = queries.count_runs(app.database)
if not count:
    no_results("exports.empty", key="exports")
    st.stop()

follow_address(app)
pages = -(-count // PAGE)
number = st.pagination(pages, key="exports-page", persist_state="session") if pages > 1 else 1
runs = {run.id: run for run in queries.list_runs(app.database, limit=PAGE, offset=(number - 1) * PAGE)}
# The chosen run may stand on another page of the list than the one that is shown.
chosen_run = get_job(app, st.session_state.get("exports-run") or 0)
if chosen_run is not None:
    runs = {chosen_run.id: chosen_run} | runs
elif "exports-run" in st.session_state:
    del st.session_state["exports-run"]
hold("exports-run", "exports-which", "exports-format")
left, middle, right = st.columns([3, 2, 2])
run_id = left.selectbox(
    t("exports.run"), list(runs), format_func=lambda key: label(runs[key]), key="exports-run", persist_state="session"
)
which = middle.selectbox(
    t("exports.which"),
    list(VERSIONS),
    format_func=lambda key: t(f"exports.which.{key}"),
    key="exports-which",
    persist_state="session",
)
form = right.selectbox(
    t("exports.format"),
    list(FORMATS),
    format_func=lambda key: title(FORMATS[key].title_zh, FORMATS[key].title_en),
    key="exports-format",
    persist_state="session",
)
chosen = FORMATS[form]
address.keep("exports", run=run_id, format=form)
st.caption(t(f"exports.about.{form}"))

if st.button(t("exports.make"), key="exports-make", type="primary", icon=":material/ios_share:"):
    kind = "" if which == "current" else f"-{which}"
    path = app.settings.data_dir / "exports" / f"annotations-{runs[run_id].task}-{run_id}{kind}{chosen.suffix}"
    job = ExportJob(app.database, run_id, form, path=path, which=which).start()
    st.session_state[JOB] = ((run_id, form, which), job)
    st.session_state.pop(DONE, None)
if JOB in st.session_state:
    follow(runs[run_id].done)

done = st.session_state.get(DONE)
if done is not None and done[0] == (run_id, form, which) and Path(done[1]).is_file():
    path = Path(done[1])
    st.download_button(
        t("exports.download", name=path.name, size=f"{path.stat().st_size / 1024:,.0f}"),
        data=path.read_bytes,  # read when the button is pressed, not before
        file_name=path.name,
        mime=chosen.mime,
        icon=":material/download:",
        key="exports-download",
        on_click="ignore",
    )
    if done[2]:
        st.warning(
            "\n".join([t("exports.losses"), "", *(f"- {plain(line)}" for line in done[2])]), icon=":material/info:"
        )
    else:
        st.success(t("exports.whole"), icon=":material/check:")
    export_preview(path)

with st.expander(t("exports.table"), icon=":material/table_chart:", expanded=True):
    known = readable()
    rows = [
        {
            "format": title(one.title_zh, one.title_en),
            "reads": t("exports.full" if name in known else "exports.none"),
            **{part: t(f"exports.{getattr(one, part)}") for part in KEPT},
        }
        for name, one in FORMATS.items()
    ]
    names = {name: t(f"exports.column.{name}") for name in ("format", "reads", *KEPT)}
    st.dataframe(pd.DataFrame(rows).rename(columns=names), hide_index=True, height="content", key="exports-table")

"""Batches on the page of jobs: giving files of the server to one, and following those that there are."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core import batch_services
from core.bootstrap import Application
from core.errors import RexError
from core.schemas.presets import list_presets
from core.storage import queries
from core.storage.batch_store import BatchInfo
from core.tasks import TASKS
from streamlit_app.components.job_controls import BADGES
from streamlit_app.components.job_progress import duration
from streamlit_app.components.messages import plain, shown_errors
from streamlit_app.i18n import t, title

BUSY_S, IDLE_S = 1.0, 10.0
FORMS = ("jsonl", "parquet")
HERE, LOCAL, CLUSTER = "", "local", "auto"
TITLES = {HERE: "batch.here", LOCAL: "batch.ray", CLUSTER: "batch.cluster"}
ERROR = "batch-error"


def batch_jobs(app: Application) -> None:
    """Draw the section; nothing for those who may not work with files of the server."""
    if not batch_services.may_batch(app):
        return
    st.subheader(t("batch.title"), anchor=False, help=t("batch.help"))
    with st.expander(t("batch.new"), icon=":material/add_circle:"), shown_errors():
        _new(app)
    busy = any(one.active for one in batch_services.list_batches(app))

    @st.fragment(run_every=BUSY_S if busy else IDLE_S)
    def follow() -> None:
        if problem := st.session_state.pop(ERROR, ""):
            st.error(plain(problem), icon=":material/error:")
        batches = batch_services.list_batches(app)
        for batch in batches:
            _row(app, batch)
        if not batches:
            st.caption(t("batch.none"))
        if any(one.active for one in batches) != busy:
            st.rerun()  # the whole page: it looks more or less often from now on

    follow()


def _new(app: Application) -> None:
    """Choose the files, the question and the place, and start."""
    folder = batch_services.batch_folder(app)
    inputs = batch_services.find_inputs(app)
    if not inputs:
        st.info(t("batch.empty", folder=plain(str(folder))), icon=":material/folder_open:")
        return
    left, right = st.columns(2, gap="large")
    chosen = left.selectbox(
        t("batch.input"), inputs, key="batch-input", help=t("batch.input.help", folder=plain(str(folder)))
    )
    tasks = [name for name in TASKS if name != "rex"]
    names = {name: title(TASKS[name].title_zh, TASKS[name].title_en) for name in tasks}
    task = right.selectbox(t("batch.task"), tasks, format_func=names.__getitem__, key="batch-task")
    schemas = {preset.name: preset.schema for preset in list_presets(task)}
    labels = {preset.name: title(preset.name, preset.name_en) for preset in list_presets(task)}
    for saved in queries.latest_schemas(app.database, task):
        schemas[saved.name], labels[saved.name] = dict(saved.body), saved.name
    name = right.selectbox(t("batch.schema"), list(schemas), format_func=labels.__getitem__, key=f"batch-schema-{task}")
    text, number = left.columns(2)
    text_column = text.text_input(t("batch.text_column"), key="batch-text", placeholder=t("batch.by_name"))
    id_column = number.text_input(t("batch.id_column"), key="batch-id", placeholder=t("batch.by_name"))
    form = left.segmented_control(t("batch.form"), FORMS, default=FORMS[0], required=True, key="batch-form")
    with right:
        ray, actors = _where()
    if right.button(t("batch.start"), key="batch-start", type="primary", icon=":material/play_arrow:"):
        started = batch_services.submit_batch(
            app,
            input=chosen,
            task=task,
            schema=schemas[name],
            text_column=text_column.strip(),
            id_column=id_column.strip(),
            form=form or FORMS[0],
            ray=ray,
            actors=actors,
        )
        st.toast(plain(t("batch.started", id=started)), icon=":material/check_circle:")
        st.rerun()


def _where() -> tuple[str, int]:
    """Where to run: the address of a cluster, "" for a process of this machine; and how many actors."""
    if not batch_services.has_ray():
        st.caption(t("batch.no_ray"))
        return HERE, 0
    chosen = st.segmented_control(
        t("batch.where"),
        list(TITLES),
        format_func=lambda place: t(TITLES[place]),
        default=HERE,
        required=True,
        key="batch-ray",
        help=t("batch.where.help"),
    )
    if not chosen:
        return HERE, 0
    address, count = st.columns([2, 1])
    actors = int(count.number_input(t("batch.actors"), 0, 64, 0, key="batch-actors", help=t("batch.actors.help")))
    if chosen == LOCAL:
        return LOCAL, actors
    given = address.text_input(t("batch.address"), CLUSTER, key="batch-address", help=t("batch.address.help"))
    return given.strip() or CLUSTER, actors


def _row(app: Application, batch: BatchInfo) -> None:
    progress = batch.progress
    with st.container(border=True, key=f"batch-row-{batch.id}"):
        name, bar, buttons = st.columns([5, 5, 3], vertical_alignment="center", gap="medium")
        task = title(TASKS[batch.task].title_zh, TASKS[batch.task].title_en) if batch.task in TASKS else batch.task
        colour, icon = BADGES[batch.state]
        badge = f":{colour}-badge[:material/{icon}: {t(f'state.{batch.state}')}]"
        name.markdown(f"**{batch.id}** · **{plain(task)}** {badge}")
        types = "、".join(list(batch.schema)[:3]) + ("…" if len(batch.schema) > 3 else "")
        place = _place(str(batch.options.get("ray") or HERE))
        when = f"{batch.created_at.astimezone():%m-%d %H:%M}"
        name.caption(" · ".join(plain(fact) for fact in (batch.input, types, place, when) if fact))
        bar.progress(share(batch), text=progress_line(batch))
        spot = buttons.container(horizontal=True, horizontal_alignment="right", gap="small")
        if batch.active:
            _button(app, spot, batch, "cancel", batch_services.cancel_batch)
        else:
            if batch.state != "done":
                _button(app, spot, batch, "resume", batch_services.resume_batch)
            _button(app, spot, batch, "forget", batch_services.forget_batch)
        if progress.get("done"):
            st.caption(t("batch.output", path=plain(str(batch_services.batch_folder(app) / batch.output))))
        if batch.error:
            st.error(plain(batch.error), icon=":material/error:")


def _place(address: str) -> str:
    """Where a batch runs, in words; nothing for this machine's own process."""
    if not address:
        return ""
    return t("batch.ray") if address == LOCAL else f"{t('batch.cluster')} {address}"


def share(batch: BatchInfo) -> float:
    """How much of a batch is done, 0 to 1."""
    rows, done = int(batch.progress.get("rows") or 0), int(batch.progress.get("done") or 0)
    return min(done / rows, 1.0) if rows else float(batch.state == "done")


def progress_line(batch: BatchInfo) -> str:
    """Rows, rate, time left and failures in words."""
    progress = batch.progress
    if not progress:
        return t("batch.starting" if batch.active else "batch.nothing")
    parts = [t("batch.rows", done=int(progress["done"]), rows=int(progress["rows"]))]
    if progress.get("per_s"):
        parts.append(t("batch.per_s", rate=float(progress["per_s"])))
    if batch.active and progress.get("left_s") is not None:
        parts.append(t("batch.left", time=duration(float(progress["left_s"]))))
    if progress.get("resumed"):
        parts.append(t("batch.resumed", count=int(progress["resumed"])))
    failed = f"  **{t('batch.failed', count=int(progress['failed']))}**" if progress.get("failed") else ""
    return " · ".join(parts) + failed


def _button(
    app: Application, place: st.delta_generator.DeltaGenerator, batch: BatchInfo, action: str,
    service: Callable[[Application, int], None],
) -> None:  # fmt: skip
    def act() -> None:
        try:
            service(app, batch.id)
        except RexError as error:
            st.session_state[ERROR] = str(error)

    place.button(t(f"batch.{action}"), key=f"batch-{batch.id}-{action}", type="tertiary", on_click=act)

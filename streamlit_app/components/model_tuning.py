"""Fine-tuning on corrections: what there is to learn from, the run with its curve, and keeping or discarding it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from core import model_services, tuning_services
from core.bootstrap import Application
from core.checkpoints.corrections import LEAST, ReviewedRun
from core.errors import RexError
from core.storage.tuning_store import Tuning
from core.tasks import TASKS
from core.tuning_services import TuningOrder
from streamlit_app.components.job_progress import duration
from streamlit_app.components.messages import plain, shown_errors
from streamlit_app.components.model_compare import run_title
from streamlit_app.components.model_work import told
from streamlit_app.components.tuning_chart import tuning_chart
from streamlit_app.i18n import t, title

EVERY_S = 1.0
CHARACTERS_A_DOCUMENT = 120
DEVICES = ("auto", "cpu", "cuda")
OPEN = ("running", "done", "failed", "cancelled")
BADGES = {
    "running": "blue", "done": "orange", "failed": "red", "cancelled": "gray", "kept": "green", "discarded": "gray",
}  # fmt: skip


def model_tuning(app: Application) -> None:
    """Draw the running or waiting fine-tuning first, else the form; the earlier ones below."""
    with shown_errors():
        past = tuning_services.tunings(app)
        open_ones = [one for one in past if one.state in OPEN]
        for one in open_ones:
            _tuning(app, one)
        if not any(one.state == "running" for one in open_ones):
            _form(app)
        closed = [one for one in past if one not in open_ones]
        if closed:
            with st.expander(t("models.past", count=len(closed)), icon=":material/history:"):
                _table(closed)


def _form(app: Application) -> None:
    runs = {run.run_id: run for run in tuning_services.correction_runs(app)}
    if missing := tuning_services.missing_documents(list(runs.values())):
        _too_few(runs, missing)
        return
    with st.container(border=True):
        st.markdown(t("models.tune.about", name=plain(app.settings.model_source.rpartition("/")[2])))
        left, right = st.columns([3, 1], vertical_alignment="bottom")
        chosen = left.multiselect(
            t("models.runs"), list(runs), default=list(runs), key="models-tune-runs",
            format_func=lambda run: run_title(app, run, runs[run].documents), help=t("models.runs.help"),
        )  # fmt: skip
        name = right.text_input(t("models.name"), value=_free_name(app), key="models-tune-name")
        columns = st.columns(5, vertical_alignment="bottom")
        epochs = columns[0].number_input(
            t("models.epochs"), 1, 100, 10, key="models-epochs", help=t("models.epochs.help")
        )
        patience = columns[1].number_input(
            t("models.patience"), 1, 50, 3, key="models-patience", help=t("models.patience.help")
        )
        rate = columns[2].number_input(
            t("models.lr"),
            0.00001,
            0.002,
            0.00012,
            step=0.00001,
            format="%.5f",
            key="models-lr",
            help=t("models.lr.help"),
        )
        tokens = columns[3].number_input(
            t("models.tokens"), 0, 65536, 0, step=256, key="models-tokens", help=t("models.tokens.help")
        )
        devices = {one: t(f"models.device.{one}") for one in DEVICES}
        device = columns[4].selectbox(t("models.device"), DEVICES, format_func=devices.__getitem__, key="models-device")
        documents = sum(runs[run].documents for run in chosen)
        characters = CHARACTERS_A_DOCUMENT * documents
        about = duration(tuning_services.estimate_s(app, characters=characters, epochs=int(epochs)))
        enough = documents >= LEAST
        if st.button(
            t("models.tune"),
            type="primary",
            icon=":material/model_training:",
            key="models-tune-go",
            disabled=not enough,
        ):
            order = TuningOrder(
                tuple(chosen), name.strip(), int(epochs), int(patience), float(rate), int(tokens), device
            )
            with shown_errors():
                tuning_services.start_tuning(app, order)
                st.rerun()
        key = "models.estimate" if enough else "models.few.chosen"
        st.caption(t(key, documents=documents, about=about, least=LEAST))


def _too_few(runs: Mapping[int, ReviewedRun], missing: int) -> None:
    there = LEAST - missing
    with st.container(border=True):
        st.markdown(f"#### {t('models.few')}")
        st.progress(there / LEAST, text=t("models.few.count", there=there, least=LEAST, missing=missing))
        st.markdown(t("models.few.how"))
        query = {"run": str(next(iter(runs)))} if runs else None
        st.page_link(
            "../pages/review.py", label=t("models.few.review"), icon=":material/fact_check:", query_params=query
        )


def _tuning(app: Application, shown: Tuning) -> None:
    @st.fragment(run_every=EVERY_S if shown.state == "running" else None)
    def follow() -> None:
        tuning = tuning_services.get_tuning(app, shown.id)
        if tuning.state != shown.state:
            st.rerun()
        with st.container(border=True, key=f"tuning-{tuning.id}"):
            _head(app, tuning)
            if tuning.history:
                tuning_chart(tuning.history, kept=tuning.scores.get("epoch", 0), key=f"tuning-{tuning.id}-curve")
            if tuning.state == "done":
                _scores(tuning)
                _decide(app, tuning)

    follow()


def _head(app: Application, tuning: Tuning) -> None:
    name, buttons = st.columns([4, 2], vertical_alignment="center")
    name.markdown(f"#### {plain(tuning.name)} {badge(tuning)}")
    place = buttons.container(horizontal=True, horizontal_alignment="right", gap="small")
    if tuning.state == "running":
        place.button(
            t("job.cancel"), key=f"tuning-{tuning.id}-cancel", icon=":material/stop_circle:",
            on_click=told, args=(tuning_services.cancel_tuning, app, tuning.id),
        )  # fmt: skip
        _progress(tuning)
    if tuning.state in ("failed", "cancelled"):
        place.button(
            t("models.go_on"), key=f"tuning-{tuning.id}-resume", icon=":material/play_circle:",
            on_click=told, args=(tuning_services.resume_tuning, app, tuning.id),
        )  # fmt: skip
        place.button(
            t("models.tuned.discard"), key=f"tuning-{tuning.id}-discard", icon=":material/delete:",
            on_click=told, args=(tuning_services.discard_tuning, app, tuning.id),
        )  # fmt: skip
    if tuning.error:
        st.error(plain(tuning.error), icon=":material/error:")
    data = tuning.data
    st.caption(
        t(
            "models.tuned.facts",
            base=plain(tuning.source.rpartition("/")[2]),
            learnt=data.get("documents", 0) - data.get("held_back", 0),
            held_back=data.get("held_back", 0),
            runs=plain("、".join(map(str, data.get("runs", ())))),
        )
    )


def _progress(tuning: Tuning) -> None:
    now: Mapping[str, Any] = tuning.progress
    if not now:
        st.progress(0.0, text=t("models.phase.start"))
        return
    words = t(f"models.phase.{now['phase']}", epoch=now.get("epoch", 0), epochs=now.get("epochs", 0))
    if "tokens_per_s" in now:
        words += t(
            "models.pace", rate=now["tokens_per_s"], spent=duration(now["seconds"]), left=duration(now["left_s"])
        )
    st.progress(min(now.get("share", 0.0), 1.0), text=words)


def _scores(tuning: Tuning) -> None:
    scores = tuning.scores
    before = {row["task"]: row for row in scores.get("before", ())}
    rows = [
        {
            "task": _task_title(row["task"]),
            "records": row["rows"],
            "before": before.get(row["task"], {}).get("f1"),
            "after": row["f1"],
            "change": row["f1"] - before.get(row["task"], {}).get("f1", 0.0),
            "precision": row["precision"],
            "recall": row["recall"],
        }
        for row in scores.get("after", ())
    ]
    names: dict[str, Any] = {"task": t("column.task"), "records": t("models.records")}
    for name in ("before", "after"):
        label = t(f"models.f1.{name}")
        names[name] = st.column_config.ProgressColumn(label, min_value=0, max_value=1, format="%.3f")
    names["change"] = st.column_config.NumberColumn(t("models.change"), format="%+.3f")
    for name in ("precision", "recall"):
        names[name] = st.column_config.NumberColumn(t(f"models.after.{name}"), format="%.3f")
    st.dataframe(
        pd.DataFrame(rows), hide_index=True, column_config=names, key=f"tuning-{tuning.id}-scores", height="content"
    )
    st.caption(
        t(
            "models.tuned.note",
            epoch=scores.get("epoch", 0),
            steps=scores.get("steps", 0),
            spent=duration(scores.get("seconds", 0)),
        )
    )


def _task_title(name: str) -> str:
    return title(TASKS[name].title_zh, TASKS[name].title_en) if name in TASKS else name


def _decide(app: Application, tuning: Tuning) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input(t("models.name"), value=tuning.name, key=f"tuning-{tuning.id}-name", width=260)
        st.button(
            t("models.keep"), key=f"tuning-{tuning.id}-keep", icon=":material/save:", type="primary",
            on_click=_keep, args=(app, tuning.id, name.strip(), False),
        )  # fmt: skip
        st.button(
            t("models.keep.use"), key=f"tuning-{tuning.id}-keep-use", icon=":material/swap_horiz:",
            on_click=_keep, args=(app, tuning.id, name.strip(), True),
        )  # fmt: skip
        with st.popover(t("models.tuned.discard"), icon=":material/delete:"):
            st.write(t("models.tuned.discard.sure"))
            st.button(
                t("models.tuned.discard.yes"), key=f"tuning-{tuning.id}-discard",
                on_click=told, args=(tuning_services.discard_tuning, app, tuning.id),
            )  # fmt: skip


def badge(tuning: Tuning) -> str:
    """The state as a coloured badge, in Markdown."""
    return f":{BADGES[tuning.state]}-badge[{t(f'models.state.{tuning.state}')}]"


def _table(tunings: list[Tuning]) -> None:
    rows = [
        {
            "name": one.name,
            "state": t(f"models.state.{one.state}"),
            "created": one.created_at.astimezone().replace(tzinfo=None),
            "documents": one.data.get("documents"),
            "before": _mean(one.scores.get("before", ())),
            "after": _mean(one.scores.get("after", ())),
        }
        for one in tunings
    ]
    names: dict[str, Any] = {
        "name": t("column.name"), "state": t("column.state"), "documents": t("column.documents"),
        "created": st.column_config.DatetimeColumn(t("column.created"), format="YYYY-MM-DD HH:mm"),
        "before": st.column_config.NumberColumn(t("models.f1.before"), format="%.3f"),
        "after": st.column_config.NumberColumn(t("models.f1.after"), format="%.3f"),
    }  # fmt: skip
    st.dataframe(pd.DataFrame(rows), hide_index=True, column_config=names, key="tunings-past")


def _mean(rows: Any) -> float | None:
    found = [row["f1"] for row in rows]
    return sum(found) / len(found) if found else None


def _free_name(app: Application) -> str:
    """A name that no checkpoint has yet."""
    stem = re.sub(r"[^\w.\-]", "-", app.settings.model_source.rpartition("/")[2])[:40]
    taken = {one.name for one in model_services.installed_checkpoints(app)}
    taken |= {one.name for one in tuning_services.tunings(app) if one.state in OPEN}
    name = base = f"{stem}-{datetime.now():%m%d}"
    number = 1
    while name in taken:
        number += 1
        name = f"{base}-{number}"
    return name


def _keep(app: Application, tuning_id: int, name: str, use: bool) -> None:
    try:
        source = tuning_services.keep_tuning(app, tuning_id, name)
        st.toast(t("models.kept", name=plain(name)), icon=":material/check:")
        if use:
            model_services.use_checkpoint(app, source)
            st.toast(t("models.used", name=plain(name)), icon=":material/check:")
    except RexError as error:
        st.toast(plain(str(error)), icon=":material/error:")

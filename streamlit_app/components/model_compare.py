"""Two checkpoints beside each other: their answers to one text, and how right they are on corrected documents."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from core import model_services, tuning_services
from core.bootstrap import Application
from core.checkpoints.compare import Difference, OnCorrections, OnText, Side
from core.checkpoints.work import Work
from core.errors import RexError
from core.schemas.presets import list_presets
from core.storage import queries
from core.tasks import TASKS
from core.types import Document
from core.views.findings import label_name
from streamlit_app.components.annotated_text import annotated_text
from streamlit_app.components.messages import plain, show_error
from streamlit_app.components.model_work import ended_badly, follow_work, millions
from streamlit_app.i18n import t, title

ON = ("text", "corrections")
TEXT_TASKS = [name for name in TASKS if name != "rex" and list_presets(name) and name not in ("coref",)]


def model_compare(app: Application) -> None:
    """Draw the two choices, what they are compared on, and the result."""
    there = [one for one in model_services.installed_checkpoints(app) if one.complete]
    if len(there) < 2:
        st.info(t("models.compare.one"), icon=":material/lightbulb:")
        return
    names = {one.source: one.name if one.revision == "local" else f"{one.name}@{one.revision}" for one in there}
    sources = list(names)
    active = app.settings.model_source if app.settings.model_source in names else sources[0]
    other = next(source for source in reversed(sources) if source != active)
    with st.container(border=True):
        first, second, on = st.columns([3, 3, 2], vertical_alignment="bottom")
        sides = [
            place.selectbox(
                t(f"models.side.{side}"), sources, index=sources.index(default), format_func=names.__getitem__,
                key=f"models-{side}",
            )
            for place, side, default in ((first, "first", active), (second, "second", other))
        ]  # fmt: skip
        kinds = {name: t(f"models.on.{name}") for name in ON}
        kind = on.segmented_control(
            t("models.on"), ON, format_func=kinds.__getitem__, default="text", required=True, key="models-on"
        )
        (_ask_text if kind == "text" else _ask_corrections)(app, sides)
    work = follow_work(app, model_services.COMPARE, key="models-compare", words=_words)
    if work is None or ended_badly(work):
        return
    if isinstance(work.result, OnText):
        _show_text(work.result)
    elif isinstance(work.result, OnCorrections):
        _show_corrections(work.result)


def _ask_text(app: Application, sides: list[str]) -> None:
    left, right = st.columns([1, 2])
    titles = {name: title(TASKS[name].title_zh, TASKS[name].title_en) for name in TEXT_TASKS}
    task = left.selectbox(t("models.task"), TEXT_TASKS, format_func=titles.__getitem__, key="models-task")
    presets = {title(preset.name, preset.name_en): preset for preset in list_presets(task)}
    preset = presets[left.selectbox(t("models.preset"), list(presets), key=f"models-preset-{task}")]
    key = f"models-text-{preset.name}"
    st.session_state.setdefault(key, preset.sample.text)
    text = right.text_area(t("models.text"), key=key, height=150)
    if st.button(t("models.compare"), type="primary", icon=":material/compare:", key="models-compare-text"):
        sample = preset.sample
        document = sample if text == sample.text else Document(text, text_pair=sample.text_pair)
        try:
            app.works.forget(model_services.COMPARE)
            model_services.start_compare_text(app, sides, document, task=task, schema=preset.schema)
        except RexError as error:
            show_error(error)


def _ask_corrections(app: Application, sides: list[str]) -> None:
    runs = {run.run_id: run for run in tuning_services.correction_runs(app)}
    if not runs:
        st.info(t("models.compare.none"), icon=":material/fact_check:")
        st.page_link("../pages/review.py", label=t("page.review"), icon=":material/fact_check:")
        return
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    chosen = left.multiselect(
        t("models.runs"), list(runs), default=list(runs)[:1], key="models-compare-runs",
        format_func=lambda run: run_title(app, run, runs[run].documents), help=t("models.compare.fair"),
    )  # fmt: skip
    limit = right.number_input(t("models.most"), 1, 5000, model_services.MOST, step=50, key="models-most")
    button = st.button(
        t("models.compare"), type="primary", icon=":material/compare:", key="models-compare-runs-go",
        disabled=not chosen,
    )  # fmt: skip
    if button:
        try:
            app.works.forget(model_services.COMPARE)
            model_services.start_compare_corrections(app, sides, chosen, limit=int(limit))
        except RexError as error:
            show_error(error)


def run_title(app: Application, run_id: int, documents: int) -> str:
    """Number, task, schema and reviewed documents of a run."""
    run = queries.get_run(app.database, run_id)
    task = title(TASKS[run.task].title_zh, TASKS[run.task].title_en) if run.task in TASKS else run.task
    name = run.schema_name or "、".join(list(run.schema)[:3])
    return t("models.run", id=run_id, task=task, name=name, documents=documents)


def _words(work: Work) -> str:
    return t("models.comparing", name=work.progress.what or work.about, share=round(work.progress.share * 100))


def _show_text(found: OnText) -> None:
    same = sum(one.first is not None and one.second is not None for one in found.findings)
    st.caption(t("models.same", same=same, total=len(found.findings)))
    for place, side, result in zip(st.columns(2, gap="medium"), found.sides, found.results, strict=True):
        with place:
            _side(side)
            annotated_text(result.document.text, result.annotations, key=f"models-{side.source}")
    rows = [_difference(one) for one in found.findings]
    names: dict[str, Any] = {
        "difference": st.column_config.TextColumn(t("models.difference"), width="small"),
        "type": t("column.type"),
        "text": t("column.text"),
        "first": st.column_config.ProgressColumn(found.sides[0].name, min_value=0, max_value=1, format="%.3f"),
        "second": st.column_config.ProgressColumn(found.sides[1].name, min_value=0, max_value=1, format="%.3f"),
    }
    if rows:
        st.dataframe(pd.DataFrame(rows), hide_index=True, column_config=names, key="models-findings", placeholder="—")
    else:
        st.info(t("models.nothing"), icon=":material/search_off:")


def _difference(one: Difference) -> dict[str, object]:
    which = "both" if None not in (one.first, one.second) else "first" if one.second is None else "second"
    *above, last = one.path
    name = " › ".join(label_name(link[0]) for link in one.path)
    text = last[1] if not above or not above[-1][1] else f"{above[-1][1]} → {last[1]}"
    signs = {"both": "＝", "first": "◀", "second": "▶"}
    return {
        "difference": f"{signs[which]} {t(f'models.found.{which}')}",
        "type": name,
        "text": text,
        "first": one.first,
        "second": one.second,
    }


def _side(side: Side) -> None:
    st.markdown(f"**{plain(side.name)}**")
    st.caption(
        t("models.speed", parameters=millions(side.parameters), device=plain(side.device), rate=side.documents_per_s)
    )


def _show_corrections(found: OnCorrections) -> None:
    st.caption(
        t("models.judged", documents=found.documents)
        + (t("models.judged.left", count=found.left_out) if found.left_out else "")
    )
    first, second = (quality.total for quality in found.qualities)
    for place, side, total, before in zip(
        st.columns(2, gap="medium"), found.sides, (first, second), (None, first), strict=True
    ):
        with place.container(border=True):
            _side(side)
            numbers = {"precision": total.precision, "recall": total.recall, "f1": total.f1}
            olds = None if before is None else (before.precision, before.recall, before.f1)
            for index, (column, (name, value)) in enumerate(zip(st.columns(3), numbers.items(), strict=True)):
                column.metric(
                    t(f"explore.{name}"), f"{value:.3f}", None if olds is None else f"{value - olds[index]:+.3f}"
                )
    types = sorted(set(found.qualities[0].by_type) | set(found.qualities[1].by_type))
    rows = []
    for name in types:
        row: dict[str, object] = {"type": label_name(name)}
        for number, quality in enumerate(found.qualities):
            scores = quality.by_type.get(name)
            for measure in ("precision", "recall", "f1"):
                row[f"{measure}{number}"] = None if scores is None else getattr(scores, measure)
            row["gold"] = row.get("gold") or (scores.gold if scores else 0)
        row["change"] = (row["f11"] or 0.0) - (row["f10"] or 0.0)  # type: ignore[operator]
        rows.append(row)
    order = ["type", "gold", *(f"{m}{n}" for n in (0, 1) for m in ("precision", "recall", "f1")), "change"]
    config: dict[str, Any] = {"type": t("column.type"), "gold": t("models.gold")}
    config["change"] = st.column_config.NumberColumn(t("models.change"), format="%+.3f")
    for number, sign in enumerate(("◀", "▶")):
        for measure in ("precision", "recall", "f1"):
            label = f"{sign} {t(f'explore.{measure}')}"
            config[f"{measure}{number}"] = st.column_config.NumberColumn(label, format="%.3f")
    st.dataframe(pd.DataFrame(rows)[order], hide_index=True, column_config=config, key="models-types", height="content")
    st.caption(t("models.compare.fair"))

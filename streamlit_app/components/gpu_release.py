"""Three ways to give memory back, from the gentlest to the most thorough, each with what it cannot do."""

from __future__ import annotations

from html import escape

import streamlit as st

from core import memory_services, services
from core.memory_services import LEVELS, Holding, Release
from core.services import Application
from streamlit_app.components.gpu_gauge import size
from streamlit_app.components.gpu_lines import lines_of
from streamlit_app.components.messages import shown_errors
from streamlit_app.i18n import t

ICONS = {"flush": "cleaning_services", "unload": "eject", "restart": "restart_alt", "load": "download"}
REPORT_KEY = "gpu-release-report"
KINDS = (
    ("gpu.flush.allocated", "allocated_bytes"),
    ("gpu.flush.reserved", "reserved_bytes"),
    ("gpu.flush.own", "own_bytes"),
    ("gpu.flush.card", "card_bytes"),
    ("gpu.flush.worker", "worker_rss_bytes"),
    ("gpu.flush.rss", "rss_bytes"),
)


def release_panel(app: Application) -> None:
    """The buttons, what each can and cannot give back, and what the last one did."""
    st.subheader(t("gpu.flush"), anchor=False)
    status = services.model_status(app)
    apart = status.worker == "process"
    for column, level in zip(st.columns(len(LEVELS)), LEVELS, strict=True):
        possible = level == "flush" or status.loaded
        name = level if possible or level == "unload" else "load"
        with column.container(border=True, height="stretch"):
            if st.button(
                t(f"gpu.level.{name}"),
                icon=f":material/{ICONS[name]}:",
                key=f"gpu-{name}",
                disabled=level == "unload" and not possible,
                width="stretch",
            ):
                _do(app, name)
            words = f"gpu.level.{name}.honest"
            # Without a process of its own the model leaves its context behind.
            st.caption(t(words if name in ("flush", "load") or apart or not status.loaded else f"{words}.thread"))
    if report := st.session_state.get(REPORT_KEY):
        draw_report(report)


def _do(app: Application, name: str) -> None:
    with shown_errors(), st.spinner(t("gpu.engine.waiting")):
        if name == "load":
            services.reload_model(app)
            app.monitor.refresh()  # the last reading does not know the model's process yet
            st.session_state.pop(REPORT_KEY, None)
        else:
            st.session_state[REPORT_KEY] = memory_services.release(app, name)
        st.rerun()  # the model has come or gone: the whole page says so


def draw_report(report: Release) -> None:
    """Before, after and the difference, a row a kind of memory."""
    moments: list[tuple[str, Holding]] = [(t("gpu.flush.before"), report.before)]
    if report.lowest is not None:
        moments.append((t("gpu.flush.between"), report.lowest))
    moments.append((t("gpu.flush.after"), report.after))
    head = [(t("gpu.flush.kind"), ""), *((word, "gpu-number") for word, _ in moments)]
    rows = []
    for label, field in KINDS:
        values: list[int | None] = [getattr(one, field) for _, one in moments]
        if all(value is None for value in values):
            continue
        first, last = values[0], values[-1]
        freed = None if first is None or last is None else first - last
        cells = [(escape(t(label)), ""), *((escape(size(value)), "gpu-number") for value in values)]
        rows.append(("", [*cells, (escape(size(freed)), "gpu-number")]))
    st.markdown(f"**{t(f'gpu.level.{report.level}')}**")
    lines_of([*head, (t("gpu.flush.freed"), "gpu-number")], rows)
    told = [t("gpu.flush.took", duration=round(1000 * report.duration_s))]
    if report.level == "flush":
        told.append(t("gpu.flush.waited", waited=round(1000 * report.waited_s), objects=report.objects))
    if not report.trimmed:
        told.append(t("gpu.flush.untrimmed"))
    if report.after.card_bytes is None:
        told.append(t("gpu.flush.no_card"))
    st.caption(" ".join(told))

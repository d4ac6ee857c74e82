"""What the cards and the host hold right now, half an hour of history, and the manual flush."""

from __future__ import annotations

import time
from collections.abc import Callable

import pandas as pd
import streamlit as st

from core import services
from core.gpu.flush import FlushReport
from core.gpu.records import ALERTS, WARNINGS, GpuSnapshot, HostSnapshot, Sample, memory_segments
from core.services import Application
from streamlit_app.components.gpu_charts import card_history, host_history
from streamlit_app.components.gpu_engine import engine_facts, event_table
from streamlit_app.components.gpu_gauge import card_name, host_segments, memory_bar, size
from streamlit_app.components.heading import heading
from streamlit_app.components.messages import plain, shown_errors
from streamlit_app.i18n import t
from streamlit_app.resources import application

REFRESH_S = 2
HISTORY_REFRESH_S = 4
EXPLAINED = ("utilisation_percent", "memory_utilisation_percent", "ecc_uncorrected")
REPORT_KEY = "gpu-flush-report"


def metric(card: GpuSnapshot, label: str, value: str | None, *, field: str) -> None:
    """One number with its meaning, or "not available" with the driver's reason as the help text."""
    help_text = t(f"gpu.help.{field}") if field in EXPLAINED else None
    if value is None:
        help_text = plain(card.missing.get(field) or t("gpu.missing"))
    st.metric(t(label), value or t("gpu.unknown"), help=help_text)


def draw_card(card: GpuSnapshot) -> None:
    """One card: who holds its memory, its load, heat, power and health."""
    st.subheader(plain(card_name(card)), anchor=False)
    if card.problem:
        st.error(plain(card.problem), icon=":material/error:")
    facts = [
        (t("gpu.fact.driver"), card.driver_version),
        ("CUDA", card.cuda_version),
        (t("gpu.fact.capability"), card.capability),
        ("ECC", None if card.ecc_enabled is None else t("gpu.on" if card.ecc_enabled else "gpu.off")),
        ("MIG", None if card.mig_enabled is None else t("gpu.on" if card.mig_enabled else "gpu.off")),
        ("UUID", card.uuid),
    ]
    st.caption(plain(" · ".join(f"{name} {value}" for name, value in facts if value)))
    memory_bar(memory_segments(card))
    if card.own_source == "hidden":
        st.caption(t("gpu.hidden"))
    if card.mig_instance is not None:
        st.caption(t("gpu.mig"))

    draw_metrics(card)
    draw_clock_reasons(card)
    if card.torch:
        st.caption(
            t(
                "gpu.torch",
                peak=size(card.torch.peak_allocated_bytes),
                peak_reserved=size(card.torch.peak_reserved_bytes),
                split=size(card.torch.inactive_split_bytes),
                retries=card.torch.alloc_retries,
                ooms=card.torch.ooms,
            )
        )


def draw_metrics(card: GpuSnapshot) -> None:
    """The numbers of a card; those it cannot give say why."""
    busy, bus = card.utilisation_percent, card.memory_utilisation_percent
    degrees = card.temperature_c
    limit = "" if card.power_limit_w is None else f" / {card.power_limit_w:.0f}"
    power = None if card.power_w is None else f"{card.power_w:.0f}{limit} W"
    highest = "" if card.sm_clock_max_mhz is None else f" / {card.sm_clock_max_mhz}"
    clock = None if card.sm_clock_mhz is None else f"{card.sm_clock_mhz}{highest} MHz"
    shown = [
        ("gpu.metric.used", None if card.used_bytes is None else size(card.used_bytes), "used_bytes"),
        ("gpu.metric.free", None if card.free_bytes is None else size(card.free_bytes), "free_bytes"),
        ("gpu.metric.utilisation", None if busy is None else f"{busy} %", "utilisation_percent"),
        ("gpu.metric.bus", None if bus is None else f"{bus} %", "memory_utilisation_percent"),
        ("gpu.metric.temperature", None if degrees is None else f"{degrees} °C", "temperature_c"),
        ("gpu.metric.power", power, "power_w"),
        ("gpu.metric.clock", clock, "sm_clock_mhz"),
        ("gpu.metric.ecc", None if card.ecc_uncorrected is None else str(card.ecc_uncorrected), "ecc_uncorrected"),
    ]
    for row in (shown[:4], shown[4:]):
        for column, (label, value, field) in zip(st.columns(4), row, strict=True):
            with column:
                metric(card, label, value, field=field)


def draw_clock_reasons(card: GpuSnapshot) -> None:
    """Why the clocks are not at their highest: red and amber only for what slows work down."""
    for name in card.throttle or ():
        if name in ALERTS:
            st.error(t(f"gpu.throttle.{name}"), icon=":material/thermostat:")
        elif name in WARNINGS:
            st.warning(t(f"gpu.throttle.{name}"), icon=":material/bolt:")


def draw_host(host: HostSnapshot) -> None:
    """Memory and processor of the machine."""
    st.subheader(t("gpu.host"), anchor=False)
    memory_bar(host_segments(host))
    shown = [
        ("gpu.host.rss", size(host.rss_bytes), None),
        ("gpu.host.available", size(host.available_bytes), t("gpu.help.available", total=size(host.total_bytes))),
        ("gpu.host.cpu", percent(host.cpu_percent), t("gpu.help.cpu", cores=host.cores)),
        ("gpu.host.machine_cpu", percent(host.machine_cpu_percent), None),
        ("gpu.host.threads", str(host.threads or t("gpu.unknown")), None),
    ]
    for column, (label, value, help_text) in zip(st.columns(len(shown)), shown, strict=True):
        column.metric(t(label), value, help=help_text)


def percent(value: float | None) -> str:
    """A share in whole percent, or "not available"."""
    return t("gpu.unknown") if value is None else f"{value:.0f} %"


def draw_model(app: Application) -> None:
    """Which model is used, whether it is in memory yet, and its memory against the budget."""
    st.subheader(t("gpu.engine"), anchor=False)
    status = services.model_status(app)
    if not status.loaded:
        st.caption(plain(t("gpu.model.waiting", name=status.name)))
        return
    words = t(
        "gpu.model.loaded",
        name=status.name,
        device=status.device,
        dtype=status.dtype,
        millions=round((status.parameters or 0) / 1e6, 1),
        seconds=round(status.load_s or 0, 1),
    )
    st.caption(plain(words))
    if status.tenant is not None:
        engine_facts(status, status.tenant)


def draw_processes(sample: Sample) -> None:
    """Who is on the cards."""
    rows = [
        {
            t("gpu.process.card"): card_name(card),
            "PID": process.pid,
            t("gpu.process.name"): process.name or t("gpu.unknown"),
            t("gpu.process.memory"): size(process.memory_bytes),
            t("gpu.process.whose"): t("gpu.process.own" if process.own else "gpu.process.other"),
        }
        for card in sample.cards
        for process in card.processes or ()
    ]
    if rows:
        st.dataframe(pd.DataFrame(rows), hide_index=True, key="gpu-processes")
    else:
        st.caption(t("gpu.process.none"))


def draw_now(app: Application) -> None:
    """The latest reading of everything."""
    sample = app.monitor.snapshot()
    age_s = time.time() - sample.time_s
    if age_s > 5 * app.monitor.interval_s:
        st.warning(t("gpu.stale", seconds=round(age_s)), icon=":material/hourglass_disabled:")
    if sample.reason:
        st.info(plain(sample.reason), icon=":material/memory:")
    for card in sample.cards:
        draw_card(card)
    draw_model(app)
    draw_host(sample.host)


def draw_past(app: Application) -> None:
    """The history since somebody first looked, and who is on the cards."""
    sample, history, events = app.monitor.snapshot(), app.monitor.history(), app.monitor.events()
    st.subheader(t("gpu.history"), anchor=False)
    for position, card in enumerate(sample.cards):
        st.caption(plain(card_name(card)))
        card_history(history, events, position=position, key=f"gpu-history-{position}")
    st.caption(t("gpu.host"))
    host_history(history, events, key="gpu-history-host")
    st.subheader(t("gpu.events"), anchor=False)
    event_table(events, key="gpu-events")
    if sample.cards:
        st.subheader(t("gpu.processes"), anchor=False)
        draw_processes(sample)


def draw_flush(app: Application) -> None:
    """The button, what it can and cannot do, and what the last press brought back."""
    st.subheader(t("gpu.flush"), anchor=False)
    st.caption(t("gpu.flush.honest"))
    with st.container(horizontal=True):
        flushed = st.button(t("gpu.flush.button"), icon=":material/cleaning_services:", key="gpu-flush")
        draw_loading(app)
    if flushed:
        with shown_errors(), st.spinner(t("gpu.flush.waiting")):
            st.session_state[REPORT_KEY] = services.flush_memory(app)
            app.monitor.sample()
    if report := st.session_state.get(REPORT_KEY):
        draw_report(report)


def draw_loading(app: Application) -> None:
    """Buttons that let the model go or bring it in; the page is drawn anew afterwards."""
    choices: dict[str, tuple[str, Callable[[Application], object]]] = {"load": ("download", services.reload_model)}
    if services.model_status(app).loaded:
        choices = {"unload": ("eject", services.unload_model), "reload": ("sync", services.reload_model)}
    for name, (icon, action) in choices.items():
        words, help_text = t(f"gpu.engine.{name}"), t(f"gpu.engine.{name}.help")
        if st.button(words, icon=f":material/{icon}:", key=f"gpu-{name}", help=help_text):
            with shown_errors(), st.spinner(t("gpu.engine.waiting")):
                action(app)
                st.rerun()


def draw_report(report: FlushReport) -> None:
    """Before, after and the difference, a row a kind of memory."""
    before, after = report.before, report.after
    kinds = [
        ("gpu.flush.allocated", before.allocated_bytes, after.allocated_bytes),
        ("gpu.flush.reserved", before.reserved_bytes, after.reserved_bytes),
        ("gpu.flush.card", before.card_used_bytes, after.card_used_bytes),
        ("gpu.flush.rss", before.rss_bytes, after.rss_bytes),
    ]
    rows = [
        {
            t("gpu.flush.kind"): t(label),
            t("gpu.flush.before"): size(first),
            t("gpu.flush.after"): size(second),
            t("gpu.flush.freed"): size(first - second),
        }
        for label, first, second in kinds
        if first is not None and second is not None
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="gpu-flush-table")
    milliseconds = round(1000 * report.duration_s)
    st.caption(
        t("gpu.flush.done", duration=milliseconds, waited=round(1000 * report.waited_s), objects=report.objects)
        + ("" if report.trimmed else t("gpu.flush.untrimmed"))
    )


heading("gpu")
app = application()
paused = st.toggle(t("gpu.pause"), key="gpu-paused", help=t("gpu.pause.help"))
st.fragment(draw_now, run_every=None if paused else REFRESH_S)(app)
draw_flush(app)
st.fragment(draw_past, run_every=None if paused else HISTORY_REFRESH_S)(app)

"""The machine itself: memory by owner, processor, threads, and how many screens look."""

from __future__ import annotations

import streamlit as st

from core.gpu.records import HostSnapshot, SamplerStatus
from streamlit_app.components.gpu_gauge import host_segments, memory_bar, size
from streamlit_app.components.gpu_tiles import WARN, Tile, tiles
from streamlit_app.i18n import t

LOW_SHARE = 0.05
"""Of the machine's memory; with less available the system may begin to end processes."""


def host_panel(host: HostSnapshot, status: SamplerStatus) -> None:
    """Draw it, on any machine."""
    st.subheader(t("gpu.host"), anchor=False)
    memory_bar(host_segments(host))
    whole, left, cores = host.total_bytes, host.available_bytes, host.cores
    low = whole is not None and left is not None and left < LOW_SHARE * whole
    shown = [
        _sized("gpu.host.rss", host.rss_bytes, t("gpu.host.peak", size=size(host.peak_rss_bytes))),
        _sized("gpu.host.available", left, t("gpu.host.total", size=size(whole)), level=WARN if low else ""),
        _sized("gpu.host.swap", host.swap_bytes, ""),
        _share("gpu.host.cpu", host.cpu_percent, cores, about=t("gpu.help.cpu", cores=cores)),
        _share("gpu.host.machine_cpu", host.machine_cpu_percent, None, detail=t("gpu.host.cores", cores=cores)),
        Tile(t("gpu.host.threads"), None if host.threads is None else str(host.threads)),
        Tile(t("gpu.host.sessions"), str(status.sessions), about=t("gpu.help.sessions")),
    ]
    if host.worker_rss_bytes is not None:
        shown.insert(1, _sized("gpu.host.worker", host.worker_rss_bytes, _busy(host.worker_cpu_percent)))
    tiles(shown)


def _sized(label: str, size_bytes: int | None, detail: str, *, level: str = "") -> Tile:
    if size_bytes is None:
        return Tile(t(label), None)
    value, unit = size(size_bytes).split(" ")
    return Tile(t(label), value, unit, detail, level=level)


def _share(label: str, percent: float | None, cores: int | None, *, detail: str = "", about: str = "") -> Tile:
    share = None if percent is None else percent / (100 * (cores or 1))
    return Tile(t(label), None if percent is None else f"{percent:.0f}", "%", detail, share=share, about=about)


def _busy(percent: float | None) -> str:
    return "" if percent is None else f"CPU {percent:.0f} %"

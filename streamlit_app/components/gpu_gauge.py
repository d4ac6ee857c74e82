"""Memory as bars: the small gauge of the sidebar and the wide bar of a card."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from core.gpu.records import GpuSnapshot, HostSnapshot, Segment, memory_segments
from core.services import Application
from streamlit_app.i18n import t

REFRESH_S = 5
COLOURS = {
    "driver": "#8a97a6",
    "others": "#b5485d",
    "unattributed": "#b5485d",
    "outside_torch": "#7356b3",
    "torch_cached": "#7fb0e6",
    "torch_allocated": "#1f5fae",
    "process": "#1f5fae",
    "rest": "#b5485d",
    "budget_left": "rgba(138,151,166,.22)",
    "free": "rgba(138,151,166,.22)",
}


def size(size_bytes: int | float | None) -> str:
    """Bytes as GiB or MiB; a dash-like word when unknown."""
    if size_bytes is None:
        return t("gpu.unknown")
    if abs(size_bytes) >= 1024**3:
        return f"{size_bytes / 1024**3:.2f} GiB"
    return f"{size_bytes / 1024**2:.1f} MiB"


def card_name(card: GpuSnapshot) -> str:
    """How a card is called on screen, its MIG instance included."""
    name = f"GPU {card.index} · {card.name or t('gpu.unnamed')}"
    return name if card.mig_instance is None else f"{name} · MIG {card.mig_instance}"


def host_segments(host: HostSnapshot) -> tuple[Segment, ...]:
    """The machine's memory: this process, the rest in use, and what is available."""
    if host.total_bytes is None or host.available_bytes is None:
        return ()
    own = min(host.rss_bytes or 0, host.total_bytes - host.available_bytes)
    return (
        Segment("process", own),
        Segment("rest", host.total_bytes - host.available_bytes - own),
        Segment("free", host.available_bytes),
    )


def memory_bar(segments: Sequence[Segment], *, legend: bool = True) -> None:
    """A bar split by owner; with `legend`, the names and sizes below it."""
    total = sum(segment.size_bytes for segment in segments)
    if not total:
        st.caption(t("gpu.memory.unknown"))
        return
    parts, names = [], []
    for segment in segments:
        name = escape(f"{t(f'gpu.segment.{segment.kind}')} {size(segment.size_bytes)}", quote=True)
        colour = COLOURS[segment.kind]
        parts.append(f'<div title="{name}" style="width:{segment.size_bytes / total:.4%};background:{colour};"></div>')
        names.append(
            '<span style="display:inline-flex;align-items:center;gap:.35em;margin-right:1.1em;white-space:nowrap;">'
            f'<i style="width:.75em;height:.75em;border-radius:2px;background:{colour};"></i>{name}</span>'
        )
    height = "22px" if legend else "8px"
    bar = (
        f'<div role="img" aria-label="{escape(t("gpu.memory"), quote=True)}" style="display:flex;height:{height};'
        f'border-radius:4px;overflow:hidden;border:1px solid rgba(138,151,166,.4);">{"".join(parts)}</div>'
    )
    key = f'<div style="font-size:.85em;margin-top:.45em;line-height:1.8;">{"".join(names)}</div>' if legend else ""
    st.html(bar + key)


@st.fragment(run_every=REFRESH_S)
def gpu_gauge(app: Application) -> None:
    """One thin bar for each card, or for the host's memory where there is none; call it inside the sidebar."""
    sample = app.monitor.snapshot()
    for card in sample.cards:
        st.caption(f"{card_name(card)} — {size(card.used_bytes)} / {size(card.total_bytes)}")
        memory_bar(memory_segments(card), legend=False)
    if not sample.cards:
        host = sample.host
        st.caption(t("gpu.gauge.host", rss=size(host.rss_bytes), total=size(host.total_bytes)))
        memory_bar(host_segments(host), legend=False)

"""Memory as bars: the small gauge of the sidebar and the wide bar of a card; and how sizes and cards are named."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from uuid import uuid4

import streamlit as st

from core.gpu.records import GpuSnapshot, HostSnapshot, Sample, Segment, memory_segments
from core.services import Application
from streamlit_app.i18n import t

REFRESH_S = 5
READER_KEY = "gpu-reader"
GAUGED = 3
"""Cards that the sidebar has room for."""

# Told apart by colour-blind people too; every colour stands with its name below the wide bar.
COLOURS = {
    "driver": "#7d8590",
    "others": "#d55e00",
    "unattributed": "repeating-linear-gradient(45deg,#d55e00 0 5px,#b04d00 5px 10px)",
    "outside_torch": "#cc79a7",
    "torch_cached": "#56b4e9",
    "torch_allocated": "#0072b2",
    "process": "#0072b2",
    "worker": "#56b4e9",
    "rest": "#d55e00",
    "budget_left": "rgba(138,151,166,.22)",
    "free": "rgba(138,151,166,.22)",
}


def reading(app: Application) -> Sample:
    """The latest reading, asked for in the name of this session: the sampler runs while one does."""
    return app.monitor.snapshot(st.session_state.setdefault(READER_KEY, uuid4().hex))


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


def main_card(cards: Sequence[GpuSnapshot]) -> int:
    """The place of the card that matters most: that of the model, else the first that this process may use."""
    ranked = sorted(range(len(cards)), key=lambda place: (cards[place].torch is None, cards[place].visible is not True))
    return ranked[0] if ranked else 0


def host_segments(host: HostSnapshot) -> tuple[Segment, ...]:
    """The machine's memory: this process, that of the model, the rest in use, and what is available."""
    if host.total_bytes is None or host.available_bytes is None:
        return ()
    used = host.total_bytes - host.available_bytes
    own = min(host.rss_bytes or 0, used)
    worker = min(host.worker_rss_bytes or 0, used - own)
    parts = (
        Segment("process", own),
        Segment("worker", worker),
        Segment("rest", used - own - worker),
        Segment("free", host.available_bytes),
    )
    return tuple(part for part in parts if part.size_bytes or part.kind != "worker")


def bar_html(segments: Sequence[Segment], *, thin: bool = False) -> str:
    """The bar alone, for use inside other HTML."""
    total = sum(segment.size_bytes for segment in segments)
    parts = []
    for segment in segments if total else ():
        name = escape(f"{t(f'gpu.segment.{segment.kind}')} {size(segment.size_bytes)}", quote=True)
        style = f"width:{segment.size_bytes / total:.4%};background:{COLOURS[segment.kind]};"
        parts.append(f'<div title="{name}" style="{style}"></div>')
    told = escape("; ".join(f"{t(f'gpu.segment.{one.kind}')} {size(one.size_bytes)}" for one in segments), quote=True)
    look = "gpu-bar gpu-thin" if thin else "gpu-bar"
    height = "height:9px;" if thin else "height:24px;"
    return f'<div role="img" aria-label="{told}" class="{look}" style="display:flex;{height}">{"".join(parts)}</div>'


def memory_bar(segments: Sequence[Segment], *, legend: bool = True) -> None:
    """A bar split by owner; with `legend`, the names, sizes and shares below it."""
    total = sum(segment.size_bytes for segment in segments)
    if not total:
        st.caption(t("gpu.memory.unknown"))
        return
    names = []
    for one in segments if legend else ():
        share = f"{one.size_bytes / total:.0%}" if one.size_bytes >= 0.005 * total else "&lt;1%"
        names.append(
            f'<span><i style="background:{COLOURS[one.kind]};"></i>{escape(t(f"gpu.segment.{one.kind}"))} '
            f"{escape(size(one.size_bytes))} <em>{share}</em></span>"
        )
    key = f'<div class="gpu-legend">{"".join(names)}</div>' if legend else ""
    st.html(bar_html(segments, thin=not legend) + key)


@st.fragment(run_every=REFRESH_S)
def gpu_gauge(app: Application) -> None:
    """A thin bar for each card of ours, or for the host's memory where there is none; call it inside the sidebar."""
    sample = reading(app)
    ours = [card for card in sample.cards if card.visible is not False] or list(sample.cards)
    for card in ours[:GAUGED]:
        used, total = size(card.used_bytes), size(card.total_bytes)
        st.caption(f"{card_name(card)} — {t('gpu.gauge.lost') if card.problem else f'{used} / {total}'}")
        if not card.problem:
            memory_bar(memory_segments(card), legend=False)
    if len(ours) > GAUGED:
        st.caption(t("gpu.gauge.more", count=len(ours) - GAUGED))
    if not sample.cards:
        host = sample.host
        st.caption(t("gpu.gauge.host", rss=size(host.rss_bytes), total=size(host.total_bytes)))
        memory_bar(host_segments(host), legend=False)

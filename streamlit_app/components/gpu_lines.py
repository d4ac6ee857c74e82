"""Tables of the GPU page: one line a card, one a process, and the highest memory so far."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape

import streamlit as st

from core.gpu.records import CardPeak, GpuSnapshot, HostSnapshot, Peaks, memory_segments
from streamlit_app.components.gpu_gauge import bar_html, card_name, size
from streamlit_app.i18n import t


def lines_of(head: Sequence[tuple[str, str]], rows: Sequence[tuple[str, Sequence[tuple[str, str]]]]) -> None:
    """A table: (word, class) of each column, then the class and the cells (HTML, class) of each row."""
    top = "".join(f'<th class="{look}">{escape(word)}</th>' for word, look in head)
    body = "".join(
        f'<tr class="{look}">{"".join(f"<td class={chr(34)}{kind}{chr(34)}>{html}</td>" for html, kind in cells)}</tr>'
        for look, cells in rows
    )
    st.html(f'<table class="gpu-lines"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>')


def card_lines(cards: Sequence[GpuSnapshot]) -> None:
    """One line for each card: whose memory, load, heat, power, and whether it is ours."""
    head = [
        (t("gpu.process.card"), ""),
        (t("gpu.memory"), ""),
        (t("gpu.line.used"), "gpu-number"),
        ("GPU %", "gpu-number"),
        ("°C", "gpu-number"),
        ("W", "gpu-number"),
        (t("gpu.process.whose"), ""),
    ]
    lines_of(head, [("gpu-ours" if card.torch else "", _card_cells(card)) for card in cards])


def _card_cells(card: GpuSnapshot) -> list[tuple[str, str]]:
    name = escape(card_name(card))
    if card.problem and card.total_bytes is None:
        return (
            [(name, ""), (escape(card.problem), "gpu-bad")] + [("", "")] * 4 + [(escape(t("gpu.card.lost")), "gpu-bad")]
        )
    whose = "gpu.card.ours" if card.torch else "gpu.card.hidden" if card.visible is False else "gpu.card.free"
    numbers = [
        f"{size(card.used_bytes)} / {size(card.total_bytes)}",
        _number(card.utilisation_percent),
        _number(card.temperature_c),
        _number(None if card.power_w is None else round(card.power_w)),
    ]
    return [
        (name, ""),
        (bar_html(memory_segments(card), thin=True), "gpu-wide"),
        *((escape(one), "gpu-number") for one in numbers),
        (escape(t(whose)), ""),
    ]


def process_lines(cards: Sequence[GpuSnapshot]) -> None:
    """Who is on the cards, ours marked; or why nobody is listed."""
    listed = [(card, one) for card in cards for one in card.processes or ()]
    if not listed:
        hidden = any(card.own_source == "hidden" for card in cards)
        st.caption(t("gpu.process.hidden" if hidden else "gpu.process.none"))
        return
    head = [
        *([(t("gpu.process.card"), "")] if len(cards) > 1 else []),
        ("PID", "gpu-number"),
        (t("gpu.process.name"), ""),
        (t("gpu.process.user"), ""),
        (t("gpu.process.memory"), "gpu-number"),
        ("SM %", "gpu-number"),
        (t("gpu.process.whose"), ""),
    ]
    rows = []
    for card, one in listed:
        whose = t("gpu.process.own" if one.own else "gpu.process.other") + (
            f" · {t('gpu.process.graphics')}" if one.graphics else ""
        )
        cells = [
            *([(escape(f"GPU {card.index}"), "")] if len(cards) > 1 else []),
            (str(one.pid), "gpu-number"),
            (escape(one.name or t("gpu.unknown")), ""),
            (escape(one.user or t("gpu.unknown")), ""),
            (escape(size(one.memory_bytes)), "gpu-number"),
            (escape(_number(one.sm_percent)), "gpu-number"),
            (escape(whose), ""),
        ]
        rows.append(("gpu-ours" if one.own else "", cells))
    lines_of(head, rows)
    if any(card.own_source == "hidden" for card in cards):
        st.caption(t("gpu.process.hidden"))


def peak_lines(cards: Sequence[GpuSnapshot], host: HostSnapshot, peaks: tuple[Peaks, Peaks]) -> None:
    """The highest memory since the start and since the last reset, beside what is held now."""
    ever, recent = peaks
    since = datetime.fromtimestamp(recent.since_s).strftime("%H:%M:%S")
    head = [
        ("", ""),
        (t("gpu.peak.now"), "gpu-number"),
        (t("gpu.peak.recent", since=since), "gpu-number"),
        (t("gpu.peak.ever"), "gpu-number"),
    ]
    rows = []
    for card in (one for one in cards if one.torch is not None):
        torch, uuid, none = card.torch, card.uuid or "", CardPeak()
        then, most = recent.cards.get(uuid, none), ever.cards.get(uuid, none)
        held = card.own_bytes
        rows += [
            _peak(
                "gpu.peak.allocated",
                torch.allocated_bytes if torch else None,
                then.allocated_bytes,
                most.allocated_bytes,
            ),
            _peak(
                "gpu.peak.reserved", torch.reserved_bytes if torch else None, then.reserved_bytes, most.reserved_bytes
            ),
            _peak("gpu.peak.held", held, then.held_bytes, most.held_bytes),
        ]
    own = None if host.rss_bytes is None else host.rss_bytes + (host.worker_rss_bytes or 0)
    rows.append(_peak("gpu.peak.host", own, recent.host_bytes, max(ever.host_bytes, host.peak_rss_bytes or 0)))
    lines_of(head, rows)


def _peak(label: str, now: int | None, recent: int, ever: int) -> tuple[str, list[tuple[str, str]]]:
    values = [size(now), size(max(recent, now or 0)), size(max(ever, now or 0))]
    return "", [(escape(t(label)), ""), *((escape(one), "gpu-number") for one in values)]


def _number(value: int | None) -> str:
    return t("gpu.unknown") if value is None else str(value)

"""The picture of a proof without any library: lines over time as SVG, and the table of what held."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from core.gpu.records import Event, GpuSnapshot, Sample

WIDTH, HEIGHT, LEFT, TOP = 1100, 220, 70, 60
LINES: tuple[tuple[str, str, Callable[[GpuSnapshot], float | None]], ...] = (
    ("整卡已用 GiB", "#8a97a6", lambda card: None if card.used_bytes is None else card.used_bytes / 2**30),
    ("PyTorch 缓存 GiB", "#56b4e9", lambda card: card.torch.reserved_bytes / 2**30 if card.torch else None),
    ("PyTorch 使用 GiB", "#0072b2", lambda card: card.torch.allocated_bytes / 2**30 if card.torch else None),
)
LOAD: tuple[tuple[str, str, Callable[[GpuSnapshot], float | None]], ...] = (
    ("利用率 %", "#009e73", lambda card: card.utilisation_percent),
    ("温度 °C", "#e69f00", lambda card: card.temperature_c),
    ("功耗 W ÷ 10", "#cc79a7", lambda card: None if card.power_w is None else card.power_w / 10),
)


def monitor_html(
    history: Sequence[Sample], events: Sequence[Event], checks: Sequence[Mapping[str, Any]], reason: str
) -> str:
    """A page with the lines of the card that PyTorch used, the marks, and the checks; or why there is none."""
    rows = "".join(
        f"<tr><td>{'✓' if one['held'] else '✗'}</td><td>{escape(str(one['name']))}</td>"
        f"<td>{escape(str(one['detail']))}</td></tr>"
        for one in checks
    )
    pictures = "".join(_picture(history, events, lines) for lines in (LINES, LOAD)) if history else ""
    return (
        '<!doctype html><meta charset="utf-8"><title>GPU</title>'
        "<style>body{font:14px sans-serif;margin:2em}td{padding:.2em .8em}</style>"
        f"<p>{escape(reason)}</p>{pictures}<table>{rows}</table>"
    )


def _picture(
    history: Sequence[Sample],
    events: Sequence[Event],
    lines: Sequence[tuple[str, str, Callable[[GpuSnapshot], float | None]]],
) -> str:
    first, last = history[0].time_s, max(history[-1].time_s, history[0].time_s + 1)
    cards = [(sample.time_s, _card(sample)) for sample in history]
    values = [[(when, read(card)) for when, card in cards if card is not None] for _, _, read in lines]
    highest = max((value for line in values for _, value in line if value is not None), default=1.0) or 1.0

    def x(when: float) -> float:
        return LEFT + (WIDTH - LEFT - 10) * (when - first) / (last - first)

    def y(value: float) -> float:
        return TOP + HEIGHT - HEIGHT * value / highest

    parts = [
        f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="'
        + " ".join(f"{x(when):.1f},{y(value):.1f}" for when, value in line if value is not None)
        + '"/>'
        for (_, colour, _), line in zip(lines, values, strict=True)
    ]
    seen = ""
    for event in events:
        place = x(event.time_s)
        parts.append(f'<path d="M{place:.1f} {TOP}V{TOP + HEIGHT}" stroke="#999" stroke-dasharray="2 3"/>')
        if event.text != seen:
            seen = event.text
            turned = f'transform="rotate(-35 {place:.1f} {TOP - 4})"'
            parts.append(f'<text x="{place:.1f}" y="{TOP - 4}" font-size="11" {turned}>{escape(seen)}</text>')
    for number, (name, colour, _) in enumerate(lines):
        parts.append(f'<text x="{LEFT + 170 * number}" y="{TOP + HEIGHT + 18}" fill="{colour}">{escape(name)}</text>')
    parts.append(f'<text x="4" y="{TOP + 10}">{highest:.2f}</text><text x="4" y="{TOP + HEIGHT}">0</text>')
    return f'<svg width="{WIDTH}" height="{TOP + HEIGHT + 30}" font-family="sans-serif">{"".join(parts)}</svg>'


def _card(sample: Sample) -> GpuSnapshot | None:
    return next((card for card in sample.cards if card.torch), sample.cards[0] if sample.cards else None)

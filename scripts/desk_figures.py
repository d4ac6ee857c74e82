"""The table of docs/desk.md from what `scripts/time_desk.py` measured: `python -m scripts.desk_figures` prints it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from core.benchmark.texts import ROOT

FILE = ROOT / "data" / "benchmarks" / "desk" / "ui.json"
ACTIONS = {"open_s": "open", "filter_s": "leave out a type", "next_s": "next", "accept_s": "accept"}


def table(figures: Mapping[str, Any]) -> str:
    """The figures as Markdown; what misses its target is said to. What was not measured is left out."""
    parts = [_about(figures), _pages(figures), _big(figures.get("big_document")), _sessions(figures.get("sessions"))]
    return "\n\n".join(part for part in parts if part)


def _about(figures: Mapping[str, Any]) -> str:
    seen = [f"{value:g} ({stage})" for stage, value in figures["load"].items()]
    return (
        f"`{figures['command'].strip()}` on {figures['environment']['hardware']}, {figures['date']}, server and "
        f"browser on that machine; its load, which beyond its cores means that others worked too: {', '.join(seen)}."
    )


def _pages(figures: Mapping[str, Any]) -> str:
    pages, targets = figures.get("pages"), figures["targets"]
    if not pages:
        return ""
    lines = [
        "| page | first paint, s | drawn whole, s | drawn anew, s "
        "| work of opening: page + server, s | work of drawing anew |",
        f"|{' --- |' * 6}",
    ]
    for name, one in pages.items():
        first = _against(one["title_s"], targets["first_paint_s"])
        again = _against(one["again_s"], targets["interaction_s"])
        work = [
            f"{one[f'{kind}page_cpu_s']:.2f} + {one[f'{kind}server_cpu_s']:.2f}" if f"{kind}page_cpu_s" in one else "–"
            for kind in ("", "again_")
        ]
        lines.append(f"| {name} | {first} | {one['whole_s']:.2f} | {again} | {work[0]} | {work[1]} |")
    kept = [sum(one[key] <= targets[target] for one in pages.values()) for key, target in _TARGETS.items()]
    lines += [
        "",
        f"Within the targets: first paint in {targets['first_paint_s']:g} s on {kept[0]} of {len(pages)} pages, "
        f"drawn anew in {targets['interaction_s'] * 1000:g} ms on {kept[1]}.",
    ]
    cold = sum(not one.get("visits", 1) for one in pages.values())
    if cold:
        lines[-1] += f" Of {cold} pages these are the first visit, which also compiles them."
    return "\n".join(lines)


_TARGETS = {"title_s": "first_paint_s", "again_s": "interaction_s"}


def _big(figures: Mapping[str, Any] | None) -> str:
    if not figures:
        return ""
    lines = [
        f"A document of {figures['characters']:,} characters with {figures['spans']:,} findings:",
        "",
        f"| page | {' | '.join(f'{what}, s' for what in ACTIONS.values())} |",
        f"| --- |{' --- |' * len(ACTIONS)}",
    ]
    for name, one in figures.items():
        if isinstance(one, Mapping):
            cells = (f"{one[key]:.2f}" if key in one else "–" for key in ACTIONS)
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _sessions(figures: Mapping[str, Any] | None) -> str:
    if not figures:
        return ""
    times = " and ".join(f"{one:.1f} s" for one in figures["all_answered_s"])
    grown = " and ".join(f"{one:.1f} MiB" for one in figures["mib_a_session"])
    return (
        f"{figures['sessions']} sessions that run a text of their own at once, twice: all answered after {times}, "
        f"{figures['mixed']} with another's text; the server grew by {grown} a session."
    )


def _against(value: float, target: float) -> str:
    return f"{value:.2f}" if value <= target else f"{value:.2f} (missed)"


if __name__ == "__main__":
    print(table(json.loads(FILE.read_text("utf-8"))))

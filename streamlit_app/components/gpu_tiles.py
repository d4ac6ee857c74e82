"""Small framed numbers: a value, what it is measured against, and where it cannot be read, why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import streamlit as st

from streamlit_app.i18n import t

GOOD, WARN, BAD = "", "gpu-warn", "gpu-bad"


@dataclass(frozen=True, slots=True)
class Tile:
    """One number; `value` None: not available, `why` says the reason. `share` (0 to 1) draws a meter, `mark` on it.

    `about` explains what the number means, on pointing at it and for screen readers.
    """

    label: str
    value: str | None
    unit: str = ""
    detail: str = ""
    share: float | None = None
    mark: float | None = None
    level: str = GOOD
    about: str = ""
    why: str = ""


def tiles(shown: Sequence[Tile]) -> None:
    """Draw tiles side by side, as many as fit."""
    st.html(f'<div class="gpu-tiles">{"".join(map(tile_html, shown))}</div>')


def tile_html(tile: Tile) -> str:
    """One tile; all texts escaped."""
    if tile.value is None:
        reason = tile.why or t("gpu.missing")
        body = f'<strong class="gpu-none">{escape(t("gpu.unknown"))}</strong><p>{escape(reason)}</p>'
        about = f"{tile.label}: {reason}"
        level = GOOD
    else:
        body = f"<strong>{escape(tile.value)}<small>{escape(tile.unit)}</small></strong>{_meter(tile)}"
        body += f"<p>{escape(tile.detail)}</p>" if tile.detail else ""
        about = tile.about
        level = tile.level
    hint = f' title="{escape(about, quote=True)}" tabindex="0"' if about else ""
    return f'<div class="gpu-tile {level}"{hint}><h4>{escape(tile.label)}</h4>{body}</div>'


def chips(facts: Sequence[tuple[str, str, str]], *, title: str = "") -> None:
    """Facts in a row after their `title`: name, value, level."""
    parts = [
        f'<span class="{level}"><b>{escape(name)}</b>{escape(value)}</span>' if name else
        f'<span class="{level}">{escape(value)}</span>'
        for name, value, level in facts
    ]  # fmt: skip
    st.html(f'<div class="gpu-chips"><em>{escape(title)}</em>{"".join(parts)}</div>')


def _meter(tile: Tile) -> str:
    if tile.share is None:
        return ""
    mark = "" if tile.mark is None else f'<u style="left:{min(1.0, max(0.0, tile.mark)):.1%}"></u>'
    return f'<div class="gpu-meter"><i style="width:{min(1.0, max(0.0, tile.share)):.1%}"></i>{mark}</div>'

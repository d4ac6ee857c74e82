"""Annotations -> escaped HTML: the text with its spans coloured, and a legend. Pure; class names are a closed set.

The only classes are rex-text, rex-span, rex-chip, rex-point, rex-legend, rex-c0 … rex-c11 (colour) and
rex-d0 … rex-d3 (how many spans lie inside). Nothing of the user's reaches an attribute but `title`, escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from zlib import crc32

from core.palette import DARK, LIGHT, PALETTE, ink_on, line_on, tint
from core.polarity import NEGATIVE, NEUTRAL, POSITIVE, polarity
from core.types import Annotation

_DEEPEST = 3
_POLARITY = {NEUTRAL: 0, POSITIVE: 2, NEGATIVE: 5}
"""Blue, green and vermilion: good and bad look the same everywhere."""

# `light-dark` follows the page's own theme; text keeps the page's colour, so only tints and lines differ.
STYLES = (
    "<style>"
    ".rex-text{white-space:pre-wrap;overflow-wrap:anywhere;line-height:2.15}"
    ".rex-span{border-radius:3px 3px 0 0;border-bottom:2px solid light-dark(var(--rex-line),var(--rex-line-dark));"
    "background:light-dark(var(--rex-light),var(--rex-dark))}"
    ".rex-chip{display:inline-block;margin:0 3px 0 2px;padding:0 5px;border-radius:3px;font-size:.7em;"
    "line-height:1.5;vertical-align:.15em;white-space:pre-wrap;user-select:none;color:var(--rex-ink);"
    "background:var(--rex-colour)}"
    ".rex-point{border-left:3px double var(--rex-ink)}"
    ".rex-legend{display:flex;flex-wrap:wrap;gap:4px;margin:0 0 8px}"
    + "".join(f".rex-d{depth}{{padding-bottom:{1 + 3 * depth}px}}" for depth in range(_DEEPEST + 1))
    + "".join(
        f".rex-c{index}{{--rex-colour:{colour};--rex-ink:{ink_on(colour)};--rex-line:{line_on(colour, LIGHT[0])};"
        f"--rex-line-dark:{line_on(colour, DARK[0])};--rex-light:{tint(colour, LIGHT, most=0.22)};"
        f"--rex-dark:{tint(colour, DARK, most=0.4)}}}"
        for index, colour in enumerate(PALETTE)
    )
    + "</style>"
)


@dataclass(frozen=True, slots=True)
class _Mark:
    """A span to draw: `label` is what its chip says, `title` what its tooltip says.

    It has the colour of its `type`, which of an aspect is what is felt towards it.
    """

    start: int
    end: int
    type: str
    label: str
    title: str


def type_colour(type: str, types: Iterable[str] = ()) -> str:
    """The colour of a type as "#rrggbb", the same in every run; within `types` no two share one (up to 12)."""
    return PALETTE[_colour_index(type, types)]


def legend(types: Iterable[str]) -> str:
    """One chip for each type, in order."""
    shown = tuple(dict.fromkeys(types))
    colours = _colour_indices(shown)
    chips = "".join(f'<span class="rex-chip rex-c{colours[type]}">{escape(type)}</span>' for type in shown)
    return f'<div class="rex-legend">{chips}</div>'


def highlight(
    text: str, annotations: Sequence[Annotation], *, types: Iterable[str] = (), part: tuple[int, int] | None = None
) -> str:
    """The text as HTML with every span of `annotations` and of their children drawn.

    Spans may nest, cross and be empty: the text is cut at every boundary, and each piece is wrapped by all
    spans that cover it, longest outside, shorter ones lying within its underline. A chip naming the type
    follows each span's end. Annotations without a span are named on their parent's chip. Spans are clipped
    to the text. Give `types` (the schema's) to keep colours equal to those of `legend(types)`.
    Of a long text `part`, the start and end of a stretch, is drawn alone, with what lies in it.
    """
    first, last = part or (0, len(text))
    marks = sorted(
        _within(_marks(annotations, len(text)), first, last, len(text)),
        key=lambda mark: (mark.start, -mark.end, mark.type, mark.label),
    )
    colours = _colour_indices((*types, *sorted({mark.type for mark in marks})))
    ends: dict[int, list[_Mark]] = {}
    for mark in marks:
        ends.setdefault(mark.end, []).append(mark)
    boundaries = sorted({first, last, *(mark.start for mark in marks), *ends})
    parts = ['<div class="rex-text">']
    waiting, active = iter(marks), list[_Mark]()
    upcoming = next(waiting, None)
    for position, following in zip(boundaries, [*boundaries[1:], last], strict=True):
        # Spans that end here, the inner ones first.
        parts.extend(_chip(mark, colours) for mark in reversed(ends.get(position, [])) if mark.start < mark.end)
        active = [mark for mark in active if mark.end > position]
        while upcoming is not None and upcoming.start == position:
            if upcoming.start == upcoming.end:
                parts.append(_chip(upcoming, colours))
            else:
                active.append(upcoming)
            upcoming = next(waiting, None)
        parts.append(_piece(text[position:following], active, colours))
    parts.append("</div>")
    return "".join(parts)


def _marks(annotations: Iterable[Annotation], length: int) -> list[_Mark]:
    """Every distinct span to draw; equal spans of one type and label become one with the best score."""
    best: dict[tuple[int, int, str, str], float] = {}
    for annotation in _walk(annotations):
        if annotation.start is None or annotation.end is None:
            continue
        start = min(max(annotation.start, 0), length)
        end = min(max(annotation.end, start), length)
        classes = [child.type for child in annotation.children if child.start is None]
        kind = next(filter(polarity, classes), annotation.type)
        key = (start, end, kind, " · ".join([annotation.type, *classes]))
        best[key] = max(best.get(key, 0.0), annotation.score)
    return [
        _Mark(start, end, type, label, f"{label}　{score:.2f}") for (start, end, type, label), score in best.items()
    ]


def _within(marks: Iterable[_Mark], first: int, last: int, length: int) -> Iterator[_Mark]:
    """The marks of a part, clipped to it; an empty one stands where its place is shown."""
    for mark in marks:
        if mark.start == mark.end:
            inside = first <= mark.start < last or mark.start == last == length
        else:
            inside = mark.start < last and mark.end > first
        if inside:
            whole = first <= mark.start and mark.end <= last
            yield mark if whole else replace(mark, start=max(mark.start, first), end=min(mark.end, last))


def _walk(annotations: Iterable[Annotation]) -> Iterator[Annotation]:
    for annotation in annotations:
        yield annotation
        yield from _walk(annotation.children)


def _piece(text: str, covering: Sequence[_Mark], colours: dict[str, int]) -> str:
    html = escape(text)
    if not text:
        return ""
    inside_out = sorted(covering, key=lambda mark: mark.end - mark.start)
    for depth, mark in enumerate(inside_out):
        classes = f"rex-span rex-c{colours[mark.type]} rex-d{min(depth, _DEEPEST)}"
        html = f'<span class="{classes}" title="{escape(mark.title)}">{html}</span>'
    return html


def _chip(mark: _Mark, colours: dict[str, int]) -> str:
    point = " rex-point" if mark.start == mark.end else ""
    classes = f"rex-chip rex-c{colours[mark.type]}{point}"
    return f'<span class="{classes}" title="{escape(mark.title)}">{escape(mark.label)}</span>'


def _colour_index(type: str, types: Iterable[str]) -> int:
    return _colour_indices((*types, type))[type]


def _colour_indices(types: Iterable[str]) -> dict[str, int]:
    """Each type's place in the palette: by a stable hash, moved on while an earlier type holds the place.

    What is good or bad has a place of its own, before all others.
    """
    indices: dict[str, int] = {}
    for type in sorted(dict.fromkeys(types), key=lambda one: polarity(one) is None):
        index = _POLARITY.get(polarity(type) or "", crc32(type.encode("utf-8", "backslashreplace")) % len(PALETTE))
        if len(indices) < len(PALETTE):
            while index in indices.values():
                index = (index + 1) % len(PALETTE)
        indices[type] = index
    return indices

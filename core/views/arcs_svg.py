"""Lines of text with arcs over them, as SVG. Pure; what users wrote is escaped and never reaches an attribute."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from core.rendering import type_colour
from core.views.arcs import LABEL, MARGIN, Arc, Line, Link, Piece, Side, Word, width

EM = 15.0
LANE, ROW, TEXT, DEPTH = 21.0, 17.0, 21.0, 4.0
CLEAR = 7.0
"""Between the lowest lane and the names, so that arrows are seen below a label."""
AIR = 8.0
FOLD = 26.0
ROUND = 6.0
SHORTEST = 12.0
"""Ems that a picture of short lines has all the same, so that what is said of lines left out fits in."""
# A line keeps its colour but is drawn towards the ink of the theme, so that it stands out on white and on black.
STYLES = """<style>
.rexg{display:block;max-width:100%;height:auto;color:inherit;overflow:visible}
.rexg text{fill:currentColor;white-space:pre;font-size:15px}
.rexg .mark{fill:var(--mark);fill-opacity:.2}
.rexg .under{fill:var(--mark)}
.rexg .chip{fill:var(--paper);stroke:var(--mark)}
.rexg .chip-tint{fill:var(--mark);fill-opacity:.22}
.rexg text.name{font-size:11.5px}
.rexg .line{fill:none;stroke:color-mix(in srgb,var(--mark) 72%,currentColor);stroke-width:1.5}
.rexg .leg{fill:color-mix(in srgb,var(--mark) 72%,currentColor)}
.rexg .back{fill:var(--paper)}
.rexg text.label{font-size:12px;text-anchor:middle}
.rexg text.fold{font-size:12px;text-anchor:middle;opacity:.7}
.rexg .arc:hover .line{stroke-width:3}.rexg .arc:hover text{font-weight:700}
.rexg{--paper:var(--st-background-color,var(--desk-paper,light-dark(#fff,#12171e)))}
</style>"""


def arcs_svg(
    text: str,
    rows: Sequence[Line | int],
    words: Sequence[Word],
    links: Sequence[Link],
    *,
    fold: str,
    alt: str,
    types: Iterable[str] = (),
) -> str:
    """One picture of `rows` (as `arcs.shown` gives them); every arc tells its score under the pointer.

    `fold` is what stands for lines left out, with `{count}`; `alt` what the picture is called; `types` keep colours
    equal to those of other pictures of the schema.
    """
    colours = _colours(words, types)
    inks = _inks(words, links, colours)
    wide = max(
        [SHORTEST]
        + [max([row.places[-1], *(arc.room[1] for arc in row.arcs)]) for row in rows if isinstance(row, Line)]
    )
    parts: list[str] = []
    top = 4.0
    for row in rows:
        if isinstance(row, int):
            middle = (wide / 2 + MARGIN) * EM
            parts.append(
                f'<text class="fold" x="{middle:.1f}" y="{top + 15:.1f}">{escape(fold.format(count=row))}</text>'
            )
            top += FOLD
            continue
        base = top + row.lanes * LANE + (CLEAR if row.arcs else 0) + row.rows * ROW + TEXT
        parts += [_mark(piece, base, colours[piece.word]) for piece in sorted(row.pieces, key=lambda one: -one.end)]
        parts.append(_text(text, row, base))
        parts += [
            _arc(arc, row, base, text, words, links, inks[arc.link])
            for arc in sorted(row.arcs, key=lambda one: -one.lane)
        ]
        parts += [_name(piece, base, words[piece.word], colours[piece.word]) for piece in row.pieces]
        depth = max((piece.depth for piece in row.pieces), default=0)
        top = base + AIR + depth * DEPTH + AIR
    wide_px = (wide + 2 * MARGIN) * EM + 4
    size = f'width="{wide_px:.0f}" height="{top:.0f}" viewBox="0 0 {wide_px:.0f} {top:.0f}"'
    return f'<svg class="rexg" role="img" aria-label="{escape(alt)}" {size}>{"".join(parts)}</svg>'


def _said(words: str, kind: str, x: float, y: float) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(words)}</text>'


def _x(place: float) -> float:
    return (place + MARGIN) * EM + 2


def _colours(words: Sequence[Word], types: Iterable[str]) -> list[str]:
    known = tuple(dict.fromkeys([*types, *sorted({name for word in words for name in word.types})]))
    return [type_colour(word.types[0], known) if word.types else "#8a97a6" for word in words]


def _inks(words: Sequence[Word], links: Sequence[Link], colours: Sequence[str]) -> list[str]:
    """The colour of each arc: its source's, but its relation's where all sources are of one type."""
    if len({words[link.source].types for link in links}) > 1:
        return [colours[link.source] for link in links]
    names = sorted({link.labels[0][0] for link in links})
    return [type_colour(link.labels[0][0], names) for link in links]


def _text(text: str, row: Line, base: float) -> str:
    """The characters between two bounds of words in one run, as wide as was reckoned with."""
    bounds = {0, row.end - row.start}
    for piece in row.pieces:
        bounds |= {_index(row, piece.start), _index(row, piece.end)}
    cuts = sorted(bounds)
    runs = []
    for begin, end in zip(cuts, cuts[1:], strict=False):
        shown = text[row.start + begin : row.start + end].replace("\n", "").replace("\t", " ")
        wide = (row.places[end] - row.places[begin]) * EM
        if shown and wide > 0:
            runs.append(
                f'<tspan x="{_x(row.places[begin]):.1f}" textLength="{wide:.1f}" lengthAdjust="spacingAndGlyphs">'
                f"{escape(shown)}</tspan>"
            )
    return f'<text y="{base - 5:.1f}">{"".join(runs)}</text>'


def _index(row: Line, place: float) -> int:
    return row.places.index(place)


def _mark(piece: Piece, base: float, colour: str) -> str:
    left, wide = _x(piece.start), max((piece.end - piece.start) * EM, 2.0)
    under = base + piece.depth * DEPTH
    return (
        f'<g style="--mark:{colour}"><rect class="mark" x="{left:.1f}" y="{base - TEXT + 1:.1f}" width="{wide:.1f}" '
        f'height="{TEXT - 1 + piece.depth * DEPTH:.1f}" rx="3"/>'
        f'<rect class="under" x="{left:.1f}" y="{under:.1f}" width="{wide:.1f}" height="2"/></g>'
    )


def _name(piece: Piece, base: float, word: Word, colour: str) -> str:
    if not word.types:
        return ""
    name = " · ".join(word.types)
    left, wide = _x(piece.start), _name_width(word)
    top = _top(piece, base)
    return (
        f'<g style="--mark:{colour}"><title>{escape(name)}　{word.score:.2f}</title>'
        f'<rect class="chip" x="{left:.1f}" y="{top + 1:.1f}" width="{wide:.1f}" height="{ROW - 2:.1f}" rx="3"/>'
        f'<rect class="chip-tint" x="{left:.1f}" y="{top + 1:.1f}" width="{wide:.1f}" height="{ROW - 2:.1f}" rx="3"/>'
        f"{_said(name, 'name', left + 4, top + ROW - 5)}</g>"
    )


def _top(piece: Piece, base: float) -> float:
    return base - TEXT - (piece.row + 1) * ROW


def _arc(arc: Arc, row: Line, base: float, text: str, words: Sequence[Word], links: Sequence[Link], ink: str) -> str:
    link = links[arc.link]
    high = base - TEXT - row.rows * ROW - CLEAR - (arc.lane + 1) * LANE + LANE / 2 + 2
    left, right = _x(arc.start), _x(arc.end)
    corner = min(ROUND, (right - left) / 2)
    sides: tuple[Side, ...] = ("start", "end")
    feet = {
        side: _foot(row, words, base, word=_word_at(arc, link, side), x=left if side == "start" else right)
        for side in sides
        if side != arc.leaves
    }
    begin = f"M{left:.1f} {high:.1f}"
    if arc.leaves != "start":
        begin = (
            f"M{left:.1f} {feet['start']:.1f}V{high + corner:.1f}Q{left:.1f} {high:.1f} {left + corner:.1f} {high:.1f}"
        )
    finish = f"H{right:.1f}"
    if arc.leaves != "end":
        finish = f"H{right - corner:.1f}Q{right:.1f} {high:.1f} {right:.1f} {high + corner:.1f}V{feet['end']:.1f}"
    head = ""
    if arc.head:
        x, y = (left if arc.head == "start" else right), feet[arc.head]
        head = f'<path class="leg" d="M{x - 4:.1f} {y - 7:.1f}L{x + 4:.1f} {y - 7:.1f}L{x:.1f} {y:.1f}Z"/>'
    middle = _x(arc.middle)
    half = width(arc.label) * LABEL * EM / 2 + 2
    return (
        f'<g class="arc" style="--mark:{ink}"><title>{escape(_told(link, text, words))}</title>'
        f'<path class="line" d="{begin}{finish}"/>{head}'
        f'<rect class="back" x="{middle - half:.1f}" y="{high - 8:.1f}" width="{2 * half:.1f}" height="16"/>'
        f"{_said(arc.label, 'label', middle, high + 4)}</g>"
    )


def _foot(row: Line, words: Sequence[Word], base: float, *, word: int, x: float) -> float:
    """How far down a leg on `word` reaches: to its name, or beside a name that is shorter, to the word itself."""
    piece = next(piece for piece in row.pieces if piece.word == word)
    name = _x(piece.start) + _name_width(words[word])
    return _top(piece, base) if words[word].types and x <= name else base - TEXT + 1


def _name_width(word: Word) -> float:
    return width(" · ".join(word.types)) * LABEL * EM + 8


def _word_at(arc: Arc, link: Link, side: Side) -> int:
    if arc.leaves:
        return link.target if arc.head else link.source
    return link.target if arc.head == side else link.source


def _told(link: Link, text: str, words: Sequence[Word]) -> str:
    source, target = words[link.source], words[link.target]
    labels = "、".join(f"{name} {score:.2f}" for name, score in link.labels)
    return f"{text[source.start : source.end]} —{labels}→ {text[target.start : target.end]}"

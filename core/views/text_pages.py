"""Long texts in pages, cut where no finding is cut. Pure. Offsets are code points."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate

CHARACTERS = 3_000
SPANS = 300
"""What one page holds at most, so that a browser draws it at once."""
_ENDS = ("\n", "。！？!?；;", "，,、 ")
"""Characters behind which a text is cut, the best first."""


def pages_of(
    text: str, spans: Iterable[tuple[int, int]], *, characters: int = CHARACTERS, most: int = SPANS
) -> list[tuple[int, int]]:
    """Start and end of each page; joined they are the text.

    A page has at most `characters` characters and `most` beginnings of spans. It ends behind a line, else a sentence,
    else a phrase in its second half, and in no span, unless one is longer than half a page.
    """
    found = sorted(set(spans))
    covered = _covered(len(text), found)
    starts = [start for start, _ in found]
    pages, start = [], 0
    while start < len(text):
        limit = min(start + characters, len(text))
        beginning = bisect_left(starts, start)
        if beginning + most < len(starts):
            limit = min(limit, max(starts[beginning + most], start + 1))
        cut = limit if limit == len(text) else _cut(text, start, limit, covered)
        pages.append((start, cut))
        start = cut
    return pages or [(0, 0)]


def _covered(length: int, spans: Iterable[tuple[int, int]]) -> list[int]:
    """For each place between two characters, how many spans a cut there would divide."""
    changes = [0] * (length + 2)
    for start, end in spans:
        first, last = max(start, 0) + 1, min(end, length)
        if first < last:
            changes[first] += 1
            changes[last] -= 1
    return list(accumulate(changes))


def _cut(text: str, start: int, limit: int, covered: list[int]) -> int:
    places = range(limit, start + max((limit - start) // 2, 1) - 1, -1)
    for ends in _ENDS:
        for place in places:
            if not covered[place] and text[place - 1] in ends:
                return place
    return next((place for place in places if not covered[place]), limit)

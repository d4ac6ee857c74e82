"""Where the words, lines and arcs of a text with relations go, so that no two arcs cover one another. Pure.

Places along a line are in ems: a Chinese character is one wide. A lane is a height above the line, 0 the lowest.
Offsets are code points of the document.
"""

from __future__ import annotations

import math
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from core.types import Annotation
from core.views.findings import base_name, note_of, walk

Side = Literal["", "start", "end"]
LATIN = 0.56
LABEL = 0.8
"""How large labels are beside the text."""
NAME = 10
"""Characters that a label keeps of the word at the other end of an arc; the whole word is told under the pointer."""
GAP = 0.5
"""The least distance between two arcs, or two labels, of one lane."""
MARGIN = 1.0
"""How far arcs to other lines reach beyond the text."""
KEPT = 12
"""So many lines are always drawn; of more, only those that have a word in them."""


@dataclass(frozen=True, slots=True)
class Word:
    """A stretch of text that something was found in; `types` are its names, none for what only plays a role."""

    start: int
    end: int
    types: tuple[str, ...] = ()
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Link:
    """An arrow between two words, by their places in the list of words; `labels` with the score of each."""

    source: int
    target: int
    labels: tuple[tuple[str, float], ...]

    @property
    def label(self) -> str:
        """What stands on the arrow."""
        return "、".join(name for name, _ in self.labels)


@dataclass(frozen=True, slots=True)
class Piece:
    """The part of a word that lies on one line; `row` is the row of its name above the text, `depth` how deep below."""

    word: int
    start: float
    end: float
    row: int = 0
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Arc:
    """The part of a link that lies on one line: from `start` to `end`, in `lane`.

    Where it leaves the line, `leaves` is that end, which lies at the line's border, and the label names the word at the
    other end. `head` is the end with the arrow's head, none where that is on another line. No label reaches beyond
    `limit`, which is where the longest line ends, unless it is wider than that.
    """

    link: int
    start: float
    end: float
    lane: int
    label: str
    leaves: Side = ""
    head: Side = ""
    limit: float = math.inf

    @property
    def middle(self) -> float:
        """Where the middle of its label stands: in the middle of the arc, but not beyond the borders."""
        half = width(self.label) * LABEL / 2
        return max(min((self.start + self.end) / 2, self.limit - half), half - MARGIN)

    @property
    def room(self) -> tuple[float, float]:
        """What it takes of its lane, label included."""
        half = width(self.label) * LABEL / 2
        return min(self.start, self.middle - half), max(self.end, self.middle + half)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text with what is drawn on it; `start` and `end` are offsets of the document."""

    start: int
    end: int
    places: tuple[float, ...]
    pieces: tuple[Piece, ...] = ()
    arcs: tuple[Arc, ...] = ()

    @property
    def lanes(self) -> int:
        """How many lanes its arcs take."""
        return 1 + max((arc.lane for arc in self.arcs), default=-1)

    @property
    def rows(self) -> int:
        """How many rows its names take."""
        return 1 + max((piece.row for piece in self.pieces), default=-1)


@lru_cache(maxsize=8192)
def _character_width(character: str) -> float:
    if character == "\n" or unicodedata.category(character) in ("Mn", "Me", "Cf", "Cc"):
        return 0.0
    return 1.0 if unicodedata.east_asian_width(character) in "WFA" else LATIN


def width(text: str) -> float:
    """How wide `text` is about, in ems."""
    return sum(map(_character_width, text))


def graph_of(annotations: Iterable[Annotation]) -> tuple[list[Word], list[Link]]:
    """The words of annotation trees in text order, and an arrow from each parent to each child that has a place.

    A child that plays a role, as `胜者`, has no name of its own; one with a note, as `配偶(人物)`, is of that type.
    """
    types: dict[tuple[int, int], dict[str, float]] = {}
    found: dict[tuple[tuple[int, int], tuple[int, int]], dict[str, float]] = {}
    for node in walk(annotations):
        one = node.annotation
        if one.start is None or one.end is None or one.start >= one.end:
            continue
        names = types.setdefault((one.start, one.end), {})
        name = (note_of(one.type) or "") if node.above else base_name(one.type)
        if name:
            names[name] = max(names.get(name, 0.0), one.score)
        parent = node.above[-1] if node.above else None
        if parent is not None and parent.start is not None and parent.end is not None and parent.start < parent.end:
            labels = found.setdefault(((parent.start, parent.end), (one.start, one.end)), {})
            label = base_name(one.type)
            labels[label] = max(labels.get(label, 0.0), one.score)
    places = sorted(types)
    index = {place: number for number, place in enumerate(places)}
    words = [Word(*place, tuple(types[place]), max(types[place].values(), default=0.0)) for place in places]
    links = [
        Link(index[source], index[target], tuple(sorted(labels.items(), key=lambda one: (-one[1], one[0]))))
        for (source, target), labels in found.items()
    ]
    return words, sorted(links, key=lambda link: (link.source, link.target))


def lines_of(text: str, words: Sequence[Word], links: Sequence[Link], *, columns: float) -> list[Line]:
    """The whole text in lines of at most `columns` ems, with words and arcs placed. Words lie within the text.

    A line ends at a line feed, else before a word rather than in it; joined, the lines are the text.
    """
    bare = _broken(text, words, columns)
    pieces, arcs = _pieces(bare, words), _placed(text, bare, words, links)
    return [
        replace(line, pieces=tuple(_rows(pieces.get(number, []), words)), arcs=tuple(_lanes(arcs.get(number, []))))
        for number, line in enumerate(bare)
    ]


def shown(lines: Sequence[Line]) -> list[Line | int]:
    """The lines to draw: all of few, else those with words; a number stands for so many lines left out there."""
    if len(lines) <= KEPT:
        return list(lines)
    found: list[Line | int] = []
    for line in lines:
        if line.pieces:
            found.append(line)
        elif found and isinstance(found[-1], int):
            found[-1] += 1
        else:
            found.append(1)
    return found


def _broken(text: str, words: Sequence[Word], columns: float) -> list[Line]:
    lines: list[Line] = []
    start, places = 0, [0.0]
    first = 0  # words before this one have ended
    for position, character in enumerate(text):
        end = places[-1] + _character_width(character)
        if end > columns and position > start:
            while first < len(words) and words[first].end <= start:
                first += 1
            cut = _before_words(position, start, words[first:])
            lines.append(Line(start, cut, tuple(places[: cut - start + 1])))
            places = [place - places[cut - start] for place in places[cut - start :]]
            start, end = cut, places[-1] + _character_width(character)
        places.append(end)
        if character == "\n":
            lines.append(Line(start, position + 1, tuple(places)))
            start, places = position + 1, [0.0]
    if start < len(text) or not lines:
        lines.append(Line(start, len(text), tuple(places)))
    return lines


def _before_words(position: int, start: int, words: Sequence[Word]) -> int:
    """The last place up to `position` that is in no word; `position` itself where that would leave nothing."""
    cut = position
    while cut > start:
        inside = []
        for word in words:
            if word.start >= cut:
                break
            if word.end > cut:
                inside.append(word.start)
        if not inside:
            return cut
        cut = min(inside)
    return position


def _pieces(lines: Sequence[Line], words: Sequence[Word]) -> dict[int, list[Piece]]:
    """The words, or the parts of words, on each line."""
    starts = [line.start for line in lines]
    found: dict[int, list[Piece]] = {}
    for index, word in enumerate(words):
        number = max(bisect_right(starts, word.start) - 1, 0)
        while number < len(lines) and lines[number].start < word.end:
            line = lines[number]
            begin, end = max(word.start, line.start), min(word.end, line.end)
            piece = Piece(index, line.places[begin - line.start], line.places[end - line.start])
            found.setdefault(number, []).append(piece)
            number += 1
    return found


def _rows(pieces: Sequence[Piece], words: Sequence[Word]) -> list[Piece]:
    """Names above the text in as few rows as hold them, and underlines below one another where words share text."""
    rows: list[list[tuple[float, float]]] = []
    depths: list[list[tuple[float, float]]] = []
    placed = {}
    for piece in sorted(pieces, key=lambda one: (one.end - one.start, one.start)):
        name = width(" · ".join(words[piece.word].types)) * LABEL
        room = (piece.start, max(piece.end, piece.start + name))
        row = _free(rows, room) if words[piece.word].types else 0
        placed[piece] = replace(piece, row=row, depth=_free(depths, (piece.start + 0.01, piece.end - 0.01), gap=0.0))
    return [placed[piece] for piece in pieces]


def _placed(text: str, lines: Sequence[Line], words: Sequence[Word], links: Sequence[Link]) -> dict[int, list[Arc]]:
    """Every link as one arc, or as two where its words are on different lines."""
    starts = [line.start for line in lines]
    of_word = [max(bisect_right(starts, word.start) - 1, 0) for word in words]
    ends = _ends(lines, words, links, of_word)
    limit = max(line.places[-1] for line in lines) + MARGIN
    arcs: dict[int, list[Arc]] = {}
    for number, link in enumerate(links):
        source, target = ends[number, 0], ends[number, 1]
        one, other = of_word[link.source], of_word[link.target]
        if one == other:
            head: Side = "start" if target < source else "end"
            arc = Arc(number, min(source, target), max(source, target), 0, link.label, head=head, limit=limit)
            arcs.setdefault(one, []).append(arc)
            continue
        for line, place, far in ((one, source, link.target), (other, target, link.source)):
            right = of_word[far] > line
            name = text[words[far].start : words[far].end].replace("\n", " ")
            name = name if len(name) <= NAME else f"{name[:NAME]}…"
            leaves_source = far == link.target
            label = f"{link.label} → {name}" if leaves_source else f"{name} → {link.label}"
            wanted = max(lines[line].places[-1], place + width(label) * LABEL) + MARGIN
            border = min(wanted, limit) if right else -MARGIN
            head = "" if leaves_source else "start" if right else "end"
            ends_at: Side = "end" if right else "start"
            arc = Arc(number, min(place, border), max(place, border), 0, label, ends_at, head, limit)
            arcs.setdefault(line, []).append(arc)
    return arcs


def _ends(
    lines: Sequence[Line], words: Sequence[Word], links: Sequence[Link], of_word: Sequence[int]
) -> dict[tuple[int, int], float]:
    """Where on its word each end of each link stands: side by side, so that the legs of two arcs do not cross."""
    at: dict[int, list[tuple[tuple[int, int], tuple[int, int]]]] = {}
    for number, link in enumerate(links):
        far = words[link.target].start - words[link.source].start
        at.setdefault(link.source, []).append((_order(far), (number, 0)))
        at.setdefault(link.target, []).append((_order(-far), (number, 1)))
    places = {}
    for word, its in at.items():
        line = lines[of_word[word]]
        begin = line.places[words[word].start - line.start]
        end = line.places[min(words[word].end, line.end) - line.start]
        for place, (_, key) in enumerate(sorted(its), 1):
            places[key] = begin + (end - begin) * place / (len(its) + 1)
    return places


def _order(far: int) -> tuple[int, int]:
    """To the left before to the right; the nearest to the left first and the nearest to the right last."""
    return (0, -far) if far < 0 else (1, -far)


def _lanes(arcs: Sequence[Arc]) -> list[Arc]:
    lanes: list[list[tuple[float, float]]] = []
    placed = {}
    for arc in sorted(arcs, key=lambda one: (one.room[1] - one.room[0], one.start, one.link)):
        placed[arc] = replace(arc, lane=_free(lanes, arc.room))
    return [placed[arc] for arc in arcs]


def _free(taken: list[list[tuple[float, float]]], room: tuple[float, float], *, gap: float = GAP) -> int:
    """The lowest lane with room; it is taken."""
    for number, lane in enumerate(taken):
        if all(room[1] + gap <= start or end + gap <= room[0] for start, end in lane):
            lane.append(room)
            return number
    taken.append([room])
    return len(taken) - 1

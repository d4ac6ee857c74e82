"""Which words of a text are candidates and which are pronouns: what was chosen, and what may be. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from core.mentions import pronouns_in
from core.types import Document, Span

CANDIDATE, PRONOUN = "candidate", "pronoun"
KINDS = (CANDIDATE, PRONOUN)


@dataclass(frozen=True, slots=True)
class Mark:
    """A word of the text; `on`: it takes part."""

    start: int
    end: int
    kind: str
    on: bool = True


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks of one text, none on another, in text order."""

    text: str
    marks: tuple[Mark, ...] = field(default=())

    def spans(self, kind: str) -> tuple[Span, ...]:
        """The words of one kind that take part."""
        return tuple(
            Span(one.start, one.end, self.text[one.start : one.end])
            for one in self.marks
            if one.on and one.kind == kind
        )


def of_document(document: Document) -> Marks:
    """The marks that a document brings, and its other pronouns as suggestions."""
    given = [Mark(one.start, one.end, CANDIDATE) for one in document.candidates]
    given += [Mark(one.start, one.end, PRONOUN) for one in document.pronouns]
    return suggest(_fitted(document.text, given), _pronouns(document.text))


def for_text(marks: Marks, text: str) -> Marks:
    """The marks for a text that has changed: the same words are sought in it again, every place of each."""
    if marks.text == text:
        return marks
    words = dict.fromkeys((marks.text[one.start : one.end], one.kind) for one in marks.marks if one.on)
    again = [
        Mark(found.start(), found.end(), kind) for word, kind in words for found in re.finditer(re.escape(word), text)
    ]
    return suggest(_fitted(text, again), _pronouns(text))


def suggest(marks: Marks, others: Iterable[Mark]) -> Marks:
    """The marks with more to choose from, where nothing is marked yet."""
    return _fitted(marks.text, [*marks.marks, *others])


def turn(marks: Marks, mark: Mark) -> Marks:
    """One word chosen or let go; whatever it lies on is no longer marked."""
    if not 0 <= mark.start < mark.end <= len(marks.text) or mark.kind not in KINDS:
        return marks
    return _fitted(marks.text, [mark, *marks.marks])


def turn_all(marks: Marks, on: bool) -> Marks:
    """Every word that may be chosen, chosen or let go."""
    return replace(marks, marks=tuple(replace(one, on=on) for one in marks.marks))


def candidate_marks(spans: Iterable[Span]) -> list[Mark]:
    """Spans as suggestions of candidates."""
    return [Mark(one.start, one.end, CANDIDATE, on=False) for one in spans]


def pieces(marks: Marks) -> list[dict[str, Any]]:
    """The whole text in pieces, each a word that is marked or what lies between."""
    cut: list[dict[str, Any]] = []
    place = 0
    for one in marks.marks:
        if place < one.start:
            cut.append({"start": place, "text": marks.text[place : one.start], "kind": "", "on": False})
        cut.append({"start": one.start, "text": marks.text[one.start : one.end], "kind": one.kind, "on": one.on})
        place = one.end
    if place < len(marks.text):
        cut.append({"start": place, "text": marks.text[place:], "kind": "", "on": False})
    return cut


def _pronouns(text: str) -> list[Mark]:
    return [Mark(one.start, one.end, PRONOUN, on=False) for one in pronouns_in(text)]


def _fitted(text: str, marks: Sequence[Mark]) -> Marks:
    """Those of the marks that lie in the text and on no earlier one of the list."""
    taken = bytearray(len(text))
    kept = []
    for one in marks:
        if 0 <= one.start < one.end <= len(text) and not any(taken[one.start : one.end]):
            taken[one.start : one.end] = b"\x01" * (one.end - one.start)
            kept.append(one)
    return Marks(text, tuple(sorted(kept, key=lambda one: one.start)))

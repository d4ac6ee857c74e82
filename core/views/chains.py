"""Coreference as chains of words that stand for the same. Pure.

Offsets are code points of the document.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.types import Annotation

REFERS = "指代"


@dataclass(frozen=True, slots=True)
class Member:
    """One word of a chain; `score` is how sure the model is that the pronoun belongs here, None for a candidate."""

    start: int
    end: int
    text: str
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Chain:
    """Words that stand for the same: places of one candidate and the pronouns for it, in text order."""

    name: str
    members: tuple[Member, ...]


def chains_of(annotations: Sequence[Annotation]) -> tuple[list[Chain], list[Member]]:
    """Chains in text order, and the pronouns that stand for none of the candidates.

    A pronoun goes to the candidate that it most surely stands for; candidates of the same words are one chain.
    """
    best: dict[tuple[int, int, str], tuple[float, Annotation]] = {}
    lone: dict[tuple[int, int, str], Member] = {}
    for one in annotations:
        place = _place(one)
        if place is None:
            continue
        lone.setdefault(place, Member(*place))
        for candidate in one.children:
            if one.type == REFERS and candidate.score > best.get(place, (-1.0, one))[0]:
                best[place] = (candidate.score, candidate)
    groups: dict[str, dict[tuple[int, int], Member]] = {}
    for (start, end, text), (score, candidate) in best.items():
        group = groups.setdefault(candidate.text, {})
        group[(start, end)] = Member(start, end, text, score)
        for other in _same_words(candidate.text, annotations):
            group.setdefault((other.start, other.end), other)
    chains = [
        Chain(name, tuple(sorted(group.values(), key=lambda one: (one.start, one.end))))
        for name, group in groups.items()
    ]
    chains.sort(key=lambda chain: chain.members[0].start)
    return chains, [member for place, member in lone.items() if place not in best]


def chain_names(chains: Sequence[Chain]) -> list[str]:
    """A name for each chain, by which its members are coloured: its number and its candidate."""
    return [f"{number} {chain.name}" for number, chain in enumerate(chains, 1)]


def chain_marks(chains: Sequence[Chain], lone: Iterable[Member], *, none: str) -> list[Annotation]:
    """The members as spans to draw, each of the type of its chain; `none` names those of no chain."""
    marks = [
        Annotation(name, one.start, one.end, one.text, 1.0 if one.score is None else one.score)
        for name, chain in zip(chain_names(chains), chains, strict=True)
        for one in chain.members
    ]
    return marks + [Annotation(none, one.start, one.end, one.text, 0.0) for one in lone]


def _same_words(words: str, annotations: Iterable[Annotation]) -> list[Member]:
    found = {
        place: Member(*place)
        for one in annotations
        for child in one.children
        if child.text == words and (place := _place(child)) is not None
    }
    return list(found.values())


def _place(one: Annotation) -> tuple[int, int, str] | None:
    return None if one.start is None or one.end is None else (one.start, one.end, one.text)

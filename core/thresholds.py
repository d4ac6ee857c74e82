"""A stored result at another threshold, without asking the model again. Pure.

Of extraction the findings at a higher threshold are those whose whole chain exceeds it: what a run with that threshold
gives, as long as the schema has one level or its second level was asked the same questions. Of a choice one answer is
always given. Of a lower threshold only the candidates are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from core.types import AnnotatedDocument, Annotation, Candidate, Path

CHOICES = ("sentiment", "classification", "hierarchy", "matching", "nli", "coref")
"""Tasks that give one answer to each question, however low its score."""

PART_CHOICES = ("atsc", "mrc")
"""Tasks whose questions below a finding (a polarity, an option) are answered so."""

OPEN_ENDED = ("ee",)
"""Tasks in which a finding stands without what is asked below it: an event without roles."""


def at_threshold(result: AnnotatedDocument, threshold: float) -> AnnotatedDocument:
    """The result with the findings that exceed `threshold`; all others are among its candidates, best first.

    At the threshold of the run, or below, the findings stay as they are: see `revealed`.
    """
    if result.task in CHOICES:
        return _chosen(result, threshold)
    standing = tuple(_standing(result.annotations, result.task, threshold))
    if standing == result.annotations:
        return result
    left = {_key(chain) for chain in chains(standing)}
    fallen = [Candidate(chain[-1], chain[:-1]) for chain in chains(result.annotations) if _key(chain) not in left]
    near = sorted([*fallen, *result.candidates], key=lambda one: -one.annotation.score)
    paths = tuple(path for path in result.paths if _stands(path, result.task, threshold, fallen))
    return replace(result, annotations=standing, paths=paths, candidates=tuple(near))


def revealed(result: AnnotatedDocument, threshold: float, *, asked: float) -> tuple[Candidate, ...]:
    """The candidates that exceed `threshold` but not the one that the run was `asked` with, best first.

    Not those of choices, where another answer was given.
    """
    return tuple(
        one
        for one in result.candidates
        if threshold < one.annotation.score <= asked and not is_alternative(result.task, one)
    )


def is_alternative(task: str, one: Candidate) -> bool:
    """Whether the candidate is an answer that was not chosen, so that no threshold alone makes it a finding."""
    return task in CHOICES or (task in PART_CHOICES and bool(one.above))


def chains(annotations: Iterable[Annotation], above: tuple[Annotation, ...] = ()) -> Iterator[tuple[Annotation, ...]]:
    """Every annotation behind those above it, all without children, parents first."""
    for one in annotations:
        chain = (*above, replace(one, children=()))
        yield chain
        yield from chains(one.children, chain)


def _standing(annotations: Iterable[Annotation], task: str, threshold: float) -> Iterator[Annotation]:
    for one in annotations:
        question = task == "mrc" and one.start is None  # its option was chosen: it is answered in any case
        if question or (task == "atsc" and one.score > threshold):
            yield one
        elif one.score > threshold:
            below = tuple(_standing(one.children, task, threshold))
            if below or not one.children or task in OPEN_ENDED:
                yield replace(one, children=below)


def _stands(path: Path, task: str, threshold: float, fallen: list[Candidate]) -> bool:
    """Whether a path in the reference's form still says what the annotations say."""
    if task in PART_CHOICES and path[-1].text.startswith("["):  # a class: it goes with the aspect that it judges
        return not any(path[-1].type.startswith(f"属性“{one.annotation.text}”的") for one in fallen)
    return min(link.score for link in path) > threshold


def _chosen(result: AnnotatedDocument, threshold: float) -> AnnotatedDocument:
    """One level, one window, one answer: of the classes whose links all fire the most confident, else of all."""
    flat = not any(one.above for one in result.candidates) and len(result.paths) == len(result.annotations) == 1
    if not flat or len(result.paths[0]) != 1 or result.windows != 1 or not result.candidates:
        return result
    (was,), (answer,) = result.paths[0], result.annotations
    every = [Candidate(answer, (), was.confidence), *result.candidates]
    firing = [one for one in every if one.annotation.score > threshold] or every
    best = min(firing, key=lambda one: (-one.confidence, one.annotation.type))
    if best.annotation == answer:
        return result
    link = replace(was, type=best.annotation.type, score=best.annotation.score, confidence=best.confidence)
    others = sorted((one for one in every if one is not best), key=lambda one: -one.annotation.score)
    return replace(result, annotations=(best.annotation,), paths=((link,),), candidates=tuple(others))


def _key(chain: Iterable[Annotation]) -> tuple[tuple[str, int | None, int | None], ...]:
    return tuple((one.type, one.start, one.end) for one in chain)

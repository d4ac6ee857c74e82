"""One document: its task's requests become prompts, level by level; the answers become annotations."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice

import numpy as np

from core.errors import InputError, RexError
from core.inference.decoding import Fired, temper
from core.inference.prompts import PieceEncoder, Prompt
from core.inference.recursion import Limits, read
from core.schemas.schema import Schema
from core.tasks import CLASSIFY, EXTRACT, Answer, Task
from core.types import AnnotatedDocument, Document, Link, Path

DocumentRun = Generator[list[Prompt], list[Fired], AnnotatedDocument]
ASKED_AS = {("atsc", EXTRACT): "absa", ("mrc", CLASSIFY): "choice"}
"""Whose temperature a request takes when it is not its task's own: what is asked is what that family was judged by."""


@dataclass(frozen=True, slots=True)
class Item:
    """A document and what to look for in it."""

    document: Document
    task: Task
    schema: Schema


def read_document(
    item: Item, pieces: PieceEncoder, *, limits: Limits, temperatures: Mapping[str, float]
) -> DocumentRun:
    """Yields the prompts of a level, takes what fired in each, returns the result. Raises RexError at the first step
    when nothing can be asked.
    """
    document = item.document
    if not document.text.strip():
        what = f"文档 {document.id} 没有文字" if document.id else "正文为空"
        raise InputError(f"{what}：请输入要分析的内容")
    steps = item.task.plan(document, item.schema)
    answers: list[Answer] | None = None
    while True:
        try:
            requests = steps.send(answers)  # type: ignore[arg-type]
        except StopIteration as stop:
            finding = stop.value
            break
        warmth = [temperature(item.task, request.mode, temperatures) for request in requests]
        readers = [
            read(request, pieces, link_limits(limits, value)) for request, value in zip(requests, warmth, strict=True)
        ]
        heard = yield from _side_by_side(readers)
        answers = [_tempered(answer, value) for answer, value in zip(heard, warmth, strict=True)]
    return AnnotatedDocument(
        document=document,
        task=item.task.name,
        annotations=finding.annotations,
        windows=max((answer.windows for answer in finding.answers), default=1),
        paths=tuple(path for answer in finding.answers for path in answer.paths),
        notes=tuple(dict.fromkeys(note for answer in finding.answers for note in answer.notes)),
        candidates=finding.candidates,
    )


def unread(item: Item, error: RexError) -> AnnotatedDocument:
    """The result of a document that could not be read."""
    return AnnotatedDocument(item.document, item.task.name, (), error=str(error))


def temperature(task: Task, mode: str, temperatures: Mapping[str, float]) -> float:
    """Of the scores of a request; 1 for the reference's form, which no checkpoint has a temperature for."""
    return temperatures.get(ASKED_AS.get((task.name, mode), task.name), 1.0)


@lru_cache(maxsize=64)
def link_limits(limits: Limits, temperature: float) -> Limits:
    """The limits with the threshold, and the floor, that link probabilities must exceed for scores to exceed those.

    A temperature that lifts weak scores does not lower the floor: at 8, nearly every link would be a candidate.
    """
    if temperature == 1.0:
        return limits

    def link(score: float) -> float:
        return float(temper(np.array(score), 1 / temperature))

    floor = None if limits.floor is None else max(limits.floor, link(limits.floor))
    return replace(limits, threshold=link(limits.threshold), floor=floor)


def _tempered(answer: Answer, temperature: float) -> Answer:
    """The answer with calibrated scores; `confidence`, the reference's mean, stays as it is.

    After the choices: a score is the weakest link, so that dividing it divides all of them, and classes are still
    chosen as without a temperature.
    """
    if temperature == 1.0 or not (answer.paths or answer.near):
        return answer

    every = (*answer.paths, *answer.near)
    # All at once: temper costs more to call than to do.
    scores = iter(temper(np.array([link.score for path in every for link in path]), temperature).tolist())
    warm: list[Path] = [
        tuple(Link(one.type, one.start, one.end, one.text, next(scores), one.confidence) for one in path)
        for path in every
    ]
    found = len(answer.paths)
    return replace(answer, paths=tuple(warm[:found]), near=tuple(warm[found:]))


def _side_by_side(
    readers: list[Generator[list[Prompt], list[Fired], Answer]],
) -> Generator[list[Prompt], list[Fired], list[Answer]]:
    """Run the readers of one document together, so that their prompts share a level."""
    if len(readers) == 1:
        return [(yield from readers[0])]
    answers: dict[int, Answer] = {}
    waiting: dict[int, list[Prompt]] = {}

    def step(number: int, fired: list[Fired] | None) -> None:
        try:
            waiting[number] = readers[number].send(fired)  # type: ignore[arg-type]
        except StopIteration as stop:
            waiting.pop(number, None)
            answers[number] = stop.value

    for number in range(len(readers)):
        step(number, None)
    while waiting:
        fired = iter((yield [prompt for needed in waiting.values() for prompt in needed]))
        for number, needed in list(waiting.items()):
            step(number, list(islice(fired, len(needed))))
    return [answers[number] for number in range(len(readers))]

"""The figures of one set and task: the measure its task is judged by, and what stands beside it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.evaluation.calibration import expected_calibration_error
from core.evaluation.evaluate import GoldRecord, as_paths
from core.evaluation.metrics import Paths, Scores, complete, of_types, score, without_offsets
from core.evaluation.reading import exact_match, overlap_f1
from core.schemas.schema import Schema
from core.tasks import CLASS_MARKERS, TASKS, Finding, Plan, Request, Task
from core.types import Document
from core.types import Path as FoundPath

EXTRACTION = ("ner", "re", "ee", "absa")
F1, ACCURACY, EXACT = "F1", "准确率", "EM / 字符 F1"


@dataclass(frozen=True, slots=True)
class Figures:
    """`value` is what the task is judged by, `second` the character F1 of reading comprehension.

    `loose_f1` is the F1 of extraction without offsets (type and text of every link alone).
    """

    metric: str
    value: float
    scores: Scores
    second: float | None = None
    loose_f1: float | None = None


def as_labelled(name: str) -> Task:
    """The task that asks of a record's text what the product asks there, offsets counted in that text.

    A marker at the beginning decides the mode, events may lack roles, several labels need only fire; all other
    classes are the reference's final choice (SPEC 7.6, 9).
    """

    def plan(document: Document, schema: Schema) -> Plan:
        for mode, marker in CLASS_MARKERS.items():
            if document.text.startswith(marker):
                body = document.text.removeprefix(marker)
                answers = yield [Request(body, schema, mode, reduce=name != "multilabel")]
                return Finding((), tuple(answers))
        answers = yield [Request(document.text, schema, incomplete=name == "ee")]
        return Finding((), tuple(answers))

    return replace(TASKS["rex"], name=name, plan=plan)


def predictions(task: str, found: Sequence[FoundPath]) -> Paths:
    """The paths that are scored; of several answers to one question of reading comprehension the surest alone."""
    if task != "mrc":
        return as_paths(found)
    best: dict[str, FoundPath] = {}
    for path in sorted(found, key=weakest):
        best[path[0].type] = path
    return as_paths(best.values())


def weakest(path: FoundPath) -> float:
    """The confidence of a path: its weakest link."""
    return min(link.score for link in path)


def measure(
    task: str, records: Sequence[GoldRecord], *, found: Sequence[Paths], types: Collection[str] | None = None
) -> Figures:
    """Score what was found in each record, for paths that begin with one of `types` (None: all).

    ner, re, ee, absa: micro F1 over strict whole paths; paths that stop above a leaf are dropped on both sides
    (`metrics.complete`). multilabel: micro F1 over labels. mrc: exact match, and character F1 beside it. All other
    tasks: accuracy, the share of records with exactly the gold paths.
    """
    gold = [of_types(record.gold, types) for record in records]
    given = [of_types(paths, types) for paths in found]
    if task in EXTRACTION:
        gold = [complete(paths, record.schema) for paths, record in zip(gold, records, strict=True)]
        given = [complete(paths, record.schema) for paths, record in zip(given, records, strict=True)]
    pairs = list(zip(gold, given, strict=True))
    scores = score(pairs)
    if task in EXTRACTION:
        loose = score((without_offsets(wanted), without_offsets(got)) for wanted, got in pairs)
        return Figures(F1, scores.f1, scores, loose_f1=loose.f1)
    if task == "multilabel":
        return Figures(F1, scores.f1, scores)
    if task == "mrc":
        exact, overlap = _answers(records, gold, given)
        return Figures(EXACT, exact, scores, second=overlap)
    return Figures(ACCURACY, scores.accuracy, scores)


def _answers(records: Sequence[GoldRecord], gold: Sequence[Paths], found: Sequence[Paths]) -> tuple[float, float]:
    """Mean exact match and character F1 over all questions, which are the types of the schemas."""
    marks: list[tuple[float, float]] = []
    for record, wanted, given in zip(records, gold, found, strict=True):
        for question in (one.name for one in record.schema.types):
            right = {path[0][1] for path in wanted if path[0][0] == question}
            answer = next((path[0][1] for path in given if path[0][0] == question), None)
            marks.append((exact_match(answer, right), overlap_f1(answer, right)))
    exact, overlap = np.array(marks).reshape(-1, 2).sum(axis=0) / max(len(marks), 1)
    return float(exact), float(overlap)


def confidence_error(task: str, records: Sequence[GoldRecord], *, found: Sequence[Sequence[FoundPath]]) -> float | None:
    """Expected calibration error of the confidences of all paths that were given; None without any.

    Extraction: of the whole paths only, as they are scored.
    """
    confidences: list[float] = []
    correct: list[bool] = []
    for record, paths in zip(records, found, strict=True):
        for path in paths:
            (key,) = as_paths([path])
            if task not in EXTRACTION or complete(frozenset({key}), record.schema):
                confidences.append(weakest(path))
                correct.append(key in record.gold)
    return expected_calibration_error(np.array(confidences), np.array(correct)) if correct else None

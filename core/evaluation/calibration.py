"""How far confidences are from the share that is right, and the temperature that brings them nearer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from core.inference.decoding import sigmoid, temper

COLDEST, HOTTEST = 0.25, 8.0
"""Bounds of a fitted temperature: beyond them a few hundred answers cannot tell one from another."""

SURE = 1e-12
"""Confidences are kept this far from 0 and 1 while fitting: a certain one that is wrong would cost without end."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers whose confidence lies in (low, high], the first bin [0, high]: their mean confidence and share right."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


def reliability(confidences: np.ndarray, correct: np.ndarray, *, bins: int = 15) -> tuple[Bin, ...]:
    """The filled ones of `bins` equal bins, for a plot of accuracy over confidence.

    confidences: (N,) in [0, 1]; correct: (N,) bool. Raises ValueError when they do not fit together.
    """
    return tuple(_bins(*_checked(confidences, correct), bins))


def expected_calibration_error(confidences: np.ndarray, correct: np.ndarray, *, bins: int = 15) -> float:
    """Mean distance of confidence and share right over equal bins, weighted by count, in [0, 1]; 0 without answers.

    confidences: (N,) in [0, 1]; correct: (N,) bool. Raises ValueError when they do not fit together.
    """
    scores, right = _checked(confidences, correct)
    gaps = (one.count * abs(one.confidence - one.accuracy) for one in _bins(scores, right, bins))
    return float(sum(gaps)) / max(len(scores), 1)


def fit_temperature(confidences: np.ndarray, correct: np.ndarray) -> float:
    """The T in [0.25, 8] that makes sigmoid(logit(c) / T) most likely (Guo et al. 2017, arXiv 1706.04599).

    confidences: (N,) in [0, 1], the weakest of several link probabilities, which T keeps in order; correct: (N,) bool.
    1 without answers. Raises ValueError when they do not fit together.
    """
    scores, right = _checked(confidences, correct)
    if not len(scores):
        return 1.0
    scores = np.clip(scores, SURE, 1 - SURE)
    logits = np.log(scores) - np.log1p(-scores)
    # The loss is convex in 1 / T, so the sign of its slope says on which side the best one lies.
    low, high = 1 / HOTTEST, 1 / COLDEST
    for _ in range(60):
        middle = (low + high) / 2
        if float(((sigmoid(logits * middle) - right) * logits).sum()) > 0:
            high = middle
        else:
            low = middle
    return 2 / (low + high)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A temperature fitted on some answers, and the calibration error of others without and with it."""

    temperature: float
    fitted_on: int
    judged_on: int
    before: float
    after: float


def judge_temperature(confidences: np.ndarray, correct: np.ndarray, *, judged: np.ndarray, bins: int = 15) -> Judgement:
    """Fit on the answers outside `judged`, (N,) bool, and report the error of those inside."""
    chosen = np.asarray(judged, bool)
    scores, right = _checked(confidences, correct)
    temperature = fit_temperature(scores[~chosen], right[~chosen])
    warm = temper(scores[chosen], temperature)
    return Judgement(
        temperature=temperature,
        fitted_on=int((~chosen).sum()),
        judged_on=int(chosen.sum()),
        before=expected_calibration_error(scores[chosen], right[chosen], bins=bins),
        after=expected_calibration_error(warm, right[chosen], bins=bins),
    )


def _bins(scores: np.ndarray, right: np.ndarray, bins: int) -> Iterator[Bin]:
    edges = np.linspace(0.0, 1.0, bins + 1)
    places = np.clip(np.searchsorted(edges, scores, side="left") - 1, 0, bins - 1)
    for place in np.unique(places):
        here = places == place
        yield Bin(
            low=float(edges[place]),
            high=float(edges[place + 1]),
            count=int(here.sum()),
            confidence=float(scores[here].mean()),
            accuracy=float(right[here].mean()),
        )


def _checked(confidences: np.ndarray, correct: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scores, right = np.asarray(confidences, np.float64), np.asarray(correct, np.float64)
    if scores.ndim != 1 or scores.shape != right.shape:
        raise ValueError(f"confidences {scores.shape} and correct {right.shape} must be two rows of one length")
    if not ((scores >= 0) & (scores <= 1)).all():
        raise ValueError("confidences must lie in [0, 1]")
    return scores, right

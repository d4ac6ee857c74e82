"""What a batch costs in GPU memory: base + token · B·L + cell · B·L², fitted to measured batches (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SAFETY = 1.1
"""Predictions stand this far above the worst measured batch: shapes between the measured ones may cost more."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A measured batch: `rows` prompts of `width` tokens took `size_bytes` more than was held before."""

    rows: int
    width: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Cost:
    """Bytes that a batch takes on top of the weights: `base`, per token, and per pair of tokens."""

    base: float
    token: float
    cell: float

    def row_bytes(self, width: int) -> float:
        """What one more prompt of `width` tokens takes."""
        return self.token * width + self.cell * width * width

    def predict(self, rows: int, width: int) -> int:
        """Bytes of a batch of `rows` prompts of `width` tokens."""
        return int(self.base + rows * self.row_bytes(width)) + 1

    def rows_within(self, room_bytes: int, width: int) -> int:
        """The most prompts of `width` tokens that fit into `room_bytes`; 0 when not even one does."""
        rows = max(0, int((room_bytes - self.base) / max(self.row_bytes(width), 1.0)))
        while rows and self.predict(rows, width) > room_bytes:
            rows -= 1
        return rows


UNMEASURED = Cost(base=64 * 2**20, token=96 * 2**10, cell=256.0)
"""Before calibration, for a base-size network in float32: 12 heads of scores and both position tables."""


def fit(samples: Sequence[Sample]) -> Cost:
    """The cost that explains the samples best and undercuts none of them; raises ValueError without samples."""
    if not samples:
        raise ValueError("no samples")
    tokens = np.array([one.rows * one.width for one in samples], float)
    cells = np.array([one.rows * one.width**2 for one in samples], float)
    sizes = np.array([one.size_bytes for one in samples], float)
    columns = np.stack((np.ones_like(tokens), tokens, cells), axis=1)
    # No term may be negative: a batch never gets cheaper by growing. Drop the worst one until none is.
    used = [0, 1, 2]
    terms = np.zeros(3)
    while used:
        scale = np.maximum(columns[:, used].max(axis=0), 1.0)
        solved = np.linalg.lstsq(columns[:, used] / scale, sizes, rcond=None)[0] / scale
        if (solved >= 0).all():
            terms[used] = solved
            break
        used.pop(int(np.argmin(solved * scale)))
    predicted = columns @ terms
    low = sizes > predicted
    # What the line undercuts is made up for by stretching it, or by its base where it says nothing.
    stretch = float((sizes[low] / np.maximum(predicted[low], 1.0)).max()) if low.any() and predicted.min() > 0 else 1.0
    terms = terms * stretch * SAFETY
    missing = float((sizes - columns @ terms).max())
    return Cost(float(terms[0]) + max(0.0, missing), float(terms[1]), float(terms[2]))

"""What the device found in a batch → the spans and classes of every prompt (SPEC 6, 7.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.inference.decoding import Fired, sigmoid
from core.inference.packing import Packed, Raw
from core.inference.prompts import Prompt

MAX_CANDIDATES = 2**20
"""Pairs of a span and a type that are matched at once: a low threshold on long texts fires without end."""


@dataclass(frozen=True, slots=True)
class Matched:
    """What fired in the prompts of one batch, prompt by prompt.

    spans: (S, 3) int32 rows (head, tail, number of the type in its prompt); probabilities: (S, 3) of span, head and
    tail link; bounds: (B + 1,) int64, where the spans of each prompt begin. classes: (M', 3) probabilities, one row
    for every type of a class prompt; class_bounds: (B + 1,) int64, the same for them.
    """

    spans: np.ndarray
    probabilities: np.ndarray
    bounds: np.ndarray
    classes: np.ndarray
    class_bounds: np.ndarray


def match(raw: Raw, packed: Packed) -> Matched:
    """What fired: a span of a type needs head → tail, head → [TYPE] and [TYPE] → tail (SPEC 6).

    All prompts at once: for every span the types its head links to, of which those stay that link to its tail.
    """
    values = sigmoid(raw.values)
    width, marks = packed.width, packed.marks
    edges = np.searchsorted(marks[:, 0], np.arange(packed.rows + 1))
    numbers, rows, columns = raw.cells.T.astype(np.int64)
    begin = packed.text_starts[numbers]
    from_type, to_type = rows < begin, columns < begin
    to_types, from_types = np.flatnonzero(to_type), np.flatnonzero(from_type)
    # Keys ascend, as the cells do.
    at_head = numbers[to_types] * width + rows[to_types]
    at_tail = (numbers[from_types] * width + rows[from_types]) * width + columns[from_types]
    # Most spans end here: no type is linked to their head, or none to their tail.
    heads, tails = np.zeros((2, packed.rows * width), bool)
    heads[at_head] = True
    tails[numbers[from_types] * width + columns[from_types]] = True
    spans = np.flatnonzero(~(from_type | to_type) & heads[numbers * width + rows] & tails[numbers * width + columns])
    keys = numbers[spans] * width + rows[spans]
    first, last = np.searchsorted(at_head, keys, side="left"), np.searchsorted(at_head, keys, side="right")
    pieces = []
    for part in _slices(last - first):
        count = (last - first)[part]
        span = np.repeat(spans[part], count)
        ends = np.cumsum(count)
        head = to_types[np.arange(len(span)) + np.repeat(first[part] - ends + count, count)]
        wanted = (numbers[span] * width + columns[head]) * width + columns[span]
        place = np.searchsorted(at_tail, wanted)
        place[place == len(at_tail)] = 0
        whole = at_tail[place] == wanted if len(at_tail) else np.zeros(len(span), bool)
        pieces.append((span[whole], head[whole], from_types[place[whole]]))
    span, head, tail = (np.concatenate(one) for one in zip(*pieces, strict=True))
    of_type = np.searchsorted(marks[:, 0] * np.int64(width) + marks[:, 1], numbers[head] * width + columns[head])
    of_type -= edges[numbers[span]]
    votes = np.where(packed.class_indices >= 0, np.diff(edges), 0)
    return Matched(
        spans=np.stack((rows[span], columns[span], of_type), axis=-1).astype(np.int32),
        probabilities=np.stack((values[span], values[head], values[tail]), axis=-1),
        bounds=np.searchsorted(numbers[span], np.arange(packed.rows + 1)),
        classes=sigmoid(raw.classes),
        class_bounds=np.concatenate(([0], np.cumsum(votes))),
    )


def unpack(matched: Matched, prompts: Sequence[Prompt]) -> list[Fired]:
    """What fired in each prompt."""
    heads, tails, markers = matched.spans.T
    chances, classes = matched.probabilities, matched.classes
    bounds, edges = matched.bounds.tolist(), matched.class_bounds.tolist()
    fired = []
    for row, prompt in enumerate(prompts):
        part = slice(bounds[row], bounds[row + 1])
        votes = None if prompt.class_id is None else classes[edges[row] : edges[row + 1]]
        fired.append(Fired(heads[part], tails[part], markers[part], chances[part], votes))
    return fired


def _slices(counts: np.ndarray) -> list[slice]:
    """Consecutive slices whose counts sum up to little more than MAX_CANDIDATES."""
    total = np.cumsum(counts)
    cuts = np.searchsorted(total, np.arange(MAX_CANDIDATES, int(total[-1]) if len(total) else 0, MAX_CANDIDATES))
    bounds = [0, *np.unique(cuts[cuts > 0]).tolist(), len(counts)]
    return [slice(start, stop) for start, stop in zip(bounds, bounds[1:], strict=False)]

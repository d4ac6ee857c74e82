"""Prompts → one batch of plain arrays for the device, and what the device found → fired links (SPEC 6, 7.2).

Everything here is numpy and can be pickled: the device may be owned by another process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.inference.decoding import Fired, logit, sigmoid
from core.inference.prompts import Prompt

MAX_CANDIDATES = 2**20
"""Pairs of a span and a type that are matched at once: a low threshold on long texts fires without end."""


@dataclass(frozen=True, slots=True)
class Packed:
    """One batch, every row a prompt padded to the longest.

    ids: (4, B, L) int16 or int32: input, position, prefix and type ids. lengths, text_starts: (B,) int32.
    class_indices: (B,) int32, the token that classes are read at, -1 for extraction. marks: (M, 2) int32 rows
    (prompt, token of a type), prompt by prompt. bars: (B,) float32 logits that a link must exceed. max_distance: no
    position is larger.
    """

    ids: np.ndarray
    lengths: np.ndarray
    text_starts: np.ndarray
    class_indices: np.ndarray
    marks: np.ndarray
    bars: np.ndarray
    max_distance: int

    @property
    def rows(self) -> int:
        """Number of prompts, B."""
        return int(self.ids.shape[1])

    @property
    def width(self) -> int:
        """Tokens of a row, padding included, L."""
        return int(self.ids.shape[2])

    @property
    def tokens(self) -> int:
        """Tokens of the batch, padding included."""
        return self.rows * self.width

    def widened(self, multiple: int) -> Packed:
        """The same prompts with padding up to a multiple of so many tokens."""
        extra = -self.width % multiple
        return replace(self, ids=np.pad(self.ids, ((0, 0), (0, 0), (0, extra)))) if extra else self

    def part(self, start: int, stop: int) -> Packed:
        """The prompts from `start` to before `stop` as a batch of their own, no wider than they need."""
        lengths = self.lengths[start:stop]
        ids = self.ids[:, start:stop, : int(lengths.max())]
        first, last = np.searchsorted(self.marks[:, 0], (start, stop))
        return Packed(
            ids=np.ascontiguousarray(ids),
            lengths=lengths,
            text_starts=self.text_starts[start:stop],
            class_indices=self.class_indices[start:stop],
            marks=self.marks[first:last] - np.array([start, 0], np.int32),
            bars=self.bars[start:stop],
            max_distance=int(ids[1].max()),
        )


@dataclass(frozen=True, slots=True)
class Raw:
    """What a batch gave, as logits.

    cells: (N, 3) int32 rows (prompt, row, column) of the links above the bar, in that order of sorting; values: (N,)
    float32. classes: (M', 3) float32 at the class token, one row for every mark of a class prompt, in their order:
    the token itself, token → type, type → token.
    """

    cells: np.ndarray
    values: np.ndarray
    classes: np.ndarray

    @staticmethod
    def join(parts: list[Raw], rows: list[int]) -> Raw:
        """One batch out of its parts; rows: the number of prompts of each."""
        before = np.concatenate(([0], np.cumsum(rows)[:-1]))
        shift = [np.array([first, 0, 0], np.int32) for first in before]
        return Raw(
            cells=np.concatenate([part.cells + offset for part, offset in zip(parts, shift, strict=True)]),
            values=np.concatenate([part.values for part in parts]),
            classes=np.concatenate([part.classes for part in parts]),
        )


def pack(prompts: Sequence[Prompt], thresholds: Sequence[float], *, pad_id: int) -> Packed:
    """Lay out prompts row by row; thresholds: the probability that a link of each must exceed."""
    lengths = np.array([len(prompt) for prompt in prompts], np.int32)
    starts = np.array([prompt.text_start for prompt in prompts], np.int32)
    classes = np.array([-1 if prompt.class_id is None else prompt.class_id for prompt in prompts], np.int32)
    every, tokens = np.arange(len(prompts)), np.arange(int(lengths.max()), dtype=np.int32)
    ids = np.zeros((4, len(prompts), len(tokens)), np.int32)
    ids[0] = pad_id
    behind = np.empty(len(prompts), np.int32)  # how far positions are from tokens behind the hint
    sharing: dict[int, list[int]] = {}
    for row, prompt in enumerate(prompts):
        sharing.setdefault(id(prompt.hint), []).append(row)
        first = len(prompt) - 1 - len(prompt.text_ids)
        ids[0, row, first : len(prompt) - 1] = prompt.text_ids
    for rows in sharing.values():
        hint = prompts[rows[0]].hint
        ids[:, rows, : len(hint)] = hint.vectors[:, None]
        behind[rows] = hint.position_ids[-1] + 1 - len(hint)
    asked = np.flatnonzero(classes >= 0)
    ids[0, asked, starts[asked]] = classes[asked]
    ids[0, every, lengths - 1] = [prompt.sep_id for prompt in prompts]
    body = (tokens >= starts[:, None]) & (tokens < lengths[:, None])
    np.copyto(ids[1], tokens + behind[:, None], where=body)
    small = int(ids.max()) <= np.iinfo(np.int16).max
    levels = {threshold: logit(threshold) for threshold in set(thresholds)}
    return Packed(
        ids=ids.astype(np.int16) if small else ids,
        lengths=lengths,
        text_starts=starts,
        class_indices=np.where(classes >= 0, starts, np.int32(-1)),
        marks=_marks(prompts),
        bars=np.array([levels[threshold] for threshold in thresholds], np.float32),
        max_distance=int(ids[1].max()),
    )


def _marks(prompts: Sequence[Prompt]) -> np.ndarray:
    """(M, 2) int32: prompt and token of every type asked."""
    counts = [len(prompt.hint.marks) for prompt in prompts]
    rows = np.repeat(np.arange(len(prompts), dtype=np.int32), counts)
    return np.stack((rows, np.concatenate([prompt.hint.marks for prompt in prompts])), axis=-1)


def unpack(raw: Raw, prompts: Sequence[Prompt]) -> list[Fired]:
    """What fired in each prompt: a span of a type needs head → tail, head → [TYPE] and [TYPE] → tail (SPEC 6).

    All prompts at once: for every span the types its head links to, of which those stay that link to its tail.
    """
    values, classes = sigmoid(raw.values), sigmoid(raw.classes)
    width = max(len(prompt) for prompt in prompts)
    marks = _marks(prompts)
    edges = np.searchsorted(marks[:, 0], np.arange(len(prompts) + 1))
    starts = np.array([prompt.text_start for prompt in prompts])
    numbers, rows, columns = raw.cells.T.astype(np.int64)
    begin = starts[numbers]
    spans, to_types, from_types = (
        np.flatnonzero(x) for x in ((rows >= begin) & (columns >= begin), columns < begin, rows < begin)
    )
    # Keys ascend, as the cells do.
    at_head = numbers[to_types] * width + rows[to_types]
    at_tail = (numbers[from_types] * width + rows[from_types]) * width + columns[from_types]
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
    heads, tails = rows[span], columns[span]
    chances = np.stack((values[span], values[head], values[tail]), axis=-1)
    bounds = np.searchsorted(numbers[span], np.arange(len(prompts) + 1)).tolist()
    fired = []
    read = 0
    for row, prompt in enumerate(prompts):
        part = slice(bounds[row], bounds[row + 1])
        votes = None
        if prompt.class_id is not None:
            votes = classes[read : read + len(prompt.hint.marks)]
            read += len(votes)
        fired.append(Fired(heads[part], tails[part], of_type[part], chances[part], votes))
    return fired


def _slices(counts: np.ndarray) -> list[slice]:
    """Consecutive slices whose counts sum up to little more than MAX_CANDIDATES."""
    total = np.cumsum(counts)
    cuts = np.searchsorted(total, np.arange(MAX_CANDIDATES, int(total[-1]) if len(total) else 0, MAX_CANDIDATES))
    bounds = [0, *np.unique(cuts[cuts > 0]).tolist(), len(counts)]
    return [slice(start, stop) for start, stop in zip(bounds, bounds[1:], strict=False)]

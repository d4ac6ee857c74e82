"""Prompts → one batch of plain arrays for the device, and what the device gives back.

Everything here is numpy and can be pickled: the device may be owned by another process. What costs time is done
there: whoever reads documents has one interpreter for all of its threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.inference.decoding import logit
from core.inference.prompts import Hint, Prompt


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


@dataclass(frozen=True, slots=True)
class Ragged:
    """The prompts of one batch behind one another, without padding: what is sent to the owner of the network.

    hints: (4, ΣH) int32, each hint once; hint_sizes, mark_counts: (U,) int32; marks: (ΣM,) int32, tokens of the types,
    hint by hint. which: (B,) int32, the hint of each prompt. texts: (Σm,) int32; text_sizes, class_ids: (B,) int32, -1
    for extraction. bars: (B,) float32 logits that a link must exceed. lengths: (B,) int32, of the whole prompts.
    """

    hints: np.ndarray
    hint_sizes: np.ndarray
    marks: np.ndarray
    mark_counts: np.ndarray
    which: np.ndarray
    texts: np.ndarray
    text_sizes: np.ndarray
    class_ids: np.ndarray
    bars: np.ndarray
    lengths: np.ndarray
    sep_id: int
    pad_id: int

    @property
    def rows(self) -> int:
        """Number of prompts, B."""
        return len(self.lengths)

    @property
    def tokens(self) -> int:
        """Tokens of the batch, padding included."""
        return self.rows * int(self.lengths.max())


def line_up(prompts: Sequence[Prompt], thresholds: Sequence[float], *, pad_id: int) -> Ragged:
    """Put prompts behind one another; thresholds: the probability that a link of each must exceed."""
    shared = {id(prompt.hint): prompt.hint for prompt in prompts}
    places = {key: place for place, key in enumerate(shared)}
    hints: list[Hint] = list(shared.values())
    levels = {threshold: logit(threshold) for threshold in set(thresholds)}
    sizes = np.array([len(hint) for hint in hints], np.int32)
    which = np.array([places[id(prompt.hint)] for prompt in prompts], np.int32)
    texts = [prompt.text_ids for prompt in prompts]
    text_sizes = np.array([len(text) for text in texts], np.int32)
    class_ids = np.array([-1 if prompt.class_id is None else prompt.class_id for prompt in prompts], np.int32)
    return Ragged(
        hints=np.concatenate([hint.vectors for hint in hints], axis=1),
        hint_sizes=sizes,
        marks=np.concatenate([hint.marks for hint in hints]),
        mark_counts=np.array([len(hint.marks) for hint in hints], np.int32),
        which=which,
        texts=np.concatenate(texts),
        text_sizes=text_sizes,
        class_ids=class_ids,
        bars=np.array([levels[threshold] for threshold in thresholds], np.float32),
        lengths=sizes[which] + text_sizes + (class_ids >= 0) + np.int32(1),
        sep_id=prompts[0].sep_id,
        pad_id=pad_id,
    )


def lay_out(ragged: Ragged) -> Packed:
    """Row by row, padded to the longest."""
    lengths, which = ragged.lengths, ragged.which
    starts = ragged.hint_sizes[which]
    classes = ragged.class_ids
    every, tokens = np.arange(len(lengths)), np.arange(int(lengths.max()), dtype=np.int32)
    # The hints as a table of rows, of which every prompt takes its own.
    table = np.zeros((4, len(ragged.hint_sizes), int(ragged.hint_sizes.max())), np.int32)
    table[:, tokens[: table.shape[2]] < ragged.hint_sizes[:, None]] = ragged.hints
    ends = table[1, np.arange(table.shape[1]), ragged.hint_sizes - 1]
    behind = (ends + 1 - ragged.hint_sizes)[which]  # how far positions are from tokens behind the hint
    ids = np.zeros((4, len(lengths), len(tokens)), np.int32)
    ids[:, :, : table.shape[2]] = table[:, which]
    body = (tokens >= starts[:, None]) & (tokens < lengths[:, None])
    ids[0][tokens >= lengths[:, None]] = ragged.pad_id
    first = (lengths - 1 - ragged.text_sizes)[:, None]
    ids[0][(tokens >= first) & (tokens < lengths[:, None] - 1)] = ragged.texts
    asked = np.flatnonzero(classes >= 0)
    ids[0, asked, starts[asked]] = classes[asked]
    ids[0, every, lengths - 1] = ragged.sep_id
    np.copyto(ids[1], tokens + behind[:, None], where=body)
    small = int(ids.max()) <= np.iinfo(np.int16).max
    return Packed(
        ids=ids.astype(np.int16) if small else ids,
        lengths=lengths,
        text_starts=starts,
        class_indices=np.where(classes >= 0, starts, np.int32(-1)),
        marks=_marks(ragged),
        bars=ragged.bars,
        max_distance=int(ids[1].max()),
    )


def pack(prompts: Sequence[Prompt], thresholds: Sequence[float], *, pad_id: int) -> Packed:
    """Lay out prompts row by row; thresholds: the probability that a link of each must exceed."""
    return lay_out(line_up(prompts, thresholds, pad_id=pad_id))


def _marks(ragged: Ragged) -> np.ndarray:
    """(M, 2) int32: prompt and token of every type asked."""
    counts = ragged.mark_counts[ragged.which]
    rows = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    before = np.cumsum(ragged.mark_counts) - ragged.mark_counts  # marks of the hints before each
    within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.stack((rows, ragged.marks[before[ragged.which][rows] + within]), axis=-1)

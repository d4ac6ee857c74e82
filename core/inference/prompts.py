"""Explicit schema instructor + window → what the model reads (SPEC 3, 4).

A hint is assembled from pieces that are encoded one by one, so a marker written in a found span or in the text
is only ever a marker where this module puts one, and equal pieces are encoded once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from core.model.tokenizer import RexTokenizer
from core.types import Path

MAX_PART = 125
"""Longest prefix or type, in tokens with its marker, that shares a hint with others (SPEC 3)."""


@dataclass(frozen=True, slots=True)
class Group:
    """A prefix and the types asked below it."""

    prefix: Path
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Marker:
    """Where a type of a group is asked: `index` is the token of its [TYPE]."""

    group: int
    type: str
    index: int


@dataclass(frozen=True, slots=True)
class Hint:
    """`[CLS] … [SEP]`: ids and the three id vectors, each (n,) int32, and where the types are."""

    ids: np.ndarray
    position_ids: np.ndarray
    prefix_ids: np.ndarray
    type_ids: np.ndarray
    markers: tuple[Marker, ...]


@dataclass(frozen=True, slots=True)
class Prompt:
    """One model input: (n,) int32 vectors, `offsets` (n, 2) of the text tokens (zero before `text_start`).

    class_index: the token that classes are read at, None for extraction. The last token is [SEP].
    """

    input_ids: np.ndarray
    position_ids: np.ndarray
    prefix_ids: np.ndarray
    type_ids: np.ndarray
    offsets: np.ndarray
    text_start: int
    class_index: int | None
    markers: tuple[Marker, ...]

    def __len__(self) -> int:
        return len(self.input_ids)


class PieceEncoder:
    """Encodes the pieces of hints, remembering them; the class marker is the only special token a piece may hold."""

    def __init__(self, tokenizer: RexTokenizer) -> None:
        self.tokenizer = tokenizer
        self.encode: Callable[[str], np.ndarray] = lru_cache(maxsize=8192)(lambda text: tokenizer.encode_text(text).ids)

    def type(self, name: str) -> np.ndarray:
        """[TYPE] and the tokens of a type name."""
        return np.concatenate(([self.tokenizer.type_id], self.encode(name)))

    def prefix(self, path: Path, *, class_id: int | None) -> np.ndarray:
        """[PREFIX] and the tokens of `type: span,type: span…`; in class modes the span is the class marker."""
        if class_id is None:
            text = ",".join(f"{link.type}: {link.text}" for link in path)
            return np.concatenate(([self.tokenizer.prefix_id], self.encode(text)))
        parts: list[Sequence[int] | np.ndarray] = [[self.tokenizer.prefix_id]]
        for number, link in enumerate(path):
            parts += [self.encode(f"{',' if number else ''}{link.type}: "), [class_id]]
        return np.concatenate(parts)


@dataclass(slots=True)
class _Draft:
    """A hint under construction: per group its prefix tokens and the asked types."""

    used: int
    groups: list[tuple[int, np.ndarray, list[tuple[str, np.ndarray]]]]


def build_hints(
    groups: Sequence[Group],
    pieces: PieceEncoder,
    *,
    max_length: int = 256,
    max_groups: int = 0,
    class_id: int | None = None,
) -> tuple[list[Hint], list[tuple[int, str]]]:
    """Pack groups into hints of at most `max_length` tokens, greedily, types in code-point order (SPEC 3).

    A group that overflows goes on in the next hint behind a copy of its prefix. Parts beyond MAX_PART tokens get a
    hint of their own. max_groups: groups that may share a hint, 0: any number. Second result: (group, type) pairs
    that fit into no hint at all.
    """
    drafts: list[_Draft] = []
    alone: list[_Draft] = []
    unasked: list[tuple[int, str]] = []
    for number, group in enumerate(groups):
        prefix = pieces.prefix(group.prefix, class_id=class_id)
        opened = False  # whether the newest draft already holds this group
        for name in sorted(group.types):
            tokens = pieces.type(name)
            cost = 2 + len(prefix) + len(tokens)
            if cost > max_length:
                unasked.append((number, name))
            elif len(prefix) > MAX_PART or len(tokens) > MAX_PART:
                alone.append(_Draft(cost, [(number, prefix, [(name, tokens)])]))
            elif opened and drafts[-1].used + len(tokens) <= max_length:
                drafts[-1].groups[-1][2].append((name, tokens))
                drafts[-1].used += len(tokens)
            elif not opened and drafts and _joins(drafts[-1], cost - 2, max_length, max_groups):
                drafts[-1].groups.append((number, prefix, [(name, tokens)]))
                drafts[-1].used += cost - 2
                opened = True
            else:
                drafts.append(_Draft(cost, [(number, prefix, [(name, tokens)])]))
                opened = True
    return [_finish(draft, pieces.tokenizer) for draft in (*drafts, *alone)], unasked


def _joins(draft: _Draft, cost: int, max_length: int, max_groups: int) -> bool:
    """Whether another group of `cost` tokens may be added."""
    return draft.used + cost <= max_length and not 0 < max_groups <= len(draft.groups)


def _finish(draft: _Draft, tokenizer: RexTokenizer) -> Hint:
    """Lay out ids, positions and isolation ids (SPEC 4.2, 4.3)."""
    ids: list[np.ndarray] = [np.array([tokenizer.cls_id])]
    positions: list[np.ndarray] = [np.zeros(1, int)]
    prefixes: list[np.ndarray] = [np.zeros(1, int)]
    types: list[np.ndarray] = [np.zeros(1, int)]
    markers: list[Marker] = []
    length, last, asked = 1, 0, 0
    for order, (number, prefix, members) in enumerate(draft.groups, 1):
        parts = [(prefix, 1, 0)]
        for name, tokens in members:
            asked += 1
            markers.append(Marker(number, name, length + sum(len(part[0]) for part in parts)))
            parts.append((tokens, len(prefix) + 1, asked))
        for tokens, first, type_id in parts:
            count = len(tokens)
            ids.append(tokens)
            positions.append(np.arange(first, first + count))
            prefixes.append(np.full(count, order))
            types.append(np.full(count, type_id))
            length += count
            last = max(last, first + count - 1)
    ids.append(np.array([tokenizer.sep_id]))
    positions.append(np.array([last + 1]))
    prefixes.append(np.zeros(1, int))
    types.append(np.zeros(1, int))

    def vector(pieces: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(pieces).astype(np.int32)

    return Hint(vector(ids), vector(positions), vector(prefixes), vector(types), tuple(markers))


def assemble(
    hint: Hint,
    text_ids: np.ndarray,
    text_offsets: np.ndarray,
    tokenizer: RexTokenizer,
    *,
    class_id: int | None = None,
) -> Prompt:
    """`[CLS] hint [SEP] (class token) text [SEP]`; text_ids (m,), text_offsets (m, 2)."""
    before = len(hint.ids)
    lead = [] if class_id is None else [class_id]
    tail = np.concatenate((lead, text_ids, [tokenizer.sep_id])).astype(np.int32)
    first = int(hint.position_ids[-1]) + 1
    offsets = np.zeros((before + len(tail), 2), np.int32)
    offsets[before + len(lead) : -1] = text_offsets
    rest = np.zeros(len(tail), np.int32)
    return Prompt(
        input_ids=np.concatenate((hint.ids, tail)),
        position_ids=np.concatenate((hint.position_ids, np.arange(first, first + len(tail), dtype=np.int32))),
        prefix_ids=np.concatenate((hint.prefix_ids, rest)),
        type_ids=np.concatenate((hint.type_ids, rest)),
        offsets=offsets,
        text_start=before,
        class_index=None if class_id is None else before,
        markers=hint.markers,
    )

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
from core.types import Link, Path

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
    """`[CLS] … [SEP]`, shared by all prompts that ask the same.

    vectors: (4, n) int32: input, position, prefix and type ids. markers: where the types are; marks: (M,) int32, the
    same tokens as an array.
    """

    vectors: np.ndarray
    markers: tuple[Marker, ...]
    marks: np.ndarray

    @property
    def ids(self) -> np.ndarray:
        """(n,) int32."""
        ids: np.ndarray = self.vectors[0]
        return ids

    @property
    def position_ids(self) -> np.ndarray:
        """(n,) int32."""
        positions: np.ndarray = self.vectors[1]
        return positions

    def __len__(self) -> int:
        size: int = self.vectors.shape[1]
        return size


@dataclass(frozen=True, slots=True)
class Prompt:
    """One model input: `[CLS] hint [SEP] (class token) text [SEP]`, in parts, so that windows share what they can.

    text_ids (m,), text_offsets (m, 2) int32. class_id: the class token before the text, None for extraction. The
    vectors of the whole, each (n,) int32, are put together when they are asked for.
    """

    hint: Hint
    text_ids: np.ndarray
    text_offsets: np.ndarray
    class_id: int | None
    sep_id: int

    def __len__(self) -> int:
        hint: int = self.hint.vectors.shape[1]  # asked so often that it skips len()
        return hint + (self.class_id is not None) + len(self.text_ids) + 1

    @property
    def text_start(self) -> int:
        """The first token behind the hint."""
        return len(self.hint)

    @property
    def class_index(self) -> int | None:
        """The token that classes are read at, None for extraction."""
        return None if self.class_id is None else len(self.hint)

    @property
    def markers(self) -> tuple[Marker, ...]:
        """The types asked."""
        return self.hint.markers

    @property
    def input_ids(self) -> np.ndarray:
        """(n,) int32, the last one [SEP]."""
        lead = np.array([] if self.class_id is None else [self.class_id], np.int32)
        return np.concatenate((self.hint.ids, lead, self.text_ids, np.array([self.sep_id], np.int32)))

    @property
    def position_ids(self) -> np.ndarray:
        """(n,) int32; those of the text go on where the hint's end (SPEC 4.2)."""
        first = int(self.hint.position_ids[-1]) + 1
        rest = np.arange(first, first + len(self) - len(self.hint), dtype=np.int32)
        return np.concatenate((self.hint.position_ids, rest))

    @property
    def prefix_ids(self) -> np.ndarray:
        """(n,) int32, 0 outside the hint."""
        return np.pad(self.hint.vectors[2], (0, len(self) - len(self.hint)))

    @property
    def type_ids(self) -> np.ndarray:
        """(n,) int32, 0 outside the hint."""
        return np.pad(self.hint.vectors[3], (0, len(self) - len(self.hint)))

    @property
    def offsets(self) -> np.ndarray:
        """(n, 2) int32 of the text tokens, 0 elsewhere."""
        return np.pad(self.text_offsets, ((len(self) - 1 - len(self.text_ids), 1), (0, 0)))


class PieceEncoder:
    """Encodes the pieces of hints, remembering them; the class marker is the only special token a piece may hold."""

    def __init__(self, tokenizer: RexTokenizer) -> None:
        self.tokenizer = tokenizer
        self.encode: Callable[[str], np.ndarray] = lru_cache(maxsize=8192)(lambda text: tokenizer.encode_text(text).ids)
        self._shared = lru_cache(maxsize=256)(self._build)

    def hints(
        self, groups: Sequence[Group], *, max_length: int, max_groups: int, class_id: int | None
    ) -> tuple[list[Hint], list[tuple[int, str]]]:
        """`build_hints`, remembering what documents ask alike: the root of a schema, and classes on every level."""
        asked = tuple(groups)
        if class_id is not None:
            asked = tuple(Group(tuple(map(_unscored, group.prefix)), group.types) for group in asked)
        elif any(group.prefix for group in asked):
            return self._build(asked, max_length, max_groups, class_id)
        return self._shared(asked, max_length, max_groups, class_id)

    def _build(
        self, groups: tuple[Group, ...], max_length: int, max_groups: int, class_id: int | None
    ) -> tuple[list[Hint], list[tuple[int, str]]]:
        return build_hints(groups, self, max_length=max_length, max_groups=max_groups, class_id=class_id)

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


def _unscored(link: Link) -> Link:
    """The link as a hint shows it: equal for all texts that a class was found in."""
    return Link(link.type, 0, 0, link.text, 0.0, 0.0)


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
    vectors = np.zeros((4, draft.used), np.int32)
    ids, positions, prefixes, types = vectors
    markers: list[Marker] = []
    ids[0] = tokenizer.cls_id
    place, last = 1, 0
    for order, (number, prefix, members) in enumerate(draft.groups, 1):
        begin, size = place, len(prefix)
        ids[place : place + size] = prefix
        positions[place : place + size] = np.arange(1, size + 1)
        place += size
        for name, tokens in members:
            markers.append(Marker(number, name, place))
            end = place + len(tokens)
            ids[place:end] = tokens
            positions[place:end] = np.arange(size + 1, size + 1 + len(tokens))
            types[place:end] = len(markers)
            place = end
            last = max(last, size + len(tokens))
        prefixes[begin:place] = order
    ids[-1], positions[-1] = tokenizer.sep_id, last + 1
    return Hint(vectors, tuple(markers), np.array([marker.index for marker in markers], np.int32))


def assemble(
    hint: Hint,
    text_ids: np.ndarray,
    text_offsets: np.ndarray,
    tokenizer: RexTokenizer,
    *,
    class_id: int | None = None,
) -> Prompt:
    """`[CLS] hint [SEP] (class token) text [SEP]`; text_ids (m,), text_offsets (m, 2)."""
    return Prompt(hint, text_ids, text_offsets, class_id, tokenizer.sep_id)

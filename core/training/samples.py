"""Annotated records → prompts with the cells that must fire (SPEC 9, 10.1, 10.2).

Prompts are laid out by the same code as at inference, so the two cannot drift apart.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from core.errors import InputError
from core.inference.prompts import Group, Hint, PieceEncoder, Prompt, assemble, build_hints
from core.model.tokenizer import Encoding
from core.tasks import CLASS_MARKERS, CLASSIFY, EXTRACT
from core.training.objective import link_cells
from core.types import Link


class Mark(NamedTuple):
    """A gold element: type and code-point span; a class has the span (0, 0)."""

    type: str
    start: int
    end: int


SchemaTree = Mapping[str, Any]  # type → SchemaTree or None
GoldPath = tuple[Mark, ...]
Prefix = tuple[tuple[str, str], ...]  # (type, text of its span) from the root down


@dataclass(frozen=True, slots=True)
class Example:
    """A text, what to ask of it and the right answers; `text` is without class marker.

    paths: gold, root first; a path may stop above a leaf. wrong: prefixes that do not hold in the text, each with
    types to ask below it, to which the answer is nothing.
    """

    text: str
    schema: SchemaTree
    paths: tuple[GoldPath, ...]
    mode: str = EXTRACT
    task: str = ""
    source: str = ""
    wrong: tuple[tuple[Prefix, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """A prompt, its gold cells (m, 2) int32 of (row, column), and how many gold spans fell on no token."""

    prompt: Prompt
    cells: np.ndarray
    task: str
    source: str
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """Tokens of a prompt and of its hint, prompts per level and example, and how often a window must hold gold.

    max_hints: of the first level, max_deep_hints: of each further one. max_groups: prefixes of a hint, 0: any number.
    """

    max_length: int = 256
    max_hint_length: int = 160
    max_hints: int = 2
    max_deep_hints: int = 2
    max_groups: int = 0
    window_gold: float = 0.7
    class_start: float = 0.7


def read_record(row: Mapping[str, Any], *, schema: SchemaTree | None = None) -> Example:
    """A record of a training file (SPEC 10.1) → Example; `schema` stands in for a record that has none.

    Raises InputError when a span is not the text at its offset or a path is not in the schema.
    """
    try:
        text, tree = row["text"], row.get("schema") or schema or {}
        paths = [tuple(Mark(e["type"], *e["offset"]) for e in path) for path in row["info_list"]]
        spans = [(e["offset"][0], e["offset"][1], e["span"]) for path in row["info_list"] for e in path]
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"缺少字段或格式不对（{type(error).__name__}: {error}）：需要 text、info_list、schema"
        ) from error
    if not isinstance(text, str) or not isinstance(tree, Mapping):
        raise InputError('格式不对：text 应是文字，schema 应是对象（形如 {"人物": null}）')
    for start, end, span in spans:
        if text[start:end] != span:
            raise InputError(f"[{start}, {end}) 处是“{text[start:end][:30]}”，不是“{span[:30]}”")
    tree = tree or schema_of(paths)
    for path in paths:
        if not _legal(path, tree):
            raise InputError(f"路径 {' → '.join(mark.type for mark in path)} 不在模式里")
    mode, shift = EXTRACT, 0
    for name, marker in CLASS_MARKERS.items():
        if text.startswith(marker):
            mode, shift = name, len(marker)
    if mode != EXTRACT:
        if any(span != (0, shift) for path in paths for span in (mark[1:] for mark in path)):
            raise InputError(f"分类记录的 offset 必须是类别标记的位置 [0, {shift}]")
        paths = [tuple(Mark(mark.type, 0, 0) for mark in path) for path in paths]
    unique = tuple(dict.fromkeys(paths))
    return Example(text[shift:], tree, unique, mode, row.get("task", ""), row.get("source", ""))


def schema_of(paths: Sequence[GoldPath]) -> dict[str, Any]:
    """The smallest schema that holds the paths."""
    tree: dict[str, Any] = {}
    for path in paths:
        level = tree
        for mark in path[:-1]:
            if level.get(mark.type) is None:
                level[mark.type] = {}
            level = level[mark.type]
        if path:
            level.setdefault(path[-1].type, None)
    return tree


def _legal(path: GoldPath, tree: SchemaTree | None) -> bool:
    for mark in path:
        if not tree or mark.type not in tree:
            return False
        tree = tree[mark.type]
    return bool(path)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A group of a level: its prefix, the schema below it, and the rests of the gold paths from here on."""

    prefix: Prefix
    schema: SchemaTree
    paths: tuple[GoldPath, ...]


def _levels(example: Example) -> Iterator[list[_Asked]]:
    """The groups of each level, gold prefixes with the wrong ones among them; equal prefixes share their answers."""
    level = [_Asked((), example.schema, example.paths)]
    depth = 0
    while level:
        yield level
        depth += 1
        below: dict[Prefix, tuple[SchemaTree, list[GoldPath]]] = {}
        for asked in level:
            for path in asked.paths:
                children = asked.schema[path[0].type]
                if children:
                    prefix = (*asked.prefix, (path[0].type, _text(example, path[0])))
                    below.setdefault(prefix, (children, []))[1].append(path[1:])
        level = [_Asked(p, tree, tuple(r for r in rests if r)) for p, (tree, rests) in below.items()]
        level += [_Asked(p, dict.fromkeys(types), ()) for p, types in example.wrong if len(p) == depth]


def _text(example: Example, mark: Mark) -> str:
    return example.text[mark.start : mark.end] if example.mode == EXTRACT else CLASS_MARKERS[example.mode]


def build_samples(
    example: Example, pieces: PieceEncoder, rng: random.Random, *, limits: Limits, text: Encoding | None = None
) -> list[Sample]:
    """The prompts of all levels, one random window of the text for each hint.

    Of a level with more hints than the limits allow those with gold go first. Types too long for a hint are not asked.
    """
    tokenizer = pieces.tokenizer
    text = text or tokenizer.encode_text(example.text)
    class_id = None
    if example.mode != EXTRACT:
        class_id = tokenizer.classify_id if example.mode == CLASSIFY else tokenizer.multiclassify_id
    samples = []
    for depth, level in enumerate(_levels(example)):
        order = rng.sample(level, len(level))
        groups = [
            Group(tuple(Link(name, 0, 0, span, 1.0, 1.0) for name, span in asked.prefix), tuple(asked.schema))
            for asked in order
        ]
        gold = [{(path[0].type, path[0].start, path[0].end) for path in asked.paths} for asked in order]
        hints, _ = build_hints(
            groups, pieces, max_length=limits.max_hint_length, max_groups=limits.max_groups, class_id=class_id
        )
        answers = [_hint_gold(hint, gold) for hint in hints]
        ranked = sorted(range(len(hints)), key=lambda i: (not answers[i], rng.random()))
        for number in ranked[: limits.max_deep_hints if depth else limits.max_hints]:
            samples.append(_sample(example, hints[number], answers[number], text, pieces, rng, limits, class_id))
    return samples


def _hint_gold(hint: Hint, gold: Sequence[set[tuple[str, int, int]]]) -> list[tuple[int, int, int]]:
    """(start, end, marker token) of every answer that the hint asks for."""
    return [
        (start, end, marker.index)
        for marker in hint.markers
        for name, start, end in sorted(gold[marker.group])
        if name == marker.type
    ]


def _sample(
    example: Example,
    hint: Hint,
    gold: list[tuple[int, int, int]],
    text: Encoding,
    pieces: PieceEncoder,
    rng: random.Random,
    limits: Limits,
    class_id: int | None,
) -> Sample:
    room = max(1, limits.max_length - len(hint.ids) - 1 - (class_id is not None))
    found = [] if class_id is not None else [(*token_span(text.offsets, s, e), marker) for s, e, marker in gold]
    placed = [(head, tail, marker) for head, tail, marker in found if head <= tail]
    first = _window(len(text.ids), room, placed, rng, limits, class_mode=class_id is not None)
    last = min(len(text.ids), first + room)
    prompt = assemble(hint, text.ids[first:last], text.offsets[first:last], pieces.tokenizer, class_id=class_id)
    cells: list[tuple[int, int]] = []
    if prompt.class_index is not None:
        for _, _, marker in gold:
            cells += link_cells(prompt.class_index, prompt.class_index, marker)
    shift = prompt.text_start - first
    for head, tail, marker in placed:
        if head >= first and tail < last:
            cells += link_cells(head + shift, tail + shift, marker)
    rows = np.array(sorted(set(cells)), np.int32).reshape(-1, 2)
    return Sample(prompt, rows, example.task, example.source, len(found) - len(placed))


def token_span(offsets: np.ndarray, start: int, end: int) -> tuple[int, int]:
    """First and last token inside [start, end): between tokens the head moves right and the tail left (SPEC 10.2).

    offsets: (n, 2), ascending. The first result is larger than the second when no token lies inside.
    """
    head = int(np.searchsorted(offsets[:, 0], start, side="left"))
    tail = int(np.searchsorted(offsets[:, 1], end, side="right")) - 1
    return head, tail


def _window(
    count: int,
    room: int,
    gold: Sequence[tuple[int, int, int]],
    rng: random.Random,
    limits: Limits,
    *,
    class_mode: bool,
) -> int:
    """The first token of a random window of `room` of the `count` tokens; 0 when all fit."""
    if count <= room:
        return 0
    if class_mode and rng.random() < limits.class_start:
        return 0
    if gold and rng.random() < limits.window_gold:
        head, tail, _ = rng.choice(gold)
        low, high = max(0, tail - room + 1), min(head, count - room)
        if low <= high:
            return rng.randint(low, high)
    return rng.randint(0, count - room)

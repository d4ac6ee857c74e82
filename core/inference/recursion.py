"""The levels of a schema: what is asked next follows from what was found (SPEC 2, 6, 7).

Both readers are generators. They yield the prompts of one level, receive for each what fired, and return an
Answer; the engine runs many of them at once, so that all prompts of a level share batches.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np

from core.errors import SchemaError
from core.inference.decoding import Fired, logit, sigmoid
from core.inference.prompts import Group, Hint, PieceEncoder, Prompt, assemble
from core.inference.windows import split
from core.model.tokenizer import Encoding, RexTokenizer
from core.schemas.schema import Schema, SchemaType
from core.tasks import CLASS_MARKERS, EXTRACT, MULTICLASSIFY, Answer, Request
from core.types import Link, Path

Reader = Generator[list[Prompt], list[Fired], Answer]
MAX_SPANS = 300  # of one prompt, strongest first: a low threshold on a long text fires without end
MAX_PREFIXES = 300  # asked on one level of one document
MAX_NEAR = 200  # kept of one request, the best of every type first
MULTI_LABEL_CONFIDENCE = 0.9  # the reference keeps labels whose mean confidence exceeds this (SPEC 7.6)


@dataclass(frozen=True, slots=True)
class Limits:
    """Token limits of one prompt (SPEC 1), the probability that a link must exceed, and the prefix groups of a hint.

    floor: what does not exceed the threshold is kept as near when it exceeds this; None: nothing is.
    """

    max_length: int = 512
    stride: int = 32
    max_hint_length: int = 256
    threshold: float = 0.5
    max_groups: int = 0
    floor: float | None = None

    @property
    def bar(self) -> float:
        """The probability that a link must exceed to be looked at."""
        return self.threshold if self.floor is None else min(self.threshold, self.floor)


Key = tuple[tuple[str, int, int], ...]


def read(request: Request, pieces: PieceEncoder, limits: Limits) -> Reader:
    """The reader that fits the request's mode."""
    return _extract(request, pieces, limits) if request.mode == EXTRACT else _classify(request, pieces, limits)


def check_roots(schema: Schema, pieces: PieceEncoder, limits: Limits) -> None:
    """Raise SchemaError when a root type is too long to be asked."""
    _hints([Group((), tuple(one.name for one in schema.types))], pieces, limits, [])


def _hints(
    groups: list[Group], pieces: PieceEncoder, limits: Limits, notes: list[str], *, class_id: int | None = None
) -> list[Hint]:
    """Hints of a level; what fits nowhere is an error at the root and a note below (there the text decides)."""
    hints, unasked = pieces.hints(
        groups, max_length=limits.max_hint_length, max_groups=limits.max_groups, class_id=class_id
    )
    for number, name in unasked:
        prefix = groups[number].prefix
        if not prefix:
            raise SchemaError(f"类型“{name[:30]}…”太长，一次输入放不下（上限 {limits.max_hint_length} 个词元）：请缩短")
        notes.append(f"“{prefix[-1].type}：{prefix[-1].text[:20]}…”太长，没有继续询问它的“{name}”")
    return hints


def _prompts(
    hint: Hint, text: Encoding, tokenizer: RexTokenizer, limits: Limits, *, class_id: int | None = None
) -> list[Prompt]:
    """One prompt for every window of the text."""
    room = limits.max_length - len(hint.ids) - 1 - (class_id is not None)
    stride = limits.stride if class_id is None else 0  # class windows do not overlap (SPEC 4.1)
    return [
        assemble(hint, text.ids[start:end], text.offsets[start:end], tokenizer, class_id=class_id)
        for start, end in split(len(text.ids), capacity=room, stride=stride)
    ]


def _spans(fired: Fired, prompt: Prompt, text: str, notes: list[str]) -> list[tuple[int, Link]]:
    """(group, link) of every span; surrounding white space is trimmed on both sides, empty spans are dropped."""
    heads, tails, markers, chances = fired.heads, fired.tails, fired.markers, fired.probabilities
    if len(heads) > MAX_SPANS:
        notes.append(f"一次询问得到 {len(heads)} 个候选，只保留得分最高的 {MAX_SPANS} 个：请调高阈值")
        best = np.sort(np.argsort(-chances.min(axis=1), kind="stable")[:MAX_SPANS])
        heads, tails, markers, chances = heads[best], tails[best], markers[best], chances[best]
    if not len(heads):
        return []
    place, first, asked = prompt.text_offsets.item, prompt.text_start, prompt.markers
    found = []
    for head, tail, number, chance in zip(
        heads.tolist(), tails.tolist(), markers.tolist(), chances.tolist(), strict=True
    ):
        start = place(head - first, 0)
        raw = text[start : place(tail - first, 1)]
        span = raw.strip()
        if span:
            begin = start + raw.index(span)
            one, two, three = chance
            marker = asked[number]
            link = Link(marker.type, begin, begin + len(span), span, min(chance), round((one + two + three) / 3, 4))
            found.append((marker.group, link))
    return found


def _parted(fired: Fired, limits: Limits) -> tuple[Fired, Fired | None]:
    """What exceeds the threshold, exactly as the device would have decided, and what only exceeds the floor."""
    if limits.bar == limits.threshold:
        return fired, None
    (bar,) = sigmoid(np.array([logit(limits.threshold)], np.float32))
    strong = fired.probabilities.min(axis=1) > bar

    def part(which: np.ndarray) -> Fired:
        return Fired(
            fired.heads[which], fired.tails[which], fired.markers[which], fired.probabilities[which], fired.classes
        )

    weak = np.flatnonzero(~strong)
    if len(weak) > MAX_SPANS:
        weak = weak[np.argsort(-fired.probabilities[weak].min(axis=1), kind="stable")]
        later = np.ones(len(weak), bool)
        later[np.unique(fired.markers[weak], return_index=True)[1]] = False  # a type that is rare keeps its best
        weak = np.sort(weak[np.argsort(later, kind="stable")[:MAX_SPANS]])
    return part(strong), part(weak)


def _extract(request: Request, pieces: PieceEncoder, limits: Limits) -> Reader:
    tokenizer = pieces.tokenizer
    text = tokenizer.encode_text(request.text, markers=request.markers)
    level: dict[Key, tuple[Path, tuple[SchemaType, ...]]]
    level = {(): ((), request.schema.types)}
    paths: dict[Key, Path] = {}
    near: dict[Key, Path] = {}
    windows = 1
    notes: list[str] = []
    while level:
        keys, parents = list(level), list(level.values())
        groups = [Group(prefix, tuple(child.name for child in children)) for prefix, children in parents]
        nodes = [{child.name: child for child in children} for _, children in parents]
        by_hint = [_prompts(hint, text, tokenizer, limits) for hint in _hints(groups, pieces, limits, notes)]
        prompts = [prompt for prompts in by_hint for prompt in prompts]
        windows = max([windows, *map(len, by_hint)])
        results = yield prompts
        level = {}
        for prompt, fired in zip(prompts, results, strict=True):
            strong, weak = _parted(fired, limits)
            for group, link in _spans(weak, prompt, request.text, []) if weak is not None else ():
                _keep(near, (*parents[group][0], link))
            for group, link in _spans(strong, prompt, request.text, notes):
                path = (*parents[group][0], link)
                key = (*keys[group], (link.type, link.start, link.end))
                children = nodes[group][link.type].children
                if (not children or request.incomplete) and (key not in paths or paths[key][-1].score < link.score):
                    paths[key] = path
                if children and (key not in level or level[key][0][-1].score < link.score):
                    level[key] = (path, children)
        if len(level) > MAX_PREFIXES:
            notes.append(f"有 {len(level)} 个上级，只继续询问得分最高的 {MAX_PREFIXES} 个：请调高阈值或缩短文本")
            best = sorted(level, key=lambda key: -level[key][0][-1].score)[:MAX_PREFIXES]
            level = {key: level[key] for key in best}
        if limits.floor is not None:
            near.update((key, path) for key, (path, _) in level.items())
    found = _finished(paths)
    return Answer(found, windows, tuple(dict.fromkeys(notes)), _nearest(near, found))


def _key(path: Path) -> Key:
    return tuple((one.type, one.start, one.end) for one in path)


def _keep(paths: dict[Key, Path], path: Path) -> None:
    """Of a span seen in several windows the strongest stays."""
    key = _key(path)
    if key not in paths or paths[key][-1].score < path[-1].score:
        paths[key] = path


def _finished(paths: dict[Key, Path]) -> tuple[Path, ...]:
    """Drop unfinished paths that a longer one continues."""
    begun = {key[:length] for key in paths for length in range(1, len(key))}
    return tuple(path for key, path in paths.items() if key not in begun)


def _nearest(near: dict[Key, Path], found: Sequence[Path]) -> tuple[Path, ...]:
    """What is no part of a finding, best first; of more than MAX_NEAR paths the best of every type go before others."""
    if not near:
        return ()
    known = {_key(path)[:length] for path in found for length in range(1, len(path) + 1)}
    left = [path for key, path in near.items() if key not in known]
    left.sort(key=lambda path: -min(link.score for link in path))
    best = {tuple(link.type for link in path): number for number, path in reversed(list(enumerate(left)))}
    first = set(best.values())
    kept = sorted(range(len(left)), key=lambda number: (number not in first, number))[:MAX_NEAR]
    return tuple(left[number] for number in sorted(kept))


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A class path with the votes of the windows behind its last link."""

    path: Path

    @property
    def total(self) -> float:
        return sum(link.confidence for link in self.path)

    @property
    def mean(self) -> float:
        return self.total / len(self.path)


def _classify(request: Request, pieces: PieceEncoder, limits: Limits) -> Reader:
    """Classes are read at the class token; when nothing fires the best guess is taken (SPEC 7.5)."""
    notes: list[str] = []
    near: dict[Key, Path] = {}
    roots: list[Fired] = []
    found, windows = yield from _class_levels(request, pieces, limits, notes, near, roots, blank=False)
    if not found and request.reduce:
        near.clear()
        found, windows = yield from _class_levels(request, pieces, limits, notes, near, roots, blank=True)
    if request.reduce and found:
        best = max(found, key=lambda c: c.mean)
        sure = [c for c in found if c.mean > MULTI_LABEL_CONFIDENCE] if request.mode == MULTICLASSIFY else []
        found = sure or [best]
    paths = tuple(c.path for c in found)
    return Answer(paths, windows, tuple(dict.fromkeys(notes)), _nearest(near, paths))


def _class_levels(
    request: Request,
    pieces: PieceEncoder,
    limits: Limits,
    notes: list[str],
    near: dict[Key, Path],
    roots: list[Fired],
    *,
    blank: bool,
) -> Generator[list[Prompt], list[Fired], tuple[list[_Candidate], int]]:
    """All levels once; blank: every class counts, whether its links fired or not.

    `roots` keeps what the first level was answered: the second time it would be asked the same. `near` is filled,
    where there is a floor, with every class that was asked: their scores cost nothing.
    """
    tokenizer = pieces.tokenizer
    multi = request.mode == MULTICLASSIFY
    token = CLASS_MARKERS[request.mode]
    class_id = tokenizer.multiclassify_id if multi else tokenizer.classify_id
    text = tokenizer.encode_text(request.text, markers=request.markers)
    threshold = -1.0 if blank else limits.threshold
    parents: list[tuple[Path, tuple[SchemaType, ...]]] = [((), request.schema.types)]
    found: list[_Candidate] = []
    windows = 1
    while parents:
        groups = [Group(prefix, tuple(child.name for child in children)) for prefix, children in parents]
        nodes = [{child.name: child for child in children} for _, children in parents]
        hints = _hints(groups, pieces, limits, notes, class_id=class_id)
        by_hint = [_prompts(hint, text, tokenizer, limits, class_id=class_id) for hint in hints]
        windows = max([windows, *map(len, by_hint)])
        if roots and not parents[0][0]:
            answers = roots
        else:
            answers = yield [prompt for prompts in by_hint for prompt in prompts]
            if not roots:
                roots.extend(answers)
        results = iter(answers)
        below: list[tuple[Path, tuple[SchemaType, ...]]] = []
        leaves: list[_Candidate] = []
        for hint, prompts in zip(hints, by_hint, strict=True):
            votes = np.stack([_class_votes(next(results)) for _ in prompts])  # (windows, types, 3)
            for number, marker in enumerate(hint.markers) if limits.floor is not None else ():
                strongest = votes[[votes[:, number].min(axis=1).argmax()], number]
                _keep(near, (*parents[marker.group][0], _vote(strongest, marker.type, token, -1.0, first=True)))
            for number in np.flatnonzero((votes > threshold).all(axis=2).any(axis=0)).tolist():
                marker = hint.markers[number]
                prefix, _ = parents[marker.group]
                link = _vote(votes[:, number], marker.type, token, threshold, first=multi)
                child = nodes[marker.group][marker.type]
                if child.children:
                    below.append(((*prefix, link), child.children))
                else:
                    leaves.append(_Candidate((*prefix, link)))
        # One answer a level, the one with the largest sum, unless several labels may hold (SPEC 7.3).
        found += leaves if multi else ([max(leaves, key=lambda c: c.total)] if leaves else [])
        parents = below
    return found, windows


def _class_votes(fired: Fired) -> np.ndarray:
    if fired.classes is None:
        raise ValueError("a prompt without class token has no class probabilities")
    return fired.classes


def _vote(votes: np.ndarray, name: str, token: str, threshold: float, *, first: bool) -> Link:
    """Join the windows in which a class fired: their mean, or with several labels the first (SPEC 7.3).

    votes: (windows, 3) probabilities, of which at least one row exceeds the threshold.
    """
    heard = [row for row in votes.tolist() if min(row) > threshold]
    if first or len(heard) == 1:
        (one, two, three) = heard[0]
        return Link(name, 0, len(token), token, min(heard[0]), round((one + two + three) / 3, 4))
    confidence = float(np.mean([round((one + two + three) / 3, 4) for one, two, three in heard]))
    return Link(name, 0, len(token), token, float(np.mean([min(row) for row in heard])), confidence)

"""Random variants of an example, so that a model reads the schema instead of memorising it.

Types are left out, renamed, joined by foreign ones and asked below wrong prefixes; the gold follows each change.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.inference.prompts import MAX_PART
from core.tasks import EXTRACT
from core.training.samples import Example, GoldPath, Limits, Mark, Prefix, SchemaTree
from core.training.wording import CODES, FOREIGN, SYNONYMS, alternatives, label_set_wordings

FIXED_TASKS = frozenset({"nli", "matching", "coref", "choice", "mrc", "atsc", "sentiment"})
"""Tasks whose types are sentences or belong together: none is left out or renamed alone."""
READING = frozenset({"mrc", "choice"})
IMPLICIT_SOURCES = frozenset({"gdcq"})
"""Sets that annotate opinions without a named aspect."""
_SHARED_BY = 4
"""A role name of so many event types is too general to stand alone."""
_SECOND = "；段落2："
_FIRST = "段落1："


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """Every probability of the augmentation; all are per example unless said otherwise."""

    full: float = 0.4  # ask the whole schema
    keep_gold: float = 0.9  # keep a type that has answers in an extraction (per type)
    keep_class: float = 0.97  # keep a class that is right (per class)
    min_hint_chars: int = 24  # a partial schema takes a random number of characters between these two
    max_hint_chars: int = 140
    rename: float = 0.5  # change names at all
    rename_type: float = 0.5  # change this name (per type), once names change
    code: float = 0.05  # use an English code where there is one (per changed type)
    label_set: float = 0.25  # change the wording of a whole label set
    foreign: float = 0.25  # add one to three types that cannot apply
    flat: float = 0.2  # ask the roles of events as if they were entities
    wrong_prefix: float = 0.35  # ask below one or two prefixes that do not hold
    implicit: float = 0.9  # "#" before an opinion text of a set that annotates implicit aspects
    implicit_other: float = 0.5  # the same for the other sets
    unrelated_question: float = 0.15  # ask a reading text a question about another one
    swap: float = 0.5  # exchange the two texts of a matching pair
    long: float = 0.15  # prompts of up to `long_length` tokens
    long_reading: float = 0.5  # the same for reading texts, which are long
    apart: float = 0.9  # each prefix in a prompt of its own
    max_length: int = 256
    long_length: int = 512
    hint_share: float = 0.65  # part of a prompt that the hint may take
    max_hints: int = 2  # hints of the first level
    max_deep_hints: int = 4  # hints of each further level
    window_gold: float = 0.7  # a window of a long text holds an answer
    class_start: float = 0.7  # a class is read at the start of a long text

    def limits(self, rng: random.Random, task: str = "") -> Limits:
        """The token limits for one example of a task."""
        long = self.long_reading if task in READING else self.long
        length = self.long_length if rng.random() < long else self.max_length
        return Limits(
            max_length=length,
            max_hint_length=min(256, int(length * self.hint_share)),
            max_hints=self.max_hints,
            max_deep_hints=self.max_deep_hints,
            max_groups=1 if rng.random() < self.apart else 0,
            window_gold=self.window_gold,
            class_start=self.class_start,
        )


LIGHT = AugmentConfig(
    full=0.9,
    keep_gold=1.0,
    keep_class=1.0,
    rename=0.0,
    label_set=0.0,
    foreign=0.0,
    flat=0.0,
    unrelated_question=0.0,
    implicit=0.0,
    implicit_other=0.0,
    max_hints=4,
    max_deep_hints=8,
    apart=0.0,
)
"""For a user's own file: the schema is asked as written."""


def augment(
    example: Example, rng: random.Random, config: AugmentConfig, *, questions: Sequence[tuple[str, str]] = ()
) -> Example:
    """A random variant; every gold path stays legal in its schema and every span keeps its text.

    questions: (text, question) pairs of other reading examples.
    """
    example = _reworded(example, rng, config)
    if example.task == "ee" and rng.random() < config.flat:
        example = _flattened(example, rng)
    if example.task == "matching" and rng.random() < config.swap:
        example = _swapped(example)
    if example.task == "mrc" and example.mode == EXTRACT:
        return _unrelated(example, rng, config, questions)
    if example.task == "absa":
        example = _implicit(example, rng, config)
    if example.task not in FIXED_TASKS:
        whole = example.schema
        example = _subset(example, rng, config)
        if rng.random() < config.rename:
            example = _renamed(example, whole, rng, config)
        if example.mode == EXTRACT and rng.random() < config.foreign:
            example = _with_foreign(example, whole, rng)
    if example.mode == EXTRACT and rng.random() < config.wrong_prefix:
        example = replace(example, wrong=_wrong_prefixes(example, rng))
    return example


def _reworded(example: Example, rng: random.Random, config: AugmentConfig) -> Example:
    """Change a whole label set (polarities, entailment, similarity) to another wording."""
    if any(example.schema.values()):
        return example
    wordings = label_set_wordings(tuple(example.schema))
    if not wordings or rng.random() >= config.label_set:
        return example
    return _apply(example, rng.choice(wordings))


def _flattened(example: Example, rng: random.Random) -> Example:
    """Roles as entity types, so that their many names are read without a trigger too; unchanged without arguments.

    Roles that every event has, such as the time, mean more as an entity type than as a role and are left out.
    """
    happened = {path[0].type for path in example.paths}
    shared = Counter(role for below in example.schema.values() for role in below or ())
    own = {role for event in happened for role in example.schema[event] or () if shared[role] < _SHARED_BY}
    others = [role for role in shared if shared[role] < _SHARED_BY and role not in own]
    paths = tuple(dict.fromkeys((path[1],) for path in example.paths if len(path) == 2 and path[1].type in own))
    if not paths:
        return example
    roles = [*own, *rng.sample(others, min(len(others), rng.randint(0, 6)))]
    return replace(example, schema=dict.fromkeys(rng.sample(sorted(roles), len(roles))), paths=paths, task="ner")


def _swapped(example: Example) -> Example:
    """Similarity does not depend on which text comes first."""
    first, found, second = example.text.partition(_SECOND)
    if not found or not first.startswith(_FIRST) or _SECOND in second:
        return example
    return replace(example, text=_FIRST + second + _SECOND + first.removeprefix(_FIRST))


def _unrelated(
    example: Example, rng: random.Random, config: AugmentConfig, questions: Sequence[tuple[str, str]]
) -> Example:
    if rng.random() >= config.unrelated_question:
        return example
    others = [question for text, question in questions if text != example.text and question not in example.schema]
    if not others:
        return example
    return replace(example, schema={**example.schema, rng.choice(others): None})


def _implicit(example: Example, rng: random.Random, config: AugmentConfig) -> Example:
    """Put "#" before a text that lacks it, so that its presence says nothing about what is in the text."""
    share = config.implicit if example.source in IMPLICIT_SOURCES else config.implicit_other
    if example.text.startswith("#") or rng.random() >= share:
        return example
    paths = tuple(tuple(Mark(m.type, m.start + 1, m.end + 1) for m in path) for path in example.paths)
    return replace(example, text="#" + example.text, paths=paths)


def _subset(example: Example, rng: random.Random, config: AugmentConfig) -> Example:
    """Ask only some types, of every level; gold of the others goes with them."""
    if rng.random() < config.full:
        return example
    keep_gold = config.keep_gold if example.mode == EXTRACT else config.keep_class

    def choose(tree: SchemaTree, paths: Sequence[GoldPath]) -> dict[str, Any]:
        right = {path[0].type for path in paths if path}
        share = rng.random()
        budget = rng.randint(config.min_hint_chars, config.max_hint_chars)
        names = [name for name in tree if rng.random() < (keep_gold if name in right else share)]
        # Gold first: what the budget cuts off is then mostly wrong answers.
        names = sorted(names or [rng.choice(list(tree))], key=lambda name: (name not in right, rng.random()))
        kept: list[str] = []
        for name in names:
            budget -= min(len(name), MAX_PART) + 1
            if kept and budget < 0:
                break
            kept.append(name)
        chosen: dict[str, Any] = {}
        for name in kept:
            below = tree[name]
            chosen[name] = choose(below, [p[1:] for p in paths if p and p[0].type == name]) if below else None
        return chosen

    schema = choose(example.schema, example.paths)
    paths = (_within(path, schema) for path in example.paths)
    return replace(example, schema=schema, paths=tuple(dict.fromkeys(path for path in paths if path)))


def _within(path: GoldPath, tree: SchemaTree | None) -> GoldPath:
    """The part of a path, from the root, that the schema still asks for."""
    for length, mark in enumerate(path):
        if not tree or mark.type not in tree:
            return path[:length]
        tree = tree[mark.type]
    return path


def _names(tree: SchemaTree | None) -> list[str]:
    return [name for key, below in (tree or {}).items() for name in (key, *_names(below))]


def _renamed(example: Example, whole: SchemaTree, rng: random.Random, config: AugmentConfig) -> Example:
    """Give some types other names, the same name everywhere, never one that the whole schema uses already."""
    known = _names(whole)
    taken = set(known)
    mapping: dict[str, str] = {}
    for name in dict.fromkeys(_names(example.schema)):
        if rng.random() >= config.rename_type:
            continue
        codes = CODES.get(name, ())
        pool = codes if codes and rng.random() < config.code else alternatives(name)
        outer = name.partition("(")[0]
        shared = sum(other.partition("(")[0] == outer for other in set(known)) > 1
        pool = tuple(new for new in pool if new not in taken and not (new == outer and shared))
        if example.mode != EXTRACT:  # a class is no name of something in the text
            pool = tuple(new for new in pool if not new.endswith(("名", "名称")))
        if pool:
            mapping[name] = rng.choice(pool)
            taken.add(mapping[name])
    return _apply(example, mapping) if mapping else example


def _apply(example: Example, mapping: Mapping[str, str]) -> Example:
    def write(tree: SchemaTree | None) -> dict[str, Any] | None:
        return {mapping.get(name, name): write(below) for name, below in tree.items()} if tree else None

    paths = tuple(tuple(Mark(mapping.get(m.type, m.type), m.start, m.end) for m in path) for path in example.paths)
    return replace(example, schema=write(example.schema) or {}, paths=paths)


def _with_foreign(example: Example, whole: SchemaTree, rng: random.Random) -> Example:
    """Add types that do not apply to the set's texts and mean none of the set's own types."""
    own = set(_names(whole)) | set(_names(example.schema))
    own |= {other for name in own for other in SYNONYMS.get(name, ())}
    pool = [name for name in FOREIGN.get(example.source, ()) if name not in own]
    added = rng.sample(pool, min(len(pool), rng.randint(1, 3)))
    return replace(example, schema={**example.schema, **dict.fromkeys(added)})


def _wrong_prefixes(example: Example, rng: random.Random) -> tuple[tuple[Prefix, tuple[str, ...]], ...]:
    """One or two prefixes that look right but are not: a found span under a root type that it does not have."""
    roots = {name: below for name, below in example.schema.items() if below}
    right = {(path[0].type, example.text[path[0].start : path[0].end]) for path in example.paths}
    spans = dict.fromkeys(example.text[mark.start : mark.end] for path in example.paths for mark in path)
    wrong = [(name, span) for span in spans for name in roots if (name, span) not in right]
    chosen = rng.sample(wrong, min(len(wrong), rng.randint(1, 2)))
    return tuple((((name, span),), tuple(roots[name])) for name, span in chosen)

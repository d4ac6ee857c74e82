"""Word lists of types and the finding of their words and of exact patterns in a text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from core.training.patterns import PATTERNS

WORD_LISTS = Path(__file__).resolve().parents[2] / "data" / "training" / "gazetteers.json"
"""`types`: names, words, whether the list is closed (nearly complete) and, as an expression, what may be a word not
listed. `others`: words of no type that contain listed ones or share characters with them."""

_BEFORE = re.compile(r"[A-Za-z0-9_./\\@#$&+~'’-]$|[A-Za-z0-9)] $")
_AFTER = re.compile(r"[A-Za-z0-9_/\\@#$&+(='’-]|\.[A-Za-z0-9]| [A-Za-z0-9(]")
_ASCII = re.compile(r"[A-Za-z0-9+#.]")


@dataclass(frozen=True, slots=True)
class Kind:
    """A type with the names it may be asked by; absent ones may be asked for only if they are closed."""

    names: tuple[str, ...]
    closed: bool
    unsure: re.Pattern[str] | None


@dataclass(frozen=True, slots=True)
class Match:
    """A span [start, end) in code points and the kinds it may be; a word of no kind only stands in the way."""

    start: int
    end: int
    kinds: tuple[int, ...]
    sure: bool = True
    pattern: bool = False
    free: bool = False


@dataclass(frozen=True, slots=True)
class Lists:
    """All kinds, word lists first, and the words by their first two characters, longest first."""

    kinds: tuple[Kind, ...]
    words: dict[str, list[tuple[str, tuple[int, ...]]]]


@lru_cache(maxsize=1)
def load_lists() -> Lists:
    """The kinds of the word lists and of the patterns."""
    content = json.loads(WORD_LISTS.read_text("utf-8"))
    kinds = []
    owners: dict[str, list[int]] = {word: [] for word in content["others"].split()}
    for number, entry in enumerate(content["types"]):
        unsure = re.compile(entry["unsure"]) if entry["unsure"] else None
        kinds.append(Kind(tuple(entry["names"].split("、")), entry["closed"], unsure))
        for word in entry["words"].split("、"):
            owners.setdefault(word, []).append(number)
    kinds += [Kind(pattern.names, True, pattern.unsure) for pattern in PATTERNS]
    words: dict[str, list[tuple[str, tuple[int, ...]]]] = {}
    for word in sorted(owners, key=lambda word: (-len(word), word)):
        words.setdefault(word[:2], []).append((word, tuple(owners[word])))
    return Lists(tuple(kinds), words)


def find_kinds(text: str, lists: Lists) -> tuple[dict[int, list[tuple[int, int]]], set[int]]:
    """The spans of each kind in the text, and the kinds that may occur where nothing was found.

    Of overlapping words the longer is taken; a kind is in doubt if one of its words crosses another word or lies in
    a pattern, or if what `unsure` describes stands outside the found spans.
    """
    found: dict[int, list[tuple[int, int]]] = {}
    doubtful: set[int] = set()
    matches = [*_words(text, lists), *_patterns(text, len(lists.kinds) - len(PATTERNS))]
    for match in matches:
        taken, doubted = _judge(match, matches)
        if taken:
            for kind in match.kinds:
                found.setdefault(kind, []).append((match.start, match.end))
        elif doubted:
            doubtful.update(match.kinds)
    doubtful.update(kind for kind, spans in found.items() if in_doubt(text, spans, lists.kinds[kind]))
    return found, doubtful


def in_doubt(text: str, spans: list[tuple[int, int]], kind: Kind) -> bool:
    """Whether the text outside the spans may hold more of the kind."""
    if kind.unsure is None or not kind.unsure.search(text):
        return False
    rest = list(text)
    for start, end in spans:
        rest[start:end] = "\n" * (end - start)
    return kind.unsure.search("".join(rest)) is not None


def _judge(match: Match, matches: list[Match]) -> tuple[bool, bool]:
    """Whether a match counts and, if not, whether its kinds are in doubt."""
    if not match.sure:
        return False, True
    for other in matches:
        if other is match or other.end <= match.start or match.end <= other.start or match.free or other.free:
            continue
        inside = other.start <= match.start and match.end <= other.end
        around = match.start <= other.start and other.end <= match.end
        if match.pattern != other.pattern:
            if other.pattern or (inside and not around):
                return False, True
            if around:
                continue
        if inside and around:  # several types have this word
            continue
        if inside:  # a city in the name of a university is no city there; part of a longer date may be a date
            return False, match.pattern
        if not around and (match.pattern or other.end - other.start >= match.end - match.start):
            return False, True
    return True, False


def _words(text: str, lists: Lists) -> Iterator[Match]:
    """At each place the longest listed word."""
    for start in range(len(text) - 1):
        for word, kinds in lists.words.get(text[start : start + 2], ()):
            if text.startswith(word, start):
                end = start + len(word)
                yield Match(start, end, kinds, _has_borders(text, start, end))
                break


def _has_borders(text: str, start: int, end: int) -> bool:
    """Whether a word in Latin letters stands alone: not in a longer word, a path or a name of several words."""
    if text[start - 1 : start] == "·" or text[end : end + 1] == "·":  # a part of a foreign name
        return False
    if _ASCII.match(text, start) and _BEFORE.search(text, max(0, start - 2), start):
        return False
    return not (_ASCII.match(text, end - 1) and _AFTER.match(text, end))


def _patterns(text: str, first: int) -> Iterator[Match]:
    for number, pattern in enumerate(PATTERNS, first):
        for hit in pattern.regex.finditer(text):
            group = next((index for index, part in enumerate(hit.groups(), 1) if part is not None), 0)
            yield Match(*hit.span(group), (number,), pattern=True, free=pattern.free)

"""The machine against what people made of it: strict scores for each type, and which type was taken for which."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from core.evaluation.metrics import Element, Paths, Scores, score
from core.storage.review_queries import ReviewPair
from core.types import Annotation

NOTHING = ""
"""In a confusion: the machine found nothing here, or people left nothing."""


@dataclass(frozen=True, slots=True)
class Quality:
    """`total` and `by_type` are strict: a finding counts when it and all above it are equal in type, text and place.

    `confusion` counts (the machine's type, the corrected type) of what stands in one place below the same place;
    `NOTHING` stands for either side where it has no finding. Reviewed `documents` only.
    """

    documents: int
    total: Scores
    by_type: Mapping[str, Scores]
    confusion: Mapping[tuple[str, str], int]


def judge(pairs: Iterable[ReviewPair]) -> Quality:
    """Score the machine on reviewed documents, the corrected trees being right."""
    found: list[tuple[Paths, Paths]] = []
    confusion: Counter[tuple[str, str]] = Counter()
    for pair in pairs:
        corrected, machine = every_path(pair.corrected), every_path(pair.machine)
        found.append((corrected, machine))
        confusion.update(_confusion(corrected, machine))
    types = {path[-1][0] for pair in found for paths in pair for path in paths}
    by_type = {
        name: score((_ending(wanted, name), _ending(given, name)) for wanted, given in found) for name in sorted(types)
    }
    return Quality(len(found), score(found), by_type, dict(confusion))


def every_path(annotations: Iterable[Annotation]) -> Paths:
    """The path to every finding of the trees, those that end above a leaf included; a class has the place -1."""

    def walk(nodes: Iterable[Annotation], above: tuple[Element, ...]) -> Iterable[tuple[Element, ...]]:
        for one in nodes:
            place = (-1, -1) if one.start is None or one.end is None else (one.start, one.end)
            path = (*above, (one.type, one.text, *place))
            yield path
            yield from walk(one.children, path)

    return frozenset(walk(annotations, ()))


def _ending(paths: Paths, type: str) -> Paths:
    return frozenset(path for path in paths if path[-1][0] == type)


def _confusion(corrected: Paths, machine: Paths) -> Counter[tuple[str, str]]:
    """Equal types in one place go together first, what is left in the order of the names."""
    places: defaultdict[tuple[tuple[int, int], ...], tuple[Counter[str], Counter[str]]] = defaultdict(
        lambda: (Counter(), Counter())
    )
    for side, paths in enumerate((machine, corrected)):
        for path in paths:
            places[tuple(link[2:] for link in path)][side][path[-1][0]] += 1
    counts: Counter[tuple[str, str]] = Counter()
    for given, wanted in places.values():
        both = given & wanted
        counts.update({(name, name): number for name, number in both.items()})
        left, right = sorted((given - both).elements()), sorted((wanted - both).elements())
        length = max(len(left), len(right))
        left += [NOTHING] * (length - len(left))
        right += [NOTHING] * (length - len(right))
        counts.update(zip(left, right, strict=True))
    return counts

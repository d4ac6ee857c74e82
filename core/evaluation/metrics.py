"""Scores of predicted against gold paths (SPEC 10.5): micro precision, recall and F1, and accuracy."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from core.schemas.schema import Schema

Element = tuple[str, str, int, int]
"""type, text, start, end of one link."""
Paths = frozenset[tuple[Element, ...]]


@dataclass(frozen=True, slots=True)
class Scores:
    """Micro-averaged over documents; `accuracy` is the share of documents whose paths are exactly the gold ones."""

    documents: int
    gold: int
    predicted: int
    correct: int
    exact: int

    @property
    def precision(self) -> float:
        """Correct among the predicted paths."""
        return self.correct / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """Found among the gold paths."""
        return self.correct / self.gold if self.gold else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        total = self.predicted + self.gold
        return 2 * self.correct / total if total else 0.0

    @property
    def accuracy(self) -> float:
        """Exactly right documents."""
        return self.exact / self.documents if self.documents else 0.0


def score(pairs: Iterable[tuple[Paths, Paths]]) -> Scores:
    """Scores of (gold, predicted) path sets, one pair a document; a path counts when every link is equal."""
    documents = gold = predicted = correct = exact = 0
    for wanted, found in pairs:
        documents += 1
        gold += len(wanted)
        predicted += len(found)
        correct += len(wanted & found)
        exact += wanted == found
    return Scores(documents, gold, predicted, correct, exact)


def complete(paths: Paths, schema: Schema) -> Paths:
    """The paths that reach a leaf of the schema.

    Some sets label a subject, an aspect or a trigger also where nothing stands below it. Such a path answers
    no question of its own, so where whole paths are scored it counts neither as gold nor as prediction.
    """
    names = set(schema.paths())
    above = {path[:-1] for path in names}
    return frozenset(path for path in paths if tuple(link[0] for link in path) in names - above)


def of_types(paths: Paths, types: Collection[str] | None) -> Paths:
    """The paths whose first link is of one of these types; None: all."""
    return paths if types is None else frozenset(path for path in paths if path[0][0] in types)


def without_offsets(paths: Paths) -> Paths:
    """The paths by type and text alone, each once (the reference's measure `span`, SPEC 10.5)."""
    return frozenset(tuple((kind, text, 0, 0) for kind, text, _, _ in path) for path in paths)

"""Scores of predicted against gold paths (SPEC 10.5): micro precision, recall and F1, and accuracy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

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

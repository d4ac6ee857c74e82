"""SnowNLP as a judge of polarity."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from core.evaluation.metrics import Paths
from core.evaluation.peers.classes import class_path, split_marker

if TYPE_CHECKING:
    from core.evaluation.evaluate import GoldRecord

SETS = frozenset({"book_review", "chnsenticorp", "hotel", "online_shopping"})
"""Sentiment sets with two polarities."""
POSITIVE: Mapping[bool, str] = {True: "正向情感", False: "负向情感"}
THRESHOLD = 0.5
"""From here on a text is positive: SnowNLP's own reading of its number."""


@dataclass(frozen=True, slots=True)
class PolarityPeer:
    """Naive Bayes over words, trained by its author on reviews of books, films and shops.

    Those reviews are in the package and overlap common review sets, so its numbers there are too good: of the
    development texts 1,116 of 1,450 of `chnsenticorp` stand among them, 40 of 473 of `hotel`, 5 of 501 of
    `online_shopping`, none of `book_review`.
    """

    name: str
    version: str

    def covers(self, task: str, source: str) -> bool:
        """Sentiment with two polarities."""
        return task == "sentiment" and source in SETS

    def comparable(self, task: str, source: str) -> frozenset[str] | None:
        """All types."""
        return None

    def predict(self, records: Sequence[GoldRecord], *, train: Path | None) -> list[Paths]:
        """One class path for each record."""
        classify: Callable[[str], float] = import_module("snownlp.sentiment").classify
        answers = []
        for record in records:
            marker, text = split_marker(record.text)
            answers.append(frozenset({class_path(POSITIVE[classify(text) >= THRESHOLD], marker)}))
        return answers

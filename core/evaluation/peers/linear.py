"""TF-IDF of characters with logistic regression, trained on the set's own training file."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import FormatError, InputError
from core.evaluation.metrics import Paths
from core.evaluation.peers.classes import class_path, split_marker
from core.tasks import CLASS_MARKERS, CLASSIFY

if TYPE_CHECKING:
    from core.evaluation.evaluate import GoldRecord

TASKS = frozenset({"classification", "sentiment", "multilabel"})
MOST = 30_000
"""Training records used at most: the first by the hash of their text, so that every run takes the same."""
PENALTIES = (2.0, 8.0, 32.0)
"""Values of C tried on a fifth of the training records; never on development records."""
THRESHOLDS = (0.5, 0.4, 0.3, 0.2, 0.1)
"""Probabilities from which one of several labels holds, tried on the same fifth: rare labels seldom reach one half."""
PASSES = 10_000
"""Passes over the data within which every fit must have converged."""

Question = tuple[str, frozenset[str]]
"""What makes two records ask the same: the class marker and the labels to choose from."""
Example = tuple[str, tuple[str, ...]]
"""A text without its marker, and its labels."""


@dataclass(frozen=True, slots=True)
class LinearPeer:
    """Sparse character 1- to 3-grams, one logistic regression against the rest for each label.

    Where one label is asked the most probable is chosen, where several may hold those from a threshold on. A set that
    asks several questions (`cail_elements` has three lists of labels) gets a classifier for each.
    """

    name: str
    version: str

    def covers(self, task: str, source: str) -> bool:
        """Tasks with flat labels of one text; pairs, which need both texts compared, are not."""
        return task in TASKS

    def comparable(self, task: str, source: str) -> frozenset[str] | None:
        """All types."""
        return None

    def predict(self, records: Sequence[GoldRecord], *, train: Path | None) -> list[Paths]:
        """Class paths for each record, by a classifier trained on `train`.

        Raises InputError without a training file, FormatError when it lacks a question that the records ask.
        """
        if train is None:
            raise InputError(f"{self.name} 需要训练集：请用 --data 指向转换好的数据集目录（含 <数据集>.train.jsonl）")
        answers: list[Paths] = [frozenset()] * len(records)
        asked = [(record, *split_marker(record.text)) for record in records]
        questions = [(marker, frozenset(one.name for one in record.schema.types)) for record, marker, _ in asked]
        for question in dict.fromkeys(questions):
            places = [place for place, one in enumerate(questions) if one == question]
            labels = fit(train, question).labels([asked[place][2] for place in places])
            for place, found in zip(places, labels, strict=True):
                answers[place] = frozenset(class_path(label, question[0]) for label in found)
        return answers


@dataclass(frozen=True, slots=True)
class Fitted:
    """A classifier of one question; `binariser` names the labels, and `threshold` admits them, where several hold."""

    vectoriser: Any
    classifier: Any
    binariser: Any | None
    threshold: float

    def labels(self, texts: Sequence[str]) -> list[tuple[str, ...]]:
        """The labels of each text."""
        features = self.vectoriser.transform(texts)
        if self.binariser is None:
            return [(str(label),) for label in self.classifier.predict(features)]
        return list(self.binariser.inverse_transform(_admitted(self.classifier, features, self.threshold)))


def fit(train: Path, question: Question) -> Fitted:
    """Fit on all examples, with the C and the threshold that did best on a fifth of them, fitted on the others.

    Raises FormatError when the file holds no usable examples of the question.
    """
    examples = read_examples(train, question)
    if len({labels for _, labels in examples}) < 2 or len(examples) < 10:
        raise FormatError(
            f"{train} 里没有足够的同类训练记录（标签 {'、'.join(sorted(question[1])[:5])} 等），请重新转换"
        )
    texts = [text for text, _ in examples]
    single = question[0] == CLASS_MARKERS[CLASSIFY]
    binariser = None if single else import_module("sklearn.preprocessing").MultiLabelBinarizer()
    if binariser is None:
        targets = np.array([labels[0] for _, labels in examples])
    else:
        targets = binariser.fit_transform([labels for _, labels in examples])
    held = len(examples) // 5
    vectoriser = _vectoriser().fit(texts[held:])
    inside, outside = vectoriser.transform(texts[held:]), vectoriser.transform(texts[:held])
    micro_f1 = partial(import_module("sklearn.metrics").f1_score, average="micro", zero_division=0.0)
    best, penalty, threshold = -1.0, 0.0, THRESHOLDS[0]
    for one in PENALTIES:
        classifier = _classifier(inside, targets[held:], one)
        for limit in THRESHOLDS[:1] if single else THRESHOLDS:
            found = classifier.predict(outside) if single else _admitted(classifier, outside, limit)
            quality = float(micro_f1(targets[:held], found))
            if quality > best:
                best, penalty, threshold = quality, one, limit
    vectoriser = _vectoriser().fit(texts)
    return Fitted(vectoriser, _classifier(vectoriser.transform(texts), targets, penalty), binariser, threshold)


def _admitted(classifier: Any, features: Any, threshold: float) -> np.ndarray:
    """(texts, labels) 1 where a label's probability reaches the threshold, else 0."""
    return np.asarray(classifier.predict_proba(features) >= threshold, dtype=np.int64)


def read_examples(path: Path, question: Question) -> list[Example]:
    """Training records of a question, at most MOST, in the order of the hash of their text."""
    examples: list[Example] = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
                if not row["text"].startswith(question[0]) or frozenset(row["schema"]) != question[1]:
                    continue
                # A nested schema asks for a class of classes: another question with the same first labels.
                if any(row["schema"].values()):
                    continue
                labels = tuple(info[-1]["type"] for info in row["info_list"])
                if question[0] == CLASS_MARKERS[CLASSIFY] and len(labels) != 1:
                    raise ValueError(f"分类记录应有一个标签，现有 {len(labels)} 个")
                examples.append((split_marker(row["text"])[1], labels))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise FormatError(f"{path} 第 {number} 行无法使用（{error}）：请重新转换该数据集") from error
    return sorted(examples, key=lambda example: hashlib.sha1(example[0].encode()).digest())[:MOST]


def _vectoriser() -> Any:
    text = import_module("sklearn.feature_extraction.text")
    return text.TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=2, sublinear_tf=True)


def _classifier(features: Any, targets: Any, penalty: float) -> Any:
    """One against the rest, fitted until converged; a fit that is not is an error, not a weak opponent."""
    linear, multiclass = import_module("sklearn.linear_model"), import_module("sklearn.multiclass")
    one = linear.LogisticRegression(C=penalty, solver="liblinear", dual=True, max_iter=PASSES, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", import_module("sklearn.exceptions").ConvergenceWarning)
        return multiclass.OneVsRestClassifier(one).fit(features, targets)

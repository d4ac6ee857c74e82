"""Reading comprehension sets: answers cut out of the context, and answers to choose from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from core.training.converters.record import (
    InfoPath,
    Record,
    Tally,
    class_record,
    clean,
    element,
    leaves,
    read_json,
)

# The reference skips types of more than 124 tokens silently (SPEC 3); a Chinese character is one token.
_MAX_TYPE = 120
_YES_NO = {"YES": "是", "NO": "否"}


def _choice(
    context: str, question: str, options: list[str], *, answer: str, source: str, tally: Tally
) -> Iterator[Record]:
    """One record: question + option is a type, the answer's is the class."""
    types = [question + option for option in options]
    if len(set(types)) != len(types) or len(types) < 2:
        tally["question whose options are equal or one"] += 1
    elif max(map(len, types)) > _MAX_TYPE:
        tally["question too long to be a type"] += 1
    else:
        yield class_record(context, [(question + answer,)], schema=leaves(types), task="choice", source=source)


def convert_c3(directory: Path, tally: Tally) -> Iterator[Record]:
    """C3 (the copy of ExpMRC): one record for each question of an article."""
    for article in read_json(directory, "train-pseudo-c3.json")["data"]:
        questions = zip(article["questions"], article["options"], article["answers"], strict=True)
        for question, options, letter in questions:
            choices = [clean(option) for option in options]
            index = ord(letter) - ord("A")
            if not 0 <= index < len(choices):
                tally["question whose answer is no option"] += 1
                continue
            yield from _choice(
                clean(article["article"]),
                clean(question),
                choices,
                answer=choices[index],
                source="c3",
                tally=tally,
            )


def convert_cmrc2018(directory: Path, tally: Tally) -> Iterator[Record]:
    """CMRC 2018 (the copy of ExpMRC); the published trial set is for development."""
    for name, split in {"train-pseudo-cmrc2018.json": "", "cmrc2018_trial.json": "dev"}.items():
        yield from _extractive(directory, name, source="cmrc2018", tally=tally, split=split)


def convert_drcd_dev(directory: Path, tally: Tally) -> Iterator[Record]:
    """DRCD (development part), in traditional characters."""
    return _extractive(directory, "DRCD_dev.json", source="drcd_dev", tally=tally)


def convert_cail_mrc(directory: Path, tally: Tally) -> Iterator[Record]:
    """CAIL 2019 reading of judgements; yes/no questions are asked as a choice, unanswerable ones have no answer."""
    return _extractive(directory, "dev_ground_truth.json", source="cail_mrc", tally=tally)


def _extractive(directory: Path, name: str, *, source: str, tally: Tally, split: str = "") -> Iterator[Record]:
    """A SQuAD-like file: one record for each question, its context whole."""
    for document in read_json(directory, name)["data"]:
        for paragraph in document["paragraphs"]:
            context = paragraph["context"]
            for question in paragraph["qas"]:
                yield from _question(context, question, source=source, tally=tally, split=split)


def _question(context: str, row: Mapping[str, Any], *, source: str, tally: Tally, split: str) -> Iterator[Record]:
    """The record of one question; of several annotators' answers the most frequent counts."""
    question = clean(row["question"])
    answers = Counter((answer["text"], answer["answer_start"]) for answer in row["answers"])
    words, start = answers.most_common(1)[0][0] if answers else ("", -1)
    if words in _YES_NO and start < 0:
        options = list(_YES_NO.values())
        yield from _choice(context, question, options, answer=_YES_NO[words], source=source, tally=tally)
        return
    if not question or len(question) > _MAX_TYPE:
        tally["question too long to be a type, or empty"] += 1
        return
    info: list[InfoPath] = []
    if words:
        if context[start : start + len(words)] != words:
            if context.count(words) != 1:
                tally["answer not at its place in the context"] += 1
                return
            start = context.index(words)
        info = [[element(question, context, start, start + len(words))]]
    yield Record(context, info, leaves([question]), "mrc", source, context, split=split)

"""Sets of text pairs, matching and inference, and of marked pairs of words, coreference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from core.training.converters.record import (
    Record,
    Tally,
    class_record,
    clean,
    leaves,
    read_columns,
    read_json_lines,
)

MATCHING = {"1": "文本匹配：相似", "0": "文本匹配：不相似"}
NLI = {
    "entailment": "段落2和段落1的关系是：蕴含",
    "contradiction": "段落2和段落1的关系是：矛盾",
    "neutral": "段落2和段落1的关系是：中立",
}
_OCNLI_DEV_ROWS = 1000


def pair_text(first: str, second: str) -> str:
    """Two texts as the one text that the model reads (SPEC 9, rows 9 and 10)."""
    return f"段落1：{first}；段落2：{second}"


def _matching(rows: Iterable[tuple[str, str, str]], *, source: str, tally: Tally) -> Iterator[Record]:
    """Rows (first, second, "1" or "0") as matching records."""
    for first, second, label in rows:
        if label not in MATCHING:
            tally["pair without a known label"] += 1
            continue
        first, second = clean(first), clean(second)
        yield class_record(
            pair_text(first, second),
            [(MATCHING[label],)],
            schema=leaves(MATCHING.values()),
            task="matching",
            source=source,
            key=first + second,
        )


def _matching_columns(directory: Path, name: str, *, source: str, tally: Tally) -> Iterator[Record]:
    """Matching pairs from rows `first TAB second TAB label`."""
    rows = ((row[0], row[1], row[2].strip()) for row in read_columns(directory, name, columns=3, tally=tally))
    return _matching(rows, source=source, tally=tally)


def convert_afqmc(directory: Path, tally: Tally) -> Iterator[Record]:
    """AFQMC: questions about consumer credit."""
    return _matching_columns(directory, "train.txt", source="afqmc", tally=tally)


def convert_lcqmc(directory: Path, tally: Tally) -> Iterator[Record]:
    """LCQMC: questions of a general forum."""
    return _matching_columns(directory, "dev.txt", source="lcqmc", tally=tally)


def convert_bq(directory: Path, tally: Tally) -> Iterator[Record]:
    """BQ: questions to a bank."""
    return _matching_columns(directory, "dev.tsv", source="bq", tally=tally)


def convert_pawsx(directory: Path, tally: Tally) -> Iterator[Record]:
    """PAWS-X: sentences of equal words and perhaps different meaning; the first row is a header."""
    rows = read_columns(directory, "dev_2k.tsv", columns=4, tally=tally)
    pairs = ((row[1], row[2], row[3].strip()) for row in rows if row[0] != "id")
    return _matching(pairs, source="pawsx", tally=tally)


def convert_sts_b(directory: Path, tally: Tally) -> Iterator[Record]:
    """STS-B: scores 0 to 5; from 4 similar, to 2 not, 3 is left out."""
    rows = []
    for first, second, score in read_columns(directory, "sts-b-train.txt", columns=3, tally=tally):
        if 2 < float(score) < 4:
            tally["pair of middle score"] += 1
            continue
        rows.append((first, second, "1" if float(score) >= 4 else "0"))
    return _matching(rows, source="sts_b", tally=tally)


def convert_simclue(directory: Path, tally: Tally) -> Iterator[Record]:
    """SimCLUE: sentence pairs of several sources."""
    rows = (
        (row["sentence1"], row["sentence2"], str(row["label"]))
        for row in read_json_lines(directory, "train_pair_1w.json")
    )
    return _matching(rows, source="simclue", tally=tally)


def _inference(
    rows: Iterable[tuple[str, str, str]], *, source: str, tally: Tally, dev_from: int | None = None
) -> Iterator[Record]:
    """Rows (premise, hypothesis, label) as records: dev from a given row on, else a premise stays on one side."""
    for index, (premise, hypothesis, label) in enumerate(rows):
        if label not in NLI:
            tally["pair without a known label"] += 1
            continue
        premise, hypothesis = clean(premise), clean(hypothesis)
        yield class_record(
            pair_text(premise, hypothesis),
            [(NLI[label],)],
            schema=leaves(NLI.values()),
            task="nli",
            source=source,
            key=premise + hypothesis,
            group=premise if dev_from is None else "",
            split="dev" if dev_from is not None and index >= dev_from else "",
        )


def convert_ocnli(directory: Path, tally: Tally) -> Iterator[Record]:
    """OCNLI; the last 1,000 rows are kept for development."""
    rows = list(read_json_lines(directory, "train.10k.json"))
    parts = ((row["sentence1"], row["sentence2"], row["label"]) for row in rows)
    return _inference(parts, source="ocnli", tally=tally, dev_from=len(rows) - _OCNLI_DEV_ROWS)


def _inference_columns(directory: Path, names: Iterable[str], *, source: str, tally: Tally) -> Iterator[Record]:
    """Inference pairs from rows `premise TAB hypothesis TAB label`."""
    for name in names:
        rows = read_columns(directory, name, columns=3, tally=tally)
        parts = ((row[0], row[1], row[2].strip()) for row in rows)
        yield from _inference(parts, source=source, tally=tally)


def convert_cmnli_dev(directory: Path, tally: Tally) -> Iterator[Record]:
    """Chinese MNLI (development part)."""
    return _inference_columns(directory, ["dev.txt"], source="cmnli_dev", tally=tally)


def convert_snli_zh_dev(directory: Path, tally: Tally) -> Iterator[Record]:
    """Chinese SNLI (development and test part)."""
    return _inference_columns(directory, ["dev.txt", "test.txt"], source="snli_zh_dev", tally=tally)


def coreference_question(pronoun: str, noun: str) -> str:
    """The type that asks whether a pronoun stands for a noun, without its answer (SPEC 9, row 11a)."""
    return f"下面的句子中，代词“{pronoun}”指代的是“{noun}”吗？"


def mark_pair(text: str, noun_end: int, *, pronoun_end: int) -> str:
    """The text with `（候选词）` after the noun and `(代词)` after the pronoun."""
    marks = sorted([(noun_end, "（候选词）"), (pronoun_end, "(代词)")], reverse=True)
    for end, mark in marks:
        text = text[:end] + mark + text[end:]
    return text


def convert_cluewsc(directory: Path, tally: Tally) -> Iterator[Record]:
    """CLUEWSC 2020: does the pronoun stand for the noun?"""
    for row in read_json_lines(directory, "train.json"):
        text, target = row["text"], row["target"]
        noun, pronoun = target["span1_text"], target["span2_text"]
        noun_end, pronoun_end = target["span1_index"] + len(noun), target["span2_index"] + len(pronoun)
        if text[target["span1_index"] : noun_end] != noun or text[target["span2_index"] : pronoun_end] != pronoun:
            tally["noun or pronoun differs from the text"] += 1
            continue
        question = coreference_question(pronoun, noun)
        yield class_record(
            mark_pair(text, noun_end, pronoun_end=pronoun_end),
            [(question + ("是的" if str(row["label"]).lower() == "true" else "不是"),)],
            schema=leaves([question + "是的", question + "不是"]),
            task="coref",
            source="cluewsc",
            key=text,
        )

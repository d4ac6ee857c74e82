"""Opinion sets: aspect → opinion with polarity, and the polarity of a given aspect."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from core.training.converters.record import (
    MULTICLASSIFY,
    Element,
    InfoPath,
    Record,
    Schema,
    Tally,
    class_record,
    clean,
    element,
    find_all,
    join_tokens,
    leaves,
    read_csv,
    read_json,
    read_lines,
)

ASPECT = "属性词"
POLARITIES = ("正向情感", "负向情感", "中性情感")
ABSA_SCHEMA: Schema = {ASPECT: leaves(f"{name}(情感词)" for name in POLARITIES)}
_POSITIVE, _NEGATIVE, _NEUTRAL = POLARITIES
_NAMES = {
    "pos": _POSITIVE,
    "neg": _NEGATIVE,
    "neu": _NEUTRAL,
    "positive": _POSITIVE,
    "negative": _NEGATIVE,
    "neutral": _NEUTRAL,
    "正面": _POSITIVE,
    "负面": _NEGATIVE,
    "中性": _NEUTRAL,
    "1": _POSITIVE,
    "-1": _NEGATIVE,
    "0": _NEUTRAL,
    "doubt": _NEUTRAL,
    "amb": _NEUTRAL,
}
_IMPLICIT = "#"
_APC_DOMAINS = ("camera", "car", "hair", "mooc", "notebook", "phone")


def _opinion(text: str, aspect: tuple[int, int], opinion: tuple[int, int] | None, *, polarity: str) -> InfoPath:
    """The path of one opinion; without opinion words the aspect alone."""
    path: list[Element] = [element(ASPECT, text, *aspect)]
    if opinion is not None:
        path.append(element(f"{polarity}(情感词)", text, *opinion))
    return path


def _aspect_polarities(
    text: str, pairs: Iterable[tuple[str, str]], *, source: str, tally: Tally, split: str = ""
) -> Iterator[Record]:
    """A record for each given aspect with its polarity; an aspect judged in two ways is counted and left out."""
    verdicts: dict[str, set[str]] = {}
    for aspect, polarity in pairs:
        verdicts.setdefault(aspect, set()).add(polarity)
    for aspect, found in verdicts.items():
        if len(found) > 1:
            tally["aspect with several polarities"] += 1
            continue
        question = f"属性“{aspect}”的情感倾向："
        schema = leaves(question + name for name in POLARITIES)
        answer = (question + found.pop(),)
        yield class_record(text, [answer], schema=schema, task="atsc", source=source, split=split)


def convert_zhang_aste(directory: Path, tally: Tally) -> Iterator[Record]:
    """Zhang's triplets of shop reviews: `tokens####[((aspect), (opinion), polarity)…]`, indices inclusive."""
    for name, split in {"train.txt": "", "dev.txt": "dev"}.items():
        for line in read_lines(directory, name):
            words, _, triplets = line.partition("####")
            text, offsets = join_tokens(words.split(" "))
            info: list[InfoPath] = []
            pairs = []
            # Literals only: nothing of the file is executed.
            for aspect, opinion, label in ast.literal_eval(triplets):
                if max(*aspect, *opinion) >= len(offsets):
                    tally["index beyond the text"] += 1
                    continue
                (a_start, a_end), (o_start, o_end) = (
                    (offsets[first][0], offsets[last][1]) for first, last in (aspect, opinion)
                )
                polarity = _NAMES[label.lower()]
                info.append(_opinion(text, (a_start, a_end), (o_start, o_end), polarity=polarity))
                pairs.append((text[a_start:a_end], polarity))
            yield Record(text, info, ABSA_SCHEMA, "absa", "zhang_aste", text, split=split)
            yield from _aspect_polarities(text, pairs, source="zhang_aste", tally=tally, split=split)


def convert_gdcq(directory: Path, tally: Tally) -> Iterator[Record]:
    """Cosmetics reviews: triplets (`#` stands for an aspect that is not said), aspect polarity, categories."""
    rows = list(read_csv(directory, "Train_merge.csv"))
    categories = leaves(dict.fromkeys(row["Categories"] for row in rows))
    reviews: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        reviews.setdefault(row["id"], []).append(row)
    for review in reviews.values():
        body = review[0]["text"]
        shift = len(_IMPLICIT) if any(row["AspectTerms"] == "_" for row in review) else 0
        text = _IMPLICIT * shift + body
        info: list[InfoPath] = []
        pairs = []
        for row in review:
            polarity = _NAMES[row["Polarities"]]
            aspect, opinion = (0, shift), None
            if row["AspectTerms"] != "_":
                aspect = (int(row["A_start"]) + shift, int(row["A_end"]) + shift)
                pairs.append((row["AspectTerms"], polarity))
            if row["OpinionTerms"] != "_":
                opinion = (int(row["O_start"]) + shift, int(row["O_end"]) + shift)
            info.append(_opinion(text, aspect, opinion, polarity=polarity))
        yield Record(text, info, ABSA_SCHEMA, "absa", "gdcq", body)
        yield from _aspect_polarities(body, pairs, source="gdcq", tally=tally)
        labels = [(name,) for name in dict.fromkeys(row["Categories"] for row in review)]
        yield class_record(
            body, labels, schema=categories, task="multilabel", source="gdcq", marker=MULTICLASSIFY, key=body
        )


def convert_bdci_car(directory: Path, tally: Tally) -> Iterator[Record]:
    """Car forum posts: subjects, subject → polarity, the polarity of subjects that are said, and triplets.

    Triplets only from posts in which every subject and every opinion word is said exactly once.
    """
    rows = list(read_csv(directory, "train_2.csv"))
    subjects = list(dict.fromkeys(row["subject"] for row in rows))
    tree: Schema = {subject: leaves(POLARITIES) for subject in subjects}
    posts: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        posts.setdefault(clean(row["content"]), []).append(row)
    for text, post in posts.items():
        pairs = list(dict.fromkeys((row["subject"], _NAMES[row["sentiment_value"]]) for row in post))
        labels = [(name,) for name in dict.fromkeys(subject for subject, _ in pairs)]
        yield class_record(
            text, labels, schema=leaves(subjects), task="multilabel", source="bdci_car", marker=MULTICLASSIFY
        )
        yield class_record(text, pairs, schema=tree, task="hierarchy", source="bdci_car", marker=MULTICLASSIFY)
        said = [(subject, polarity) for subject, polarity in pairs if subject in text]
        yield from _aspect_polarities(text, said, source="bdci_car", tally=tally)
        places = [(find_all(text, row["subject"]), find_all(text, row["sentiment_word"] or "")) for row in post]
        if all(len(aspect) == len(opinion) == 1 for aspect, opinion in places):
            info = [
                _opinion(text, aspect[0], opinion[0], polarity=_NAMES[row["sentiment_value"]])
                for row, (aspect, opinion) in zip(post, places, strict=True)
            ]
            yield Record(text, info, ABSA_SCHEMA, "absa", "bdci_car", text)
        else:
            tally["post without complete triplets"] += 1


def convert_diaasq(directory: Path, tally: Tally) -> Iterator[Record]:
    """DiaASQ phone forum: one record for each utterance of a dialogue.

    The aspect (the phone itself where no aspect is named) must be in the utterance; where it is in another
    one, the aspect is `#`. Indices count tokens of the whole dialogue, end exclusive.
    """
    for name, split in {"train.json": "", "valid.json": "dev"}.items():
        for dialogue in read_json(directory, name):
            first = 0
            for sentence in dialogue["sentences"]:
                tokens = sentence.split(" ")
                last = first + len(tokens)
                own = [item for item in dialogue["triplets"] if first <= item[4] < item[5] <= last]
                yield _utterance(tokens, own, first=first, split=split)
                first = last
            tally["opinion without words"] += sum(item[4] < 0 for item in dialogue["triplets"])


def _utterance(tokens: list[str], triplets: list[list[Any]], *, first: int, split: str) -> Record:
    """The record of one utterance whose tokens begin at index `first` of the dialogue."""
    last = first + len(tokens)
    body, _ = join_tokens(tokens)
    spots = []
    for target_start, target_end, start, end, opinion_start, opinion_end, label, *_ in triplets:
        begin, stop = (start, end) if start >= 0 else (target_start, target_end)
        aspect = (begin - first, stop - first) if first <= begin < stop <= last else None
        spots.append((aspect, (opinion_start - first, opinion_end - first), _NAMES[label]))
    shift = len(_IMPLICIT) if any(aspect is None for aspect, _, _ in spots) else 0
    text, offsets = _IMPLICIT * shift + body, join_tokens(tokens)[1]
    info: list[InfoPath] = []
    for aspect, opinion, polarity in spots:
        (a_start, a_end), (o_start, o_end) = (
            (offsets[at[0]][0] + shift, offsets[at[1] - 1][1] + shift) if at else (0, shift) for at in (aspect, opinion)
        )
        path = _opinion(text, (a_start, a_end), (o_start, o_end), polarity=polarity)
        if path not in info:
            info.append(path)
    return Record(text, info, ABSA_SCHEMA, "absa", "diaasq", body, split=split)


def convert_apc_products(directory: Path, tally: Tally) -> Iterator[Record]:
    """Reviews of six kinds of products: three lines a row, the sentence with `$T$`, the aspect, its polarity."""
    for domain in _APC_DOMAINS:
        lines = list(read_lines(directory, f"{domain}.train.txt"))
        judged: dict[str, list[tuple[str, str]]] = {}
        for sentence, aspect, label in zip(lines[0::3], lines[1::3], lines[2::3], strict=True):
            if "$T$" not in sentence:
                tally["sentence without the place of its aspect"] += 1
                continue
            words = _unspaced(aspect) if domain != "hair" else aspect.strip()
            # A blank after the place mark belongs to the mark, not to the review.
            body = sentence.replace("$T$ ", "$T$").replace(" $T$", "$T$").split("$T$")
            parts = [_unspaced(part) if domain != "hair" else part for part in body]
            text = clean(words.join(parts))
            judged.setdefault(text, []).append((words, _NAMES[label.strip().lower()]))
        for text, pairs in judged.items():
            yield from _aspect_polarities(text, pairs, source="apc_products", tally=tally)


def _unspaced(text: str) -> str:
    """A text whose characters are separated by blanks, joined again."""
    return join_tokens(text.split())[0]

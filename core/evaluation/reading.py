"""Scores of reading comprehension: exact match and character overlap, as the CMRC 2018 evaluation defines them."""

from __future__ import annotations

import re
from collections.abc import Collection
from difflib import SequenceMatcher

# Marks that neither measure looks at; the ASCII point and comma are none of them, for they stand inside numbers.
_IGNORED = re.compile(r"[-:_*^/\\~`+=，。：？！“”；’《》…·、「」（）－～『』\s]")
# A Chinese character is a unit of its own; Latin words and numbers are units as a whole.
_UNIT = re.compile(r"[\u4e00-\u9fff]|[^\W\u4e00-\u9fff]+(?:[.,][^\W\u4e00-\u9fff]+)*|\S")


def _bare(answer: str) -> str:
    return _IGNORED.sub("", answer.lower())


def exact_match(answer: str | None, gold: Collection[str]) -> float:
    """1 when the answer equals one of the gold ones but for punctuation, blanks and case, else 0.

    answer: None, nothing was answered, which is right where `gold` is empty.
    """
    if answer is None or not gold:
        return float(answer is None and not gold)
    return float(_bare(answer) in {_bare(one) for one in gold})


def overlap_f1(answer: str | None, gold: Collection[str]) -> float:
    """F1 of the longest common run of units between the answer and a gold one; the best over the gold ones.

    Precision is the length of the run over that of the answer, recall over that of the gold one.
    """
    if answer is None or not gold:
        return float(answer is None and not gold)
    given = _UNIT.findall(_bare(answer))
    return max(_run_f1(given, _UNIT.findall(_bare(one))) for one in gold)


def _run_f1(given: list[str], wanted: list[str]) -> float:
    if not given or not wanted:
        return float(given == wanted)
    run = SequenceMatcher(None, given, wanted, autojunk=False).find_longest_match().size
    return 2 * run / (len(given) + len(wanted))

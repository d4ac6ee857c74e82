"""Real Chinese texts for measuring, joined and cut to the lengths that a scenario asks for; never invented."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from core.errors import FormatError, InputError

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "data" / "samples"
SAMPLE_FILES = (
    "complaints.csv",
    "everyday.jsonl",
    "finetune_check.jsonl",
    "finetune_example.jsonl",
    "news.txt",
    "pairs.jsonl",
)
"""The samples in UTF-8 that hold plain texts."""


def read_texts(path: Path | None = None) -> list[str]:
    """The texts of a file: lines, or JSON lines with `text`; without a path those of SAMPLE_FILES, each once.

    Raises FormatError for a file that cannot be read and InputError for one without text.
    """
    sources = [path] if path else [SAMPLES / name for name in SAMPLE_FILES]
    try:
        found = [text for source in sources for text in _read(source)]
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError) as error:
        raise FormatError(f"无法读取文本 {path or SAMPLES}：{error}。需要每行一段文字，或含 text 的 JSON 行") from error
    texts = list(dict.fromkeys(text.strip() for text in found if text.strip()))
    if not texts:
        raise InputError(f"{path or SAMPLES} 里没有文字：请换一个 --texts")
    return texts


def _read(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        if path.suffix == ".csv":
            yield from (row["内容"] for row in csv.DictReader(file))
            return
        for line in file:
            if path.suffix == ".jsonl" and line.strip():
                row = json.loads(line)
                yield row["text"].removeprefix("[CLASSIFY]").removeprefix("[MULTICLASSIFY]")
                yield row.get("text_pair") or ""
            else:
                yield line


def cutter(texts: Sequence[str]) -> Callable[[int, int], str]:
    """A function (number, length) → the text of exactly `length` characters that begins with text `number`.

    Neighbouring texts are joined until the length is reached. A small collection comes round again, then with other
    beginnings, so that two texts are seldom equal.
    """
    whole = "".join(texts)
    starts = np.cumsum([0, *(len(text) for text in texts)])[:-1]

    def cut(number: int, length: int) -> str:
        turn, index = divmod(number, len(texts))
        start = (int(starts[index]) + turn * 37) % len(whole)
        repeats = 1 + (start + length) // len(whole)
        return (whole * repeats)[start : start + length]

    return cut


def of_length(texts: Sequence[str], count: int, *, length: int, first: int = 0) -> list[str]:
    """`count` texts of exactly `length` characters, from the one numbered `first` on."""
    cut = cutter(texts)
    return [cut(number, length) for number in range(first, first + count)]


def of_mixed_lengths(texts: Sequence[str], count: int, *, shortest: int, longest: int, seed: int = 0) -> list[str]:
    """Texts whose lengths in characters are spread evenly over the orders of magnitude between the two bounds."""
    cut = cutter(texts)
    lengths = np.exp(np.random.default_rng(seed).uniform(np.log(shortest), np.log(longest), count))
    return [cut(number, round(float(length))) for number, length in enumerate(lengths)]

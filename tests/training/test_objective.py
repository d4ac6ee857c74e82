"""The loss over token pairs."""

from __future__ import annotations

import math

import pytest
import torch

from core.training.objective import circle_loss, link_cells


def naive_loss(logits: torch.Tensor, gold: set[tuple[int, int]], length: int) -> float:
    wrong = right = 1.0
    for row in range(length):
        for column in range(length):
            value = float(logits[row, column])
            if (row, column) in gold:
                right += math.exp(-value)
            else:
                wrong += math.exp(value)
    return math.log(wrong) + math.log(right)


def random_batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[set[tuple[int, int]]], list[int]]:
    torch.manual_seed(7)
    lengths = [9, 5, 12]
    logits = torch.randn(3, 12, 12) * 4
    keep = torch.arange(12)[None] < torch.tensor(lengths)[:, None]
    cells = [set(link_cells(5, 7, 2)) | set(link_cells(5, 5, 3)), set(), set(link_cells(11, 11, 1))]
    gold = torch.tensor([(b, r, c) for b, one in enumerate(cells) for r, c in sorted(one)])
    return logits, gold, keep, cells, lengths


def test_loss_equals_a_loop_over_all_real_cells() -> None:
    logits, gold, keep, cells, lengths = random_batch()
    losses = circle_loss(logits, gold, keep=keep)
    for index in range(3):
        assert losses[index].item() == pytest.approx(naive_loss(logits[index], cells[index], lengths[index]), rel=1e-5)


def test_padding_does_not_change_the_loss() -> None:
    logits, gold, keep, _, _ = random_batch()
    wider = torch.full((3, 20, 20), 50.0)
    wider[:, :12, :12] = logits
    kept = torch.zeros(3, 20, dtype=torch.bool)
    kept[:, :12] = keep
    torch.testing.assert_close(circle_loss(wider, gold, keep=kept), circle_loss(logits, gold, keep=keep))


def test_gold_cells_given_twice_count_once() -> None:
    logits, gold, keep, _, _ = random_batch()
    torch.testing.assert_close(
        circle_loss(logits, torch.cat([gold, gold]), keep=keep), circle_loss(logits, gold, keep=keep)
    )


def test_gradients_are_finite_for_a_prompt_without_gold() -> None:
    logits, _, keep, _, _ = random_batch()
    logits.requires_grad_()
    circle_loss(logits, torch.empty(0, 3, dtype=torch.long), keep=keep).mean().backward()
    assert logits.grad is not None and torch.isfinite(logits.grad).all()
    assert (logits.grad[1, 5:] == 0).all()


def test_perfect_logits_cost_almost_nothing() -> None:
    _, gold, keep, _, _ = random_batch()
    logits = torch.full((3, 12, 12), -20.0)
    logits[gold[:, 0], gold[:, 1], gold[:, 2]] = 20.0
    assert circle_loss(logits, gold, keep=keep).max() < 1e-5

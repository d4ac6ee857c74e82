"""Relative terms looked up for every pair, and their gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from core.model.backends import eager
from core.model.config import RexConfig
from core.model.relations import relations

HEADS, SIZE, SPAN = 2, 8, 8


def plain_attention(query: Tensor, key: Tensor, value: Tensor, tables: list[Tensor], slots: Tensor) -> Tensor:
    """Attention with relative terms as autograd would differentiate it: a gather from the whole table."""
    scale = (SIZE * 3) ** -0.5
    index = slots[:, None].expand(-1, HEADS, -1, -1)
    scores = query @ key.transpose(-1, -2)
    scores = scores + torch.einsum("bald,ard->balr", query, tables[0]).gather(-1, index)
    turned = torch.einsum("bald,ard->balr", key, tables[1]).gather(-1, index.transpose(-1, -2))
    weights = torch.softmax((scores * scale + turned.transpose(-1, -2) * scale).float(), dim=-1)
    return weights.to(value.dtype) @ value


@pytest.mark.parametrize("far", [5, SPAN - 1, SPAN, 21], ids=lambda far: f"distances to {far}")
def test_gradients_are_exact_within_the_table_and_beyond_it(far: int) -> None:
    torch.manual_seed(far)
    config = RexConfig(position_buckets=SPAN, max_relative_positions=-1)
    assert not config.log_buckets and config.span == SPAN
    length = far + 1
    positions = torch.stack([torch.arange(length), torch.arange(length) // 2])  # tokens may share a position
    pairs = relations(config, positions, max_distance=far)
    inputs = [torch.randn(2, HEADS, length, SIZE, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    tables = [torch.randn(HEADS, 2 * SPAN, SIZE, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    found = eager.attend(*inputs, *(table[:, pairs.rows] for table in tables), pairs)
    distance = positions[:, :, None] - positions[:, None, :]
    wanted = plain_attention(*inputs, tables, (distance + SPAN).clamp(0, 2 * SPAN - 1))
    weight = torch.randn_like(found)
    ours = torch.autograd.grad((found * weight).sum(), [*inputs, *tables])
    theirs = torch.autograd.grad((wanted * weight).sum(), [*inputs, *tables])
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=0)
    for mine, plain in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, plain, atol=1e-5, rtol=0)

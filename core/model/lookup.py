"""Picking a relative term for every pair of tokens, with a gradient that needs no scattered additions.

Out of a row of products with the relative table, the pair (i, j) takes the one at its distance. Autograd would undo
that by adding single numbers at scattered places, which on a GPU costs more than the rest of the attention. Tokens
that share a position take the same number, so the gradient is the incoming one summed over tokens of equal position
(a product with a matrix of zeros and ones) and then read at the distance of each table row.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class LookUp(torch.autograd.Function):
    """`out[b, a, i, j] = products[b, a, i, slots[b, 0, i, j]]` for slots that are ± a difference of positions.

    products: (B, A, L, R). slots: (B, 1, L, L) int64, equal to `sign * (p_i - p_j) + centre`, never clamped.
    positions: (B, L) int64, each in [0, count).
    """

    @staticmethod
    def forward(
        ctx: Any, products: Tensor, slots: Tensor, positions: Tensor, sign: int, centre: int, count: int
    ) -> Tensor:
        """See the class."""
        ctx.save_for_backward(positions)
        ctx.sign, ctx.centre, ctx.count, ctx.rows = sign, centre, count, products.shape[-1]
        return torch.gather(products, -1, slots.expand(*products.shape[:-1], slots.shape[-1]))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None, None]:
        """Gradient of `products`; the other arguments have none."""
        gradient = gradients[0]
        (positions,) = ctx.saved_tensors
        every = torch.arange(ctx.count, device=positions.device)
        holders = (positions[:, :, None] == every).to(gradient.dtype)  # (B, L, count)
        by_position = torch.bmm(gradient.flatten(1, 2), holders).unflatten(1, gradient.shape[1:3])
        row = torch.arange(ctx.rows, device=positions.device)
        wanted = positions[:, None, :, None] - ctx.sign * (row - ctx.centre)  # (B, 1, L, R)
        inside = (wanted >= 0) & (wanted < ctx.count)
        index = wanted.clamp(0, ctx.count - 1).expand(*gradient.shape[:3], ctx.rows)
        return torch.gather(by_position, -1, index) * inside.to(gradient.dtype), None, None, None, None, None

"""The kernel of `core.model.fused`: apart, because importing Triton takes longer than most of what is done on a CPU."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

ROWS = 4
"""Rows of one program."""


@triton.jit(do_not_specialize=["rows"])
def _kernel(x, residual, weight, bias, out, rows, size, eps, block: tl.constexpr, lines: tl.constexpr):  # type: ignore[no-untyped-def]
    """Some rows of `size` numbers, dense; sums in float32."""
    row = (tl.program_id(0) * lines + tl.arange(0, lines)).to(tl.int64)
    lane = tl.arange(0, block)
    lane_in = lane < size
    mask = (row < rows)[:, None] & lane_in[None, :]
    place = row[:, None] * size + lane[None, :]
    both = tl.load(x + place, mask=mask, other=0.0).to(tl.float32)
    both += tl.load(residual + place, mask=mask, other=0.0).to(tl.float32)
    mean = tl.sum(both, 1) / size
    apart = tl.where(lane_in[None, :], both - mean[:, None], 0.0)
    scale = 1.0 / tl.sqrt(tl.sum(apart * apart, 1) / size + eps)
    gain = tl.load(weight + lane, mask=lane_in, other=0.0).to(tl.float32)
    shift = tl.load(bias + lane, mask=lane_in, other=0.0).to(tl.float32)
    normal = apart * scale[:, None] * gain[None, :] + shift[None, :]
    tl.store(out + place, normal.to(out.dtype.element_ty), mask=mask)


def add_norm(x: Tensor, residual: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """LayerNorm of x + residual, both (…, H) and contiguous."""
    out = torch.empty_like(x)
    size = x.shape[-1]
    rows = x.numel() // size
    grid = (triton.cdiv(rows, ROWS),)
    block = triton.next_power_of_2(size)
    _kernel[grid](x, residual, weight, bias, out, rows, size, eps, block=block, lines=ROWS, num_warps=4)
    return out

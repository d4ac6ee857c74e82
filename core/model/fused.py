"""Sum and LayerNorm in one pass over memory on a card; elsewhere, and while training, torch's own steps."""

from __future__ import annotations

import importlib.util
from functools import cache

import torch
from torch import Tensor, nn


def add_norm(x: Tensor, residual: Tensor, norm: nn.LayerNorm) -> Tensor:
    """The norm of x + residual, both (…, H); on a card the sum is not rounded before it is normalised."""
    if _fits(x, residual, norm):
        from core.model.fused_norm import add_norm as fused  # needs triton, which takes its time to import

        return fused(x, residual, norm.weight, norm.bias, norm.eps)
    out: Tensor = norm(x + residual)
    return out


def _fits(x: Tensor, residual: Tensor, norm: nn.LayerNorm) -> bool:
    return (
        x.is_cuda
        and not torch.compiler.is_compiling()
        and not (torch.is_grad_enabled() and (x.requires_grad or residual.requires_grad or norm.weight.requires_grad))
        and x.dtype == residual.dtype == norm.weight.dtype
        and x.is_contiguous()
        and residual.is_contiguous()
        and has_triton()
    )


@cache
def has_triton() -> bool:
    """Whether kernels written in Triton can be compiled here."""
    return importlib.util.find_spec("triton") is not None

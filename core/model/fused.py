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
        and not triton_fault(x.device)
    )


@cache
def triton_fault(device: torch.device) -> str:
    """Why kernels written in Triton cannot run on a card; empty where they can.

    Asked once: the smaller of the kernels is compiled and run, which takes a C compiler, a driver that Triton knows
    and about a second. Whatever is wrong with one is wrong with all.
    """
    if importlib.util.find_spec("triton") is None:
        return "没有安装 triton"
    try:
        from core.model.fused_norm import add_norm as fused

        with torch.inference_mode(), torch.cuda.device(device):
            x = torch.ones(1, 16, dtype=torch.float16, device=device)
            fused(x, x, x[0], x[0], 1e-7)
            torch.cuda.synchronize()
    except Exception as error:  # of the compiler, of the driver, of a missing header: all mean the same here
        return f"{type(error).__name__}: {str(error)[:200]}"
    return ""

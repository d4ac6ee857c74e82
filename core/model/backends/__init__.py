"""Attention with relative terms, behind one function: `attend` and the backends it can use (SPEC 5.3).

Every backend gives what `eager` gives, up to rounding. R: rows of the relative table in use; other letters as in
`core.model`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType

import torch
from torch import Tensor

from core.errors import DeviceError
from core.model.backends import eager, sdpa
from core.model.fused import triton_fault
from core.model.relations import Relations, relations, run_relations

LOADED_LATE = {"triton": "band"}
"""Backends that are slow to import or need a library of their own → their module here, loaded on first use."""

BACKENDS = ("eager", "sdpa", *LOADED_LATE)
"""The names that `attend` knows."""

CHOICE: dict[str, tuple[tuple[int, str], ...]] = {
    "cpu": ((2**31, "sdpa"),),
    "cuda": ((2**31, "sdpa"),),
    "cuda half": ((2**31, "triton"),),
}
"""Kind of device, with or without half precision → (length up to which, backend), shortest first.

One H200, bfloat16, base size, encoder alone: triton against sdpa 9.0 and 15.2 ms for 128 rows of 128 tokens, 59 and
169 ms for 128 rows of 512. In float32 triton was equal and nobody timed it, so the tried way stays.
"""


def choose_backend(device: torch.device, dtype: torch.dtype, length: int) -> str:
    """The backend that was fastest for prompts of `length` tokens; `eager` for a device or type nobody measured.

    Where Triton cannot compile, `sdpa` takes its place: 1.7 times slower at 128 tokens, 2.9 times at 512.
    """
    if not dtype.is_floating_point:
        raise DeviceError(f"注意力不支持数据类型 {dtype}：请用 float32、bfloat16 或 float16")
    half = " half" if device.type == "cuda" and dtype.itemsize == 2 else ""
    for limit, name in CHOICE.get(device.type + half, ()):
        if length <= limit:
            return name if name != "triton" or not triton_fault(device) else "sdpa"
    return "eager"


def check_attention(name: str, device: torch.device, dtype: torch.dtype) -> str:
    """What a user should know about the backend named in the settings ("auto" included), empty for nothing.

    Raises DeviceError for a name that there is not, or one that cannot work here.
    """
    if name != "auto" and name not in BACKENDS:
        raise DeviceError(f"REX_ATTENTION={name} 无效：可选 auto、{'、'.join(BACKENDS)}")
    half = device.type == "cuda" and dtype.itemsize == 2
    asked = device.type == "cuda" and (name == "triton" or (half and name == "auto"))
    fault = triton_fault(device) if asked else ""
    if name == "triton" and (fault or device.type != "cuda"):
        raise DeviceError(f"REX_ATTENTION=triton 在这里不能用（{fault or '没有显卡'}）：请改用 auto 或 sdpa")
    return f"Triton 内核不可用，注意力改用 sdpa，约慢 1.7 至 2.9 倍：{fault}" if fault else ""


def relate(backend: str) -> Callable[..., Relations]:
    """The function that prepares the relations in the form that a backend reads."""
    if backend == "triton":
        prepare: Callable[..., Relations] = _late(backend).relate
        return prepare
    return run_relations if backend == "sdpa" else relations


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    keys_r: Tensor | None,
    queries_r: Tensor | None,
    pairs: Relations,
    *,
    backend: str = "eager",
    dropout: float = 0.0,
) -> Tensor:
    """query, key, value: (B, A, L, D), unscaled; keys_r, queries_r: (A, R, D) or None → context (B, A, L, D).

    Rows of padding carry no meaning; `dropout`, the probability of losing a weight, is for training with `eager` or
    `sdpa`. Raises DeviceError for an unknown backend.
    """
    if backend == "eager":
        return eager.attend(query, key, value, keys_r, queries_r, pairs, dropout=dropout)
    if backend == "sdpa":
        return sdpa.attend(query, key, value, keys_r, queries_r, pairs, dropout=dropout)
    context: Tensor = _late(backend).attend(query, key, value, keys_r, queries_r, pairs, dropout=dropout)
    return context


def _late(backend: str) -> ModuleType:
    if backend not in LOADED_LATE:
        raise DeviceError(f"没有名为“{backend}”的注意力实现：可选 {'、'.join(BACKENDS)}")
    return importlib.import_module(f"{__name__}.{LOADED_LATE[backend]}")

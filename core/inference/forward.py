"""One batch through the network: one copy to the device, decoding there, one copy back (SPEC 6, 7.2).

Only vectors cross over: which pairs of tokens may be linked follows on the device from three numbers a token.
"""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor

from core.errors import DeviceError
from core.inference.graphs import Graphs
from core.inference.packing import Packed, Raw
from core.model.rex import RexModel

ALIGNMENT = {"cuda": 8}
"""Rows are as wide as a multiple of this: with others, fused attention first copies its bias to aligned rows."""

NEVER = -1


def run(model: RexModel, packed: Packed, device: torch.device, *, graphs: Graphs | None = None) -> Raw:
    """Logits of the links that fired and of the classes; `device` is where the network is, `graphs` are its own.

    Raises DeviceError when numbers left the range of the network's type: such a batch would find nothing, silently.
    """
    with torch.cuda.device(device) if device.type == "cuda" else nullcontext():  # kernels run on the current card
        return _run(model, packed, device, graphs)


def _run(model: RexModel, packed: Packed, device: torch.device, graphs: Graphs | None) -> Raw:
    recorded = None if graphs is None else graphs.padded(packed)
    packed = packed.widened(ALIGNMENT.get(device.type, 1)) if recorded is None else recorded
    pairs = _pairs(packed)
    places = _class_cells(packed)
    with torch.inference_mode():
        arrays = (packed.bars, packed.lengths, pairs, places, packed.ids)
        bars, lengths, keys, cells, ids = _upload(arrays, device)
        logits = None if graphs is None or recorded is None else graphs.logits(ids, lengths)
        if logits is None:
            keep = torch.arange(packed.width, device=device) < lengths[:, None]
            logits = model(*ids.long(), keep, packed.max_distance, run_start=int(packed.text_starts.max()))
        # A token that overflowed spoils its whole row, its link to itself included.
        own = logits.diagonal(dim1=1, dim2=2)
        spoilt = (~own.isfinite()).logical_and_(torch.arange(packed.width, device=device) < lengths[:, None]).any()
        first, last, key = keys
        # Step by step and in place: at this size every map of pairs counts.
        fired = logits > bars[:, None, None]
        fired &= first[:, :, None] <= key[:, None, :]
        fired &= last[:, :, None] >= key[:, None, :]
        flat = fired.flatten().nonzero()[:, 0]
        numbers = logits.flatten()
        raw, overflow = _download(flat, numbers[flat].float(), numbers[cells].float(), spoilt, width=packed.width)
    if overflow:
        kind = str(model.ffnq.weight.dtype).removeprefix("torch.")
        raise DeviceError(f"网络的数值超出了 {kind} 的范围：请设 REX_DTYPE=bfloat16 或 float32 后重新启动")
    return raw


def _pairs(packed: Packed) -> np.ndarray:
    """(3, B, L) int32: the keys from `first` to `last` are the columns that a row may be linked to, and each one's own.

    A word's key is its place and a type's lies behind all of them, so a word reaches itself, later words and all
    types, and a type all words. The closing [SEP], padding and class prompts reach nothing and are not reached.
    """
    tokens = np.arange(packed.width, dtype=np.int32)
    extraction = packed.class_indices < 0
    words = (tokens >= packed.text_starts[:, None]) & (tokens < packed.lengths[:, None] - 1) & extraction[:, None]
    first = np.where(words, tokens, 0)
    last = np.where(words, np.int32(2 * packed.width), NEVER)
    key = np.where(words, tokens, NEVER)
    row, token = packed.marks[extraction[packed.marks[:, 0]]].T
    last[row, token] = packed.width - 1
    key[row, token] = packed.width
    pairs: np.ndarray = np.stack((first, last, key))
    return pairs


def _class_cells(packed: Packed) -> np.ndarray:
    """(M', 3) int64 flat cells: the class token itself, token → type, type → token, for the types of class prompts."""
    row, token = packed.marks.T.astype(np.int64)
    place = packed.class_indices[row].astype(np.int64)
    ends = np.stack((place, place, place, token, token, place), axis=-1).reshape(-1, 3, 2)
    cells = (row[:, None] * packed.width + ends[:, :, 0]) * packed.width + ends[:, :, 1]
    chosen: np.ndarray = cells[place >= 0]
    return chosen


def _upload(arrays: tuple[np.ndarray, ...], device: torch.device) -> list[Tensor]:
    """Host arrays as tensors on the device, in one copy; to a GPU from pinned memory, which nobody waits for."""
    sizes = [-(-array.nbytes // 8) * 8 for array in arrays]  # every array begins where any type may
    starts = [sum(sizes[:number]) for number in range(len(sizes))]
    buffer = torch.empty(sum(sizes), dtype=torch.uint8, pin_memory=device.type == "cuda")
    host = buffer.numpy()
    for array, start in zip(arrays, starts, strict=True):
        host[start : start + array.nbytes].view(array.dtype)[:] = array.reshape(-1)
    there = buffer.to(device, non_blocking=True)
    return [
        there[start : start + array.nbytes].view(torch.from_numpy(array[:0]).dtype).view(array.shape)
        for array, start in zip(arrays, starts, strict=True)
    ]


def _download(flat: Tensor, values: Tensor, classes: Tensor, flag: Tensor, *, width: int) -> tuple[Raw, bool]:
    """flat: (N,) int64 cells; values: (N,), classes: (M', 3) float32; flag: () → numpy and the flag, in one copy."""
    parts = (
        flat.view(torch.int32),
        values.view(torch.int32),
        classes.flatten().view(torch.int32),
        flag.to(torch.int32)[None],
    )
    everything = torch.cat(parts).cpu().numpy()
    count = len(flat)
    places = everything[: 2 * count].view(np.int64)
    prompts, inside = np.divmod(places, width * width)
    cells = np.stack((prompts, inside // width, inside % width), axis=-1).astype(np.int32)
    numbers = everything[2 * count : -1].view(np.float32)
    return Raw(cells, numbers[:count], numbers[count:].reshape(-1, 3)), bool(everything[-1])

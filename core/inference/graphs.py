"""Small batches as recorded CUDA graphs: one launch in place of several hundred, for requests that somebody waits for.

A graph has fixed shapes and addresses, so a batch is padded to the next of a few sizes and copied in. All graphs share
one pool of memory, which is as large as the largest of them needs. Used by the thread that owns the device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.inference.packing import Packed
from core.model.rex import RexModel

ROWS = (1, 2, 4, 8)
WIDTHS = (64, 96, 128, 192, 256, 384, 512)
MAX_TOKENS = 2048
"""Larger batches keep the card busy without graphs."""
WARM_UP = 2


class Graphs:
    """The graphs of one network, each recorded when a batch of its size first comes."""

    def __init__(self, model: RexModel, device: torch.device, *, record: Callable[[str, str], None]) -> None:
        self._model, self._device, self._record = model, device, record
        self._held: dict[tuple[int, int], tuple[torch.cuda.CUDAGraph, Tensor, Tensor, Tensor]] = {}
        self._pool: Any = None
        self._works = True

    @property
    def count(self) -> int:
        """Graphs recorded."""
        return len(self._held)

    def padded(self, packed: Packed) -> Packed | None:
        """The batch with padding up to the next size, or None when it is too large or graphs do not work here."""
        size = fitting(packed.rows, packed.width)
        return _padded(packed, *size) if size is not None and self._works else None

    def logits(self, ids: Tensor, lengths: Tensor) -> Tensor | None:
        """ids (4, B, L), lengths (B,) of a padded batch → logits (B, L, L), good until the next call.

        None when recording failed; from then on `padded` refuses.
        """
        size = (ids.shape[1], ids.shape[2])
        if size not in self._held:
            try:
                self._held[size] = self._recorded(*size)
            except RuntimeError as error:
                self._works = False
                self._held.clear()
                self._record("error", f"CUDA graphs 不可用，改为逐步执行：{type(error).__name__}: {str(error)[:200]}")
                return None
        graph, held_ids, held_lengths, out = self._held[size]
        held_ids.copy_(ids)
        held_lengths.copy_(lengths)
        graph.replay()
        return out

    def _recorded(self, rows: int, width: int) -> tuple[torch.cuda.CUDAGraph, Tensor, Tensor, Tensor]:
        ids = torch.zeros(4, rows, width, dtype=torch.int64, device=self._device)
        ids[1] = torch.arange(width, device=self._device)
        lengths = torch.full((rows,), width, dtype=torch.int32, device=self._device)

        def compute() -> Tensor:
            # Whatever is read at a replay must be held by the graph or made in it: other memory is given away again.
            tokens = torch.arange(width, device=self._device)
            out: Tensor = self._model(*ids, tokens < lengths[:, None], width - 1)
            return out

        here = torch.cuda.current_stream(self._device)
        aside = torch.cuda.Stream(self._device)
        aside.wait_stream(here)
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):  # compiles kernels and fills caches, which a recording must not
                compute()
        here.wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            out = compute()
        self._pool = self._pool or graph.pool()
        return graph, ids, lengths, out


def fitting(rows: int, width: int) -> tuple[int, int] | None:
    """The smallest size of a graph that holds a batch; None when there is none."""
    high = next((one for one in ROWS if one >= rows), None)
    wide = next((one for one in WIDTHS if one >= width), None)
    return None if high is None or wide is None or high * wide > MAX_TOKENS else (high, wide)


def _padded(packed: Packed, rows: int, width: int) -> Packed:
    """With padding on the right, and empty prompts below that ask nothing."""
    more, wider = rows - packed.rows, width - packed.width
    return Packed(
        ids=np.pad(packed.ids, ((0, 0), (0, more), (0, wider))),
        lengths=np.pad(packed.lengths, (0, more), constant_values=1),
        text_starts=np.pad(packed.text_starts, (0, more), constant_values=1),
        class_indices=np.pad(packed.class_indices, (0, more), constant_values=-1),
        marks=packed.marks,
        bars=np.pad(packed.bars, (0, more), constant_values=np.inf),
        max_distance=packed.max_distance,
    )

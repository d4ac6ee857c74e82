"""Groups prompts of like length into batches within a budget, and stacks them (pure, host side)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.inference.prompts import Prompt

MAX_PAIR_CELLS = 2**24
"""Bound of Σ L² in a batch: the pair logits alone take 4 bytes a cell."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Stacked prompts: int64 tensors and `keep` bool, each (B, L); `max_distance` bounds positions."""

    input_ids: Tensor
    position_ids: Tensor
    prefix_ids: Tensor
    type_ids: Tensor
    keep: Tensor
    max_distance: int


def plan(lengths: Sequence[int], *, budget: int) -> list[list[int]]:
    """Indices of prompts by batch, longest first; padded tokens of a batch stay within `budget` (or it holds one)."""
    batches: list[list[int]] = []
    width = 0
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        rows = len(batches[-1]) + 1 if batches else 0
        if not batches or rows * width > budget or rows * width * width > MAX_PAIR_CELLS:
            batches.append([])
            width = lengths[index]
        batches[-1].append(index)
    return batches


def stack(prompts: Sequence[Prompt], *, pad_id: int) -> Batch:
    """Pad to the longest prompt."""
    width = max(len(prompt) for prompt in prompts)
    rows = {
        name: np.full((len(prompts), width), fill, np.int64)
        for name, fill in (("input_ids", pad_id), ("position_ids", 0), ("prefix_ids", 0), ("type_ids", 0))
    }
    keep = np.zeros((len(prompts), width), bool)
    for row, prompt in enumerate(prompts):
        for name, block in rows.items():
            block[row, : len(prompt)] = getattr(prompt, name)
        keep[row, : len(prompt)] = True
    return Batch(
        **{name: torch.from_numpy(block) for name, block in rows.items()},
        keep=torch.from_numpy(keep),
        max_distance=int(rows["position_ids"].max()),
    )

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


BATCH_COST = 1 / 16
"""What a batch takes besides its tokens, as a share of the token budget: padding may not be saved at any price."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Stacked prompts: int64 tensors and `keep` bool, each (B, L); `max_distance` bounds positions."""

    input_ids: Tensor
    position_ids: Tensor
    prefix_ids: Tensor
    type_ids: Tensor
    keep: Tensor
    max_distance: int


def plan(lengths: Sequence[int], *, budget: int, max_pairs: int = MAX_PAIR_CELLS) -> list[list[int]]:
    """Indices of prompts by batch, longest first, with the least padding; a batch of several stays within both bounds.

    budget: padded tokens; max_pairs: Σ L², padding included.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    widths = [lengths[index] for index in order]
    # The cheapest way to divide everything from a prompt on, found from the shortest to the longest.
    costs = np.zeros(len(order) + 1)
    sizes = [0] * len(order)
    rows = np.arange(1, len(order) + 1)
    for first in range(len(order) - 1, -1, -1):
        width = widths[first]
        most = min(max(1, min(budget // width, max_pairs // (width * width))), len(order) - first)
        total = rows[:most] * width + budget * BATCH_COST + costs[first + 1 : first + 1 + most]
        sizes[first] = most - int(total[::-1].argmin())  # of equals the larger batch
        costs[first] = total[sizes[first] - 1]
    batches = []
    first = 0
    while first < len(order):
        batches.append(order[first : first + sizes[first]])
        first += sizes[first]
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

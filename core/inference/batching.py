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
    order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    widths = [lengths[index] for index in order]
    # The cheapest way to divide everything from a place on, found from the shortest to the longest. Only places where
    # the width changes matter, and those that full batches reach from them: from any other, prompts can move to the
    # batch behind, where they are no wider.
    known = [len(order)]  # places, the last first
    places, costs = np.zeros((2, len(order) + 1))
    places[0] = len(order)
    within = 0  # how many of the places are too far away for one batch
    sizes: dict[int, int] = {}
    last = len(order) - 1
    while last >= 0:
        width, begin = widths[last], last
        while begin and widths[begin - 1] == width:
            begin -= 1
        most = max(1, min(budget // width, max_pairs // (width * width)))
        starts = {begin, *range(begin, last + 1, most)}
        while known[within] > last + most:
            within += 1
        if last > begin:
            for place in known[within:]:
                if place > begin + most:
                    starts.update(range(place - most, begin, -most))
        for first in sorted(starts, reverse=True):
            while known[within] > first + most:
                within += 1
            total = (places[within : len(known)] - first) * width + costs[within : len(known)]
            best = int(total.argmin())  # of equals the larger batch
            sizes[first] = known[within + best] - first
            places[len(known)], costs[len(known)] = first, total[best] + budget * BATCH_COST
            known.append(first)
        last = begin - 1
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

"""Relative terms and mask inside torch's FlexAttention: products with the table, but no tensor of token pairs."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import flex_attention

from core.model.backends.eager import scale_of
from core.model.relations import Relations

OPTIONS = {"BLOCK_M": 64, "BLOCK_N": 64, "num_stages": 1, "num_warps": 4}
"""Larger tiles run out of shared memory on the card."""


@cache
def _function(kind: str) -> Any:
    """Compiled where that is what makes it fast; shapes stay open, lest every length compile anew."""
    return torch.compile(flex_attention, dynamic=True) if kind == "cuda" else flex_attention


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    keys_r: Tensor | None,
    queries_r: Tensor | None,
    pairs: Relations,
    *,
    dropout: float = 0.0,
) -> Tensor:
    """See `core.model.backends.attend`; needs `pairs.vectors`."""
    assert pairs.vectors is not None and dropout == 0.0
    vectors, scale = pairs.vectors, scale_of(query, keys_r, queries_r)
    positions, prefixes, types, sequences = vectors.positions, vectors.prefixes, vectors.types, vectors.sequences
    keys_r, queries_r = pairs.by_distance(keys_r), pairs.by_distance(queries_r)
    centre = pairs.centre
    last = max((table.shape[1] - 1 for table in (keys_r, queries_r) if table is not None), default=0)
    to_position = None if keys_r is None else query @ (keys_r * scale).transpose(-1, -2)  # (B, A, L, R)
    to_content = None if queries_r is None else key @ (queries_r * scale).transpose(-1, -2)
    lowest = torch.finfo(torch.float32).min

    def score(found: Tensor, b: Tensor, a: Tensor, i: Tensor, j: Tensor) -> Tensor:
        slot = (positions[b, i] - positions[b, j] + centre).clamp(0, last)  # padding may lie anywhere
        if to_position is not None:
            found = found + to_position[b, a, i, slot]
        if to_content is not None:
            found = found + to_content[b, a, j, slot]
        meet = sequences[b, i] == sequences[b, j]
        for ids in (prefixes, types):
            meet = meet & ((ids[b, i] == 0) | (ids[b, j] == 0) | (ids[b, i] == ids[b, j]))
        return torch.where(meet, found, lowest)

    options = OPTIONS if query.device.type == "cuda" else None
    out: Tensor = _function(query.device.type)(query, key, value, score_mod=score, scale=scale, kernel_options=options)
    return out

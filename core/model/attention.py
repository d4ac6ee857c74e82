"""Disentangled attention with custom positions and two-level isolation (SPEC 4.3, 5.2, 5.3; DeBERTa, section 3).

Which slots of the relative table and which pairs of tokens meet depends on the prompt alone, so both are worked
out once a forward pass (`relations`) and shared by all layers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from core.model.config import RexConfig
from core.model.lookup import LookUp


@dataclass(frozen=True, slots=True)
class Relations:
    """How the tokens of a batch relate.

    slots: (B or 1, 1, L, L) int64, row of `rows` for the pair (i, j).
    allowed: (B, 1, L, L) bool, True where i may attend to j; None: everywhere.
    rows: the rows of the relative table that can occur, as a slice.
    positions, centre: (B or 1, L) int64 and a row number when slot (i, j) is exactly `p_i - p_j + centre`, else None.
    """

    slots: Tensor
    allowed: Tensor | None
    rows: slice
    positions: Tensor | None = None
    centre: int = 0


def bucket(distance: Tensor, config: RexConfig) -> Tensor:
    """Logarithmic bucket of each signed distance, or the distance itself when buckets are off (SPEC 5.2)."""
    if not config.log_buckets:
        return distance
    middle = config.position_buckets // 2
    size = distance.abs().clamp(min=middle)
    # A quotient of two logarithms of one kind: the largest distance must come out as exactly 1, not above it.
    last = torch.tensor((config.max_relative_positions - 1) / middle, dtype=torch.float32, device=distance.device)
    share = torch.log(size.to(torch.float32) / middle) / torch.log(last)
    far = (share * (middle - 1)).ceil().to(distance.dtype) + middle
    return torch.where(distance.abs() <= middle, distance, distance.sign() * far)


def relations(
    config: RexConfig,
    position_ids: Tensor,
    *,
    prefix_ids: Tensor | None = None,
    type_ids: Tensor | None = None,
    keep: Tensor | None = None,
    max_distance: int | None = None,
) -> Relations:
    """Slots and permissions of all token pairs.

    position_ids: (B or 1, L) int64. prefix_ids, type_ids: (B, L), 0 for tokens that belong to no prefix group or
    type: two tokens meet unless both carry different non-zero ids of either kind (SPEC 4.3). keep: (B, L) bool,
    False for padding. max_distance: the largest position or more (they count from 0), which narrows the table.
    """
    distance = bucket(position_ids[:, :, None] - position_ids[:, None, :], config)
    slots = (distance + config.span).clamp(0, 2 * config.span - 1)
    first, last = 0, 2 * config.span
    if max_distance is not None and not config.log_buckets:
        first, last = max(0, config.span - max_distance), min(2 * config.span, config.span + max_distance + 1)
    allowed = None
    for ids in (prefix_ids, type_ids):
        if ids is not None:
            row, column = ids[:, :, None], ids[:, None, :]
            meet = (row == 0) | (column == 0) | (row == column)
            allowed = meet if allowed is None else allowed & meet
    if keep is not None:
        columns = keep[:, None, :].expand(-1, keep.shape[1], -1)
        allowed = columns if allowed is None else allowed & columns
    exact = max_distance is not None and max_distance < config.span and not config.log_buckets
    return Relations(
        slots=(slots - first)[:, None],
        allowed=None if allowed is None else allowed[:, None],
        rows=slice(first, last),
        positions=position_ids if exact else None,
        centre=config.span - first,
    )


def look_up(products: Tensor, pairs: Relations, *, transposed: bool = False) -> Tensor:
    """Products with the relative table (B, A, L, R) → the one of each pair (B, A, L, L).

    transposed: rows are the second token of a pair, and slot (j, i) is that of the pair (i, j).
    """
    slots = pairs.slots.transpose(-1, -2) if transposed else pairs.slots
    if pairs.positions is None or not products.requires_grad:
        return torch.gather(products, -1, slots.expand(*products.shape[:-1], slots.shape[-1]))
    count = (pairs.rows.stop - pairs.rows.start + 1) // 2  # positions differ by less than this
    found: Tensor = LookUp.apply(products, slots, pairs.positions, -1 if transposed else 1, pairs.centre, count)
    return found


class DisentangledAttention(nn.Module):
    """Multi-head attention whose scores add content-to-position and position-to-content terms (SPEC 5.3)."""

    def __init__(self, config: RexConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.heads, self.head_size = config.num_attention_heads, config.head_size
        self.kinds = config.pos_att_type
        self.query_proj = nn.Linear(size, size)
        self.key_proj = nn.Linear(size, size)
        self.value_proj = nn.Linear(size, size)
        if not config.share_att_key:
            if "c2p" in self.kinds:
                self.pos_key_proj = nn.Linear(size, size)
            if "p2c" in self.kinds:
                self.pos_query_proj = nn.Linear(size, size)
        self.share_att_key = config.share_att_key
        self.dropout = config.attention_probs_dropout_prob

    def _split(self, x: Tensor) -> Tensor:
        """(…, n, H) → (…, A, n, D)."""
        return x.unflatten(-1, (self.heads, self.head_size)).transpose(-2, -3)

    def position_projections(self, table: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Keys and queries of the relative table (rows, H), each (A, rows, D) or None when its term is unused."""
        key_proj = self.key_proj if self.share_att_key else getattr(self, "pos_key_proj", None)
        query_proj = self.query_proj if self.share_att_key else getattr(self, "pos_query_proj", None)
        keys = self._split(key_proj(table)) if "c2p" in self.kinds and key_proj is not None else None
        queries = self._split(query_proj(table)) if "p2c" in self.kinds and query_proj is not None else None
        return keys, queries

    def forward(self, x: Tensor, relations: Relations, positions: tuple[Tensor | None, Tensor | None]) -> Tensor:
        """x: (B, L, H) → context (B, L, H)."""
        keys_r, queries_r = positions
        query, key, value = (
            self._split(self.query_proj(x)),
            self._split(self.key_proj(x)),
            self._split(self.value_proj(x)),
        )
        scale = 1.0 / math.sqrt(self.head_size * (1 + len(self.kinds)))
        query, key_scaled = query * scale, key * scale
        scores = query @ key.transpose(-1, -2)  # (B, A, L, L)
        # With heads first, the products with the table are one large product a head, and no copy of it a row.
        if keys_r is not None:
            scores = scores + look_up(torch.einsum("bald,ard->balr", query, keys_r), relations)
        if queries_r is not None:
            # The reference gathers at the slot of (i, j) from key j's row: the distance is antisymmetric, so it is
            # the transposed gather of -d (SPEC 5.3).
            products = torch.einsum("bald,ard->balr", key_scaled, queries_r)
            scores = scores + look_up(products, relations, transposed=True).transpose(-1, -2)
        scores = scores.float()
        if relations.allowed is not None:
            scores = scores.masked_fill(~relations.allowed, torch.finfo(scores.dtype).min)
        weights = torch.softmax(scores, dim=-1).to(value.dtype)
        if self.training and self.dropout > 0:
            weights = nn.functional.dropout(weights, self.dropout)
        return (weights @ value).transpose(1, 2).flatten(-2)

"""Attention step by step: the form that other backends are held to, and the one that training differentiates."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.model.lookup import LookUp
from core.model.relations import Relations


def look_up(products: Tensor, pairs: Relations, *, transposed: bool = False) -> Tensor:
    """Products with the relative table (B, A, L, R) → the one of each pair (B, A, L, L).

    transposed: rows are the second token of a pair, and slot (j, i) is that of the pair (i, j).
    """
    assert pairs.slots is not None
    slots = pairs.slots.transpose(-1, -2) if transposed else pairs.slots
    if pairs.positions is None or not products.requires_grad:
        return torch.gather(products, -1, slots.expand(*products.shape[:-1], slots.shape[-1]))
    # Positions lie between 0 and the largest distance, which is the row number of distance 0.
    sign, count = (-1 if transposed else 1), pairs.centre + 1
    found: Tensor = LookUp.apply(products, slots, pairs.positions, sign, pairs.centre, count)
    return found


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
    """See `core.model.backends.attend`; softmax in float32."""
    scale = scale_of(query, keys_r, queries_r)
    keys_r, queries_r = _aligned(pairs.by_distance(keys_r)), _aligned(pairs.by_distance(queries_r))
    query, key_scaled = query * scale, key * scale
    scores = query @ key.transpose(-1, -2)  # (B, A, L, L)
    # With heads first, the products with the table are one large product a head, and no copy of it a row.
    if keys_r is not None:
        scores = scores + look_up(torch.einsum("bald,ard->balr", query, keys_r), pairs)
    if queries_r is not None:
        # The reference gathers at the slot of (i, j) from key j's row: the distance is antisymmetric, so it is
        # the transposed gather of -d (SPEC 5.3).
        products = torch.einsum("bald,ard->balr", key_scaled, queries_r)
        scores = scores + look_up(products, pairs, transposed=True).transpose(-1, -2)
    scores = scores.float()
    if pairs.allowed is not None:
        scores = scores.masked_fill(~pairs.allowed, torch.finfo(scores.dtype).min)
    weights = torch.softmax(scores, dim=-1).to(value.dtype)
    if dropout > 0:
        weights = nn.functional.dropout(weights, dropout)
    return weights @ value


def _aligned(table: Tensor | None) -> Tensor | None:
    """The rows of a table (A, R, D) that is trained, zeros added to a multiple of 8: a card is slow with other sizes.

    No pair looks the added rows up.
    """
    if table is None or not table.requires_grad:
        return table
    return nn.functional.pad(table, (0, 0, 0, -table.shape[1] % 8))


def scale_of(query: Tensor, *terms: Tensor | None) -> float:
    """By what scores are multiplied: 1 / sqrt(D · (1 + number of relative terms))."""
    return float((query.shape[-1] * (1 + sum(term is not None for term in terms))) ** -0.5)

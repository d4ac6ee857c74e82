"""Relative terms and mask as one bias, the rest by torch's fused attention."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from core.model.backends.eager import look_up, scale_of
from core.model.relations import Relations

RUN_FROM = 96
"""Length of a run that is worth the views: below it, the number of operations counts for more than their size."""
BLOCK = 64
"""Rows of a block on the CPU, where a block's products fit its caches; a GPU wants as few operations as can be."""


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
    """See `core.model.backends.attend`; the bias is rounded to the type of `query`, sums and softmax are not."""
    scale = scale_of(query, keys_r, queries_r)
    bias = None
    keys_r, queries_r = (_scaled(pairs.by_distance(table), scale) for table in (keys_r, queries_r))
    if keys_r is not None or queries_r is not None:
        start = pairs.run_start
        if start is not None and query.shape[-2] - start >= RUN_FROM:
            bias = _bias_of_run(query, key, keys_r, queries_r, pairs, start)
        else:
            bias = _bias(query, key, keys_r, queries_r, pairs)
    if pairs.allowed is not None:
        if bias is None:
            bias = torch.zeros((), dtype=query.dtype, device=query.device).expand(*query.shape[:-1], query.shape[-2])
            bias = bias.masked_fill(~pairs.allowed, torch.finfo(bias.dtype).min)
        else:
            bias.masked_fill_(~pairs.allowed, torch.finfo(bias.dtype).min)
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=bias, dropout_p=dropout, scale=scale)


def _scaled(table: Tensor | None, scale: float) -> Tensor | None:
    """A small table is scaled instead of large products; before them, so that float16 does not overflow."""
    return None if table is None else table * scale


def _products(x: Tensor, table: Tensor) -> Tensor:
    """(B, A, L, D) and (A, R, D) → (B, A, L, R), in whatever order one large product a head leaves them."""
    return torch.einsum("bald,ard->balr", x, table)


def _bias(query: Tensor, key: Tensor, keys_r: Tensor | None, queries_r: Tensor | None, pairs: Relations) -> Tensor:
    """(B, A, L, L) by looking every pair up."""
    terms = []
    if keys_r is not None:
        terms.append(look_up(_products(query, keys_r), pairs))
    if queries_r is not None:
        terms.append(look_up(_products(key, queries_r), pairs, transposed=True).transpose(-1, -2))
    return terms[0] if len(terms) == 1 else terms[0].add_(terms[1])


def _bias_of_run(
    query: Tensor, key: Tensor, keys_r: Tensor | None, queries_r: Tensor | None, pairs: Relations, start: int
) -> Tensor:
    """(B, A, L, L), looking up only pairs with a token before `start`; no position exceeds its token's number.

    From `start` on the distance of tokens i and j is i - j: with the table's rows in the order of j, the wanted
    numbers of a row lie side by side, one place further from row to row, which is a change of strides and no copy.
    """
    assert pairs.slots is not None
    bias = query.new_empty(*query.shape[:-1], query.shape[-2])
    if keys_r is not None:
        _write(bias, query, keys_r.flip(-2), 2 * pairs.centre - pairs.slots, start, add=False)
    if queries_r is not None:
        turned = bias.transpose(-1, -2)
        _write(turned, key, queries_r, pairs.slots.transpose(-1, -2), start, add=keys_r is not None)
    return bias


def _write(bias: Tensor, x: Tensor, table: Tensor, slots: Tensor, start: int, *, add: bool) -> None:
    """One term: bias[t, u] takes (or adds) the product of x_t with table row `slots[t, u]`.

    Row `centre + e` of the table (A, 2·centre + 1, D) is for pairs whose u is e places behind t. Blocks of rows,
    because each needs little more than half of the table.
    """
    size, centre = x.shape[-2], table.shape[-2] // 2
    step = BLOCK if x.device.type == "cpu" else size
    for first in (*((0,) if start else ()), *range(start, size, step)):
        last = start if first < start else min(first + step, size)
        low = max(0, centre - last + 1)
        high = min(2 * centre + 1, centre + max(size, 2 * start) - first)
        products = _products(x[..., first:last, :], table[:, low:high])
        looked_up = slice(0, size if first < start else start)
        if first >= start:
            batch, head, row, column = products.stride()
            # From row to row, the numbers wanted begin one place earlier.
            run = products.as_strided(
                (*products.shape[:3], size - start),
                (batch, head, row - column, column),
                products.storage_offset() + (centre + start - first - low) * column,
            )
            _put(bias[..., first:last, start:], run, add=add)
        if looked_up.stop:
            # Padding has positions of its own, which may point outside this block's part of the table.
            index = (slots[..., first:last, looked_up] - low).clamp_(0, high - low - 1)
            found = torch.gather(products, -1, index.expand(*products.shape[:2], -1, -1))
            _put(bias[..., first:last, looked_up], found, add=add)


def _put(target: Tensor, source: Tensor, *, add: bool) -> None:
    target.add_(source) if add else target.copy_(source)

"""One kernel for content, relative terms, mask and softmax: nothing of size L × L or L × R leaves the chip.

The distances of a tile of 64 × 64 pairs are few: where positions run on, the tokens of the tile span 127 of them. So
the relative terms of a tile are products with a band of neighbouring rows of the table, out of which each pair takes
its own. Tiles whose positions jump further take several bands, which keeps the kernel exact for every prompt.
Softmax: online (arXiv 2205.14135), in float32. Relative terms: DeBERTa, arXiv 2006.03654, section 3.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from core.errors import DeviceError
from core.model.backends.eager import scale_of
from core.model.relations import Relations

TILE_ROWS, TILE_COLUMNS, BAND = 64, 64, 128
WARPS, STAGES = 4, 1


@triton.jit
def _kernel(  # type: ignore[no-untyped-def]
    query, key, value, keys_r, queries_r, out, positions, prefixes, types, sequences,
    qb, qa, ql, kb, ka, kl, vb, va, vl, ob, oa, ol, ra, rr, sa, sr,
    heads, length, far, scale,
    size: tl.constexpr, width: tl.constexpr, tile_rows: tl.constexpr, tile_columns: tl.constexpr,
    band: tl.constexpr, to_position: tl.constexpr, to_content: tl.constexpr, precision: tl.constexpr,
):  # fmt: skip
    """One tile of rows of one head of one row of the batch; strides in elements, the last axis contiguous."""
    batch = tl.program_id(1) // heads
    head = tl.program_id(1) % heads
    batch_wide = batch.to(tl.int64)
    row = tl.program_id(0) * tile_rows + tl.arange(0, tile_rows)
    row_in = row < length
    lane = tl.arange(0, width)
    lane_in = lane < size
    row_mask = row_in[:, None] & lane_in[None, :]
    ids = batch_wide * length
    q = tl.load(query + batch_wide * qb + head * qa + row[:, None] * ql + lane[None, :], mask=row_mask, other=0.0)
    pos_i = tl.load(positions + ids + row, mask=row_in, other=0)
    pre_i = tl.load(prefixes + ids + row, mask=row_in, other=0)
    typ_i = tl.load(types + ids + row, mask=row_in, other=0)
    seq_i = tl.load(sequences + ids + row, mask=row_in, other=-1)
    # Padding has no say in which distances and sequences a tile spans.
    low_i = tl.min(tl.where(seq_i >= 0, pos_i, 2147483647), 0)
    high_i = tl.max(tl.where(seq_i >= 0, pos_i, -1), 0)
    first_i = tl.min(tl.where(seq_i >= 0, seq_i, 2147483647), 0)
    last_i = tl.max(seq_i, 0)
    best = tl.full([tile_rows], -1.0e30, tl.float32)
    total = tl.zeros([tile_rows], tl.float32)
    context = tl.zeros([tile_rows, width], tl.float32)
    for begin in range(0, length, tile_columns):
        column = begin + tl.arange(0, tile_columns)
        column_in = column < length
        seq_j = tl.load(sequences + ids + column, mask=column_in, other=-1)
        first_j = tl.min(tl.where(seq_j >= 0, seq_j, 2147483647), 0)
        last_j = tl.max(seq_j, 0)
        if (first_i <= last_j) & (first_j <= last_i):
            column_mask = column_in[:, None] & lane_in[None, :]
            place = column[:, None]
            k = tl.load(key + batch_wide * kb + head * ka + place * kl + lane[None, :], mask=column_mask, other=0.0)
            scores = tl.dot(q, tl.trans(k), input_precision=precision)
            pos_j = tl.load(positions + ids + column, mask=column_in, other=0)
            low = low_i - tl.max(tl.where(seq_j >= 0, pos_j, -1), 0)
            high = high_i - tl.min(tl.where(seq_j >= 0, pos_j, 2147483647), 0)
            distance = pos_i[:, None] - pos_j[None, :]
            for base in range(low, high + 1, band):
                slot = distance - base
                inside = (slot >= 0) & (slot < band)
                slot = tl.where(inside, slot, 0)
                line = base + far + tl.arange(0, band)
                line_mask = ((line >= 0) & (line <= 2 * far))[:, None] & lane_in[None, :]
                if to_position:
                    rows = tl.load(keys_r + head * ra + line[:, None] * rr + lane[None, :], mask=line_mask, other=0.0)
                    products = tl.dot(q, tl.trans(rows), input_precision=precision)  # (tile_rows, band)
                    scores += tl.where(inside, tl.gather(products, slot, 1), 0.0)
                if to_content:
                    rows = tl.load(
                        queries_r + head * sa + line[:, None] * sr + lane[None, :], mask=line_mask, other=0.0
                    )
                    products = tl.dot(rows, tl.trans(k), input_precision=precision)  # (band, tile_columns)
                    scores += tl.where(inside, tl.gather(products, slot, 0), 0.0)
            pre_j = tl.load(prefixes + ids + column, mask=column_in, other=0)
            typ_j = tl.load(types + ids + column, mask=column_in, other=0)
            meet = (seq_i[:, None] == seq_j[None, :]) & (seq_j >= 0)[None, :]
            meet &= (pre_i[:, None] == 0) | (pre_j[None, :] == 0) | (pre_i[:, None] == pre_j[None, :])
            meet &= (typ_i[:, None] == 0) | (typ_j[None, :] == 0) | (typ_i[:, None] == typ_j[None, :])
            scores = tl.where(meet, scores * scale, float("-inf"))
            # Finite from the start, so that a row nothing was allowed to yet is no difference of infinities.
            better = tl.maximum(best, tl.max(scores, 1))
            weights = tl.exp2(scores - better[:, None])
            fading = tl.exp2(best - better)
            total = total * fading + tl.sum(weights, 1)
            v = tl.load(value + batch_wide * vb + head * va + place * vl + lane[None, :], mask=column_mask, other=0.0)
            context = context * fading[:, None] + tl.dot(weights.to(v.dtype), v, input_precision=precision)
            best = better
    context = context / tl.where(total > 0, total, 1.0)[:, None]  # padding comes out as zeros
    place = out + batch_wide * ob + head * oa + row[:, None] * ol + lane[None, :]
    tl.store(place, context.to(out.dtype.element_ty), mask=row_mask)


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
    """See `core.model.backends.attend`; needs `pairs.vectors`; products and softmax in float32."""
    if pairs.vectors is None or dropout > 0 or query.requires_grad:
        raise DeviceError("triton 注意力只用于推理：训练请用 eager")
    vectors = pairs.vectors
    batch, heads, length, size = query.shape
    tables = [pairs.by_distance(table) for table in (keys_r, queries_r)]
    # The kernel trusts the number of rows: memory behind a table is not the table's.
    assert all(table is None or table.shape[1] == 2 * pairs.centre + 1 for table in tables)
    query, key, value = (x if x.stride(-1) == 1 else x.contiguous() for x in (query, key, value))
    # (B, L, A, D) in memory: what follows joins the heads without a copy.
    out = query.new_empty(batch, length, heads, size).transpose(1, 2)
    by_position, by_content = (query if table is None else table for table in tables)
    _kernel[(triton.cdiv(length, TILE_ROWS), batch * heads)](
        query, key, value, by_position, by_content, out,
        vectors.positions, vectors.prefixes, vectors.types, vectors.sequences,
        *query.stride()[:3], *key.stride()[:3], *value.stride()[:3], *out.stride()[:3],
        *by_position.stride()[:2], *by_content.stride()[:2],
        heads, length, pairs.centre,
        scale_of(query, keys_r, queries_r) * 1.4426950408889634,  # log2(e): powers of two are what a card computes
        size=size, width=max(16, triton.next_power_of_2(size)),
        tile_rows=TILE_ROWS, tile_columns=TILE_COLUMNS, band=BAND,
        to_position=keys_r is not None, to_content=queries_r is not None,
        precision="ieee" if query.dtype == torch.float32 else "tf32",
        num_warps=WARPS, num_stages=STAGES,
    )  # fmt: skip
    return out

"""One kernel for content, relative terms, mask and softmax: nothing of size L × L or L × R is kept.

The distances of a tile of 64 × 64 pairs are few: where positions run on, the tokens of the tile span 127 of them. So
the relative terms of a tile are products with a band of neighbouring rows of the table, out of which each pair takes
its own. Which one that is shifts by one from row to row; the shift is made by writing the products of a tile to a
scratch of the program (small enough to stay in the card's cache) and reading them back one place further each row.
Tiles whose positions jump further take several bands, which keeps the kernel exact for every prompt.
Softmax: online (arXiv 2205.14135), in float32. Relative terms: DeBERTa, arXiv 2006.03654, section 3.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from core.errors import DeviceError
from core.model.backends.eager import scale_of
from core.model.config import RexConfig
from core.model.relations import Relations, vector_relations

TILE, BAND = 64, 128
"""Rows and columns of a tile; distances of a band, the next power of two above those of a tile."""
FACTS = 8
"""Numbers told about a tile of tokens: the tiles that it meets (first, and one behind the last), lowest and highest
position, whether a token has a prefix or type, whether all are of one sequence; two are not used."""
FAR = 2**31 - 1


class Setting(NamedTuple):
    """How a card runs the kernel: warps of a program, registers of a thread, programs of a multiprocessor at once."""

    warps: int
    registers: int
    programs: int


SETTING = Setting(warps=4, registers=255, programs=2)
"""Only the benchmark's study of variants and tests set another.

Measured on an H200 before its reads went along memory (encoder, bfloat16, ms for 256 × 128 and for 64 × 512 tokens):
4, 255, 2: 17.5 and 29.8; 8, 128, 2: 18.4 and 32.8; 8, 255, 1: 18.4 and 36.0; 4, 168, 3: 20.1 and 40.9; 4, 128, 4: 21.7
and 47.8. The first was the best afterwards too (float16, 128 × 512: 52.4, then 58.0). Spilled registers cost more
than the idle time that a third program would fill.
"""


@triton.jit(do_not_specialize=["length"])
def _summary(  # type: ignore[no-untyped-def]
    positions, prefixes, types, sequences, facts, length, tile: tl.constexpr, far: tl.constexpr
):
    """The facts of one tile of tokens of one row; padding has no say in positions and sequences."""
    batch = tl.program_id(1).to(tl.int64)
    tiles = tl.num_programs(0)
    here = tl.arange(0, tile)
    token = tl.program_id(0) * tile + here
    inside = token < length
    place = batch * length + token
    sequence = tl.load(sequences + place, mask=inside, other=-1)
    position = tl.load(positions + place, mask=inside, other=0)
    ids = tl.load(prefixes + place, mask=inside, other=0) | tl.load(types + place, mask=inside, other=0)
    real = sequence >= 0
    first, last = tl.min(tl.where(real, sequence, far), 0), tl.max(sequence, 0)
    begin, end = tiles, 0
    for number in range(0, tiles):
        token = number * tile + here
        other = tl.load(sequences + batch * length + token, mask=token < length, other=-1)
        meets = (first <= tl.max(other, 0)) & (tl.min(tl.where(other >= 0, other, far), 0) <= last)
        begin = tl.where(meets, tl.minimum(begin, number), begin)
        end = tl.where(meets, number + 1, end)
    out = facts + (batch * tiles + tl.program_id(0)) * 8
    tl.store(out, begin)
    tl.store(out + 1, end)
    tl.store(out + 2, tl.min(tl.where(real, position, far), 0))
    tl.store(out + 3, tl.max(tl.where(real, position, -1), 0))
    tl.store(out + 4, tl.max(tl.where(ids != 0, 1, 0), 0))
    tl.store(out + 5, tl.where((tl.min(sequence, 0) == last) & (last >= 0), 1, 0))


@triton.jit(do_not_specialize=["heads", "length", "tiles", "total", "centre", "count"])  # or every batch compiles anew
def _kernel(  # type: ignore[no-untyped-def]
    query, key, value, keys_r, queries_r, out, positions, prefixes, types, sequences, facts, scratch,
    qb, qa, ql, kb, ka, kl, vb, va, vl, ob, oa, ol, ra, rr, sa, sr,
    heads, length, tiles, total, centre, count, scale,
    size: tl.constexpr, width: tl.constexpr, tile: tl.constexpr, band: tl.constexpr,
    to_position: tl.constexpr, to_content: tl.constexpr, precision: tl.constexpr,
):  # fmt: skip
    """Tiles of rows of one head of one row of the batch, one after the other; strides in elements, last axis dense."""
    lane = tl.arange(0, width)
    lane_in = lane < size
    here = tl.arange(0, tile)
    slots = tl.arange(0, band)
    forth = scratch + tl.program_id(0).to(tl.int64) * (2 * tile * band)
    back = forth + tile * band
    for work in range(tl.program_id(0), total, tl.num_programs(0)):
        tile_i = work % tiles
        head = (work // tiles) % heads
        batch = (work // tiles // heads).to(tl.int64)
        about = facts + (batch * tiles + tile_i) * 8
        begin, end = tl.load(about), tl.load(about + 1)
        low_i, high_i = tl.load(about + 2), tl.load(about + 3)
        marked_i, whole_i = tl.load(about + 4), tl.load(about + 5)
        row = tile_i * tile + here
        row_in = row < length
        row_mask = row_in[:, None] & lane_in[None, :]
        ids = batch * length
        q = tl.load(query + batch * qb + head * qa + row[:, None] * ql + lane[None, :], mask=row_mask, other=0.0)
        pos_i = tl.load(positions + ids + row, mask=row_in, other=0)
        best = tl.full([tile], -1.0e30, tl.float32)
        sums = tl.zeros([tile], tl.float32)
        context = tl.zeros([tile, width], tl.float32)
        for tile_j in range(begin, end):
            about = facts + (batch * tiles + tile_j) * 8
            column = tile_j * tile + here
            column_in = column < length
            column_mask = column_in[:, None] & lane_in[None, :]
            place = column[:, None]
            k = tl.load(key + batch * kb + head * ka + place * kl + lane[None, :], mask=column_mask, other=0.0)
            relative = tl.zeros([tile, tile], tl.float32)
            pos_j = tl.load(positions + ids + column, mask=column_in, other=0)
            low = low_i - tl.load(about + 3)
            high = high_i - tl.load(about + 2)
            if to_position or to_content:
                for base in range(low, high + 1, band):
                    line = tl.minimum(tl.maximum(base + centre + slots, 0), count - 1)
                    if to_position:
                        rows_k = tl.load(
                            keys_r + head * ra + line[:, None] * rr + lane[None, :], mask=lane_in[None, :], other=0.0
                        )
                        products = tl.dot(q, tl.trans(rows_k), input_precision=precision) * scale
                        tl.store(forth + here[:, None] * band + slots[None, :], products.to(scratch.dtype.element_ty))
                    if to_content:
                        rows_q = tl.load(
                            queries_r + head * sa + line[:, None] * sr + lane[None, :],
                            mask=lane_in[None, :], other=0.0,
                        )  # fmt: skip
                        products = tl.dot(k, tl.trans(rows_q), input_precision=precision) * scale
                        tl.store(back + here[:, None] * band + slots[None, :], products.to(scratch.dtype.element_ty))
                    tl.debug_barrier()
                    if to_position:
                        slot = pos_i[:, None] - pos_j[None, :] - base
                        inside = slot.to(tl.uint32) < band  # negative ones are large then
                        places = tl.max_contiguous(forth + here[:, None] * band + slot, [1, 2])
                        relative += tl.load(places, mask=inside, other=0.0)
                    if to_content:
                        # The other way round, so that neighbours in memory are read together.
                        slot = pos_i[None, :] - pos_j[:, None] - base
                        inside = slot.to(tl.uint32) < band  # negative ones are large then
                        places = tl.max_contiguous(back + here[:, None] * band + slot, [1, 2])
                        found = tl.load(places, mask=inside, other=0.0)
                        relative += tl.trans(found)
                    tl.debug_barrier()
            # The product takes the other terms in: it decides how the compiler lays out all that follows.
            scores = tl.dot(q, tl.trans(k), relative * (1.0 / scale), input_precision=precision) * scale
            whole = (whole_i > 0) & (tl.load(about + 5) > 0)
            marked = (marked_i > 0) & (tl.load(about + 4) > 0)
            if marked | (not whole):
                seq_i = tl.load(sequences + ids + row, mask=row_in, other=-1)
                seq_j = tl.load(sequences + ids + column, mask=column_in, other=-1)
                pre_i = tl.load(prefixes + ids + row, mask=row_in, other=0)
                pre_j = tl.load(prefixes + ids + column, mask=column_in, other=0)
                typ_i = tl.load(types + ids + row, mask=row_in, other=0)
                typ_j = tl.load(types + ids + column, mask=column_in, other=0)
                meet = (seq_i[:, None] == seq_j[None, :]) & (seq_j >= 0)[None, :]
                meet &= (pre_i[:, None] == 0) | (pre_j[None, :] == 0) | (pre_i[:, None] == pre_j[None, :])
                meet &= (typ_i[:, None] == 0) | (typ_j[None, :] == 0) | (typ_i[:, None] == typ_j[None, :])
                scores = tl.where(meet, scores, float("-inf"))
            # Finite from the start, so that a row nothing was allowed to yet is no difference of infinities.
            better = tl.maximum(best, tl.max(scores, 1))
            weights = tl.exp2(scores - better[:, None])
            fading = tl.exp2(best - better)
            sums = sums * fading + tl.sum(weights, 1)
            v = tl.load(value + batch * vb + head * va + place * vl + lane[None, :], mask=column_mask, other=0.0)
            context = context * fading[:, None] + tl.dot(weights.to(v.dtype), v, input_precision=precision)
            best = better
        context = context / tl.where(sums > 0, sums, 1.0)[:, None]  # padding comes out as zeros
        target = out + batch * ob + head * oa + row[:, None] * ol + lane[None, :]
        tl.store(target, context.to(out.dtype.element_ty), mask=row_mask)


def relate(config: RexConfig, position_ids: Tensor, **vectors: Any) -> Relations:
    """As `vector_relations`, with the facts of every tile of tokens: worked out once for all layers."""
    pairs = vector_relations(config, position_ids, **vectors)
    ids = pairs.vectors
    assert ids is not None
    rows, length = ids.sequences.shape
    tiles = triton.cdiv(length, TILE)
    facts = torch.empty(rows, tiles, FACTS, dtype=torch.int32, device=ids.sequences.device)
    _summary[(tiles, rows)](
        ids.positions, ids.prefixes, ids.types, ids.sequences, facts, length, tile=TILE, far=FAR, num_warps=2
    )
    return replace(pairs, vectors=replace(ids, tiles=facts))


@cache
def _multiprocessors(device: torch.device) -> int:
    if device.type != "cuda":
        return 1
    return int(torch.cuda.get_device_properties(device).multi_processor_count)


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
    """See `core.model.backends.attend`; needs `pairs` of `relate`; sums and softmax in float32.

    In half precision the relative terms are rounded to float16 once, after scaling.
    """
    if pairs.vectors is None or pairs.vectors.tiles is None or dropout > 0 or query.requires_grad:
        raise DeviceError("triton 注意力只用于推理：训练请用 eager")
    ids = pairs.vectors
    batch, heads, length, size = query.shape
    keys_r, queries_r = pairs.by_distance(keys_r), pairs.by_distance(queries_r)
    counts = {table.shape[1] for table in (keys_r, queries_r) if table is not None} or {1}
    (count,) = counts
    query, key, value = (x if x.stride(-1) == 1 else x.contiguous() for x in (query, key, value))
    # (B, L, A, D) in memory: what follows joins the heads without a copy.
    out = query.new_empty(batch, length, heads, size).transpose(1, 2)
    by_position, by_content = (query if table is None else table for table in (keys_r, queries_r))
    tiles = triton.cdiv(length, TILE)
    total = tiles * batch * heads
    programs = min(total, SETTING.programs * _multiprocessors(query.device))
    exact = query.dtype == torch.float32
    scratch = torch.empty(
        programs * 2 * TILE * BAND, dtype=query.dtype if exact else torch.float16, device=query.device
    )
    _kernel[(programs,)](
        query, key, value, by_position, by_content, out,
        ids.positions, ids.prefixes, ids.types, ids.sequences, ids.tiles, scratch,
        *query.stride()[:3], *key.stride()[:3], *value.stride()[:3], *out.stride()[:3],
        *by_position.stride()[:2], *by_content.stride()[:2],
        heads, length, tiles, total, pairs.centre, count,
        scale_of(query, keys_r, queries_r) * 1.4426950408889634,  # log2(e): powers of two are what a card computes
        size=size, width=max(16, triton.next_power_of_2(size)), tile=TILE, band=BAND,
        to_position=keys_r is not None, to_content=queries_r is not None,
        precision="ieee" if exact else "tf32",
        num_warps=SETTING.warps, num_stages=1, **({"maxnreg": SETTING.registers} if query.is_cuda else {}),
    )  # fmt: skip
    return out

"""How the tokens of a batch relate: slots of the relative table and permissions (SPEC 4.3, 5.2).

Both depend on the prompt alone, so they are worked out once a forward pass and shared by all layers. Backends that
follow the id vectors themselves get no tensor of token pairs at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from core.model.config import RexConfig

LOOKUPS_KEPT = 1024
_LOOKUPS: dict[tuple[object, ...], Tensor] = {}


@dataclass(frozen=True, slots=True)
class Vectors:
    """What the tokens of a batch carry, each (B, L) int32 and contiguous, for backends without tensors of pairs.

    positions, prefixes, types: as given, zeros where there are none. sequences: which prompt of the row a token is
    of; tokens of different ones never meet, and padding is sequence -1. tiles: what a backend knows about stretches
    of tokens, in its own form.
    """

    positions: Tensor
    prefixes: Tensor
    types: Tensor
    sequences: Tensor
    tiles: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Relations:
    """How the tokens of a batch relate.

    slots: (B or 1, 1, L, L) int64, row of the table for the pair (i, j). None with `vectors`.
    allowed: (B, 1, L, L) bool, True where i may attend to j; None: everywhere.
    rows: the rows of the relative table that can occur, as a slice.
    lookup: (2·centre + 1,) int64, which of those rows the distances -centre … centre use, if `slots` and `vectors`
    count on a table with one row for each distance; None: they count on `rows` as they are.
    positions, centre: (B or 1, L) int64 and a row number when slot (i, j) is exactly `p_i - p_j + centre`, else None;
    with `vectors` it is that number moved into the table, if need be.
    run_start: from this token on the positions of every row count up by one (padding apart), and no position of the
    batch exceeds the number of its token; None: not known.
    """

    slots: Tensor | None
    allowed: Tensor | None
    rows: slice
    lookup: Tensor | None = None
    positions: Tensor | None = None
    centre: int = 0
    run_start: int | None = None
    vectors: Vectors | None = None

    def by_distance(self, table: Tensor | None) -> Tensor | None:
        """Projections of `rows` (A, R, D) → those that the slots count on."""
        return table if table is None or self.lookup is None else table.index_select(1, self.lookup)


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
    sequence_ids: Tensor | None = None,
    run_start: int | None = None,
) -> Relations:
    """Slots and permissions of all token pairs.

    position_ids: (B or 1, L) int64. prefix_ids, type_ids: (B, L), 0 for tokens that belong to no prefix group or
    type: two tokens meet unless both carry different non-zero ids of either kind (SPEC 4.3). keep: (B, L) bool,
    False for padding. max_distance: the largest position or more (they count from 0), which narrows the table.
    sequence_ids: (B, L), the prompt of a token where several share a row: only equal ones meet. run_start: see
    `Relations`; where it is given, slots are distances.
    """
    distance = position_ids[:, :, None] - position_ids[:, None, :]
    if run_start is not None and max_distance is not None:
        max_distance = max(max_distance, position_ids.shape[1] - 1 - run_start)  # a run goes on through the padding
    rows, exact = _rows(config, max_distance)
    centre, lookup = config.span - rows.start, None
    if exact:
        slots = (distance + centre).clamp_(0, 2 * centre)  # padding may lie anywhere
    elif max_distance is not None:
        centre = max_distance
        lookup = _kept_lookup(config, max_distance, rows.start, rows.stop, position_ids.device)
        slots = (distance + centre).clamp_(0, 2 * centre)
    else:
        slots = (bucket(distance, config) + config.span).clamp_(0, 2 * config.span - 1) - rows.start
    allowed = None
    for ids in (prefix_ids, type_ids):
        if ids is not None:
            row, column = ids[:, :, None], ids[:, None, :]
            meet = (row == 0) | (column == 0) | (row == column)
            allowed = meet if allowed is None else allowed & meet
    if sequence_ids is not None:
        same = sequence_ids[:, :, None] == sequence_ids[:, None, :]
        allowed = same if allowed is None else allowed & same
    if keep is not None:
        columns = keep[:, None, :].expand(-1, keep.shape[1], -1)
        allowed = columns if allowed is None else allowed & columns
    return Relations(
        slots=slots[:, None],
        allowed=None if allowed is None else allowed[:, None],
        rows=rows,
        lookup=lookup,
        positions=position_ids if exact or lookup is not None else None,
        centre=centre,
        run_start=run_start if exact or lookup is not None else None,
    )


def run_relations(
    config: RexConfig, position_ids: Tensor, *, run_start: int | None = None, **vectors: Any
) -> Relations:
    """As `relations`, after looking where the positions begin to run on, unless finding out would stall the device."""
    if run_start is None and position_ids.device.type == "cpu":
        run_start = run_of(position_ids, vectors.get("keep"))
    return relations(config, position_ids, run_start=run_start, **vectors)


def vector_relations(
    config: RexConfig,
    position_ids: Tensor,
    *,
    prefix_ids: Tensor | None = None,
    type_ids: Tensor | None = None,
    keep: Tensor | None = None,
    max_distance: int | None = None,
    sequence_ids: Tensor | None = None,
    run_start: int | None = None,
) -> Relations:
    """As `relations`, without tensors of pairs: for backends that follow the id vectors."""
    like = next((ids for ids in (prefix_ids, type_ids, keep, sequence_ids) if ids is not None), position_ids)
    far = int(position_ids.max()) if max_distance is None else max_distance
    rows, exact = _rows(config, far)

    def vector(ids: Tensor | None) -> Tensor:
        if ids is None:
            return torch.zeros(like.shape, dtype=torch.int32, device=like.device)
        return ids.expand(like.shape).to(torch.int32).contiguous()

    sequences = vector(sequence_ids)
    if keep is not None:
        sequences = sequences.masked_fill(~keep, -1)
    shared = config.log_buckets and not exact
    return Relations(
        slots=None,
        allowed=None,
        rows=rows,
        lookup=_kept_lookup(config, far, rows.start, rows.stop, like.device) if shared else None,
        centre=far if shared else config.span - rows.start,
        run_start=run_start,
        vectors=Vectors(vector(position_ids), vector(prefix_ids), vector(type_ids), sequences),
    )


def _rows(config: RexConfig, max_distance: int | None) -> tuple[slice, bool]:
    """The rows of the table that distances up to `max_distance` use, and whether none of them is clamped or shared."""
    if max_distance is None or config.log_buckets:
        return slice(0, 2 * config.span), False
    first, last = max(0, config.span - max_distance), min(2 * config.span, config.span + max_distance + 1)
    return slice(first, last), max_distance < config.span


def _lookup(config: RexConfig, far: int, rows: slice) -> Tensor:
    """Which of `rows` each of the distances -far … far uses; made on the host, where a logarithm is always the same."""
    return (bucket(torch.arange(-far, far + 1), config) + config.span).clamp(0, 2 * config.span - 1) - rows.start


def _kept_lookup(config: RexConfig, far: int, start: int, stop: int, device: torch.device) -> Tensor:
    """The look-up on its device; kept, because copying it there would make the host wait in every batch.

    None is ever let go: recorded graphs read it where it is.
    """
    key = (config.span, config.max_relative_positions, far, start, stop, device)
    kept = _LOOKUPS.get(key)
    if kept is None:
        with torch.inference_mode(False):
            kept = _lookup(config, far, slice(start, stop)).to(device)
        if len(_LOOKUPS) < LOOKUPS_KEPT:
            _LOOKUPS[key] = kept
    return kept


def run_of(position_ids: Tensor, keep: Tensor | None) -> int | None:
    """The `run_start` of `Relations`, or None where a position exceeds the number of its token."""
    if bool((position_ids > torch.arange(position_ids.shape[1])).any()):
        return None
    breaks = position_ids[:, 1:] != position_ids[:, :-1] + 1
    if keep is not None:
        breaks = breaks & keep[:, 1:]
    places = breaks.any(0).nonzero()
    return int(places[-1]) + 1 if len(places) else 0

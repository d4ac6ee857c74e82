"""Token streams on the device -> masked batches of one shape, without a word from the host."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor

from core.errors import InputError

CLS, SEP, UNK, MASK = 1, 2, 3, 4
FIRST_ORDINARY = 100
"""Ids below are specials and unused entries; ids from `vocab_size` on are markers."""
NO_LABEL = -100
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Streams:
    """All sources in one tensor.

    tokens: (N,) int16. starts, sizes: (S,) int64, the stretch of each source. chances: (S,) float32, cumulative
    chances of the sources.
    """

    tokens: Tensor
    starts: Tensor
    sizes: Tensor
    chances: Tensor


@dataclass(frozen=True, slots=True)
class MaskedBatch:
    """input_ids: (B, L) int64; positions: (B, K) int64; labels: (B, K) int64, NO_LABEL where nothing is masked."""

    input_ids: Tensor
    positions: Tensor
    labels: Tensor


def load_streams(
    directory: Path,
    *,
    weights: Mapping[str, float],
    least: int,
    device: torch.device,
    only: Collection[str] | None = None,
) -> tuple[Streams, Streams]:
    """The streams of a directory of `<source>.npy` files for training, and their held-back ends for validation.

    only: names of the sources to read, None: all. Held back is one token in a hundred, at most 200,000 a source.
    Sources too short for `least` tokens in both parts are left out and named in the log; raises InputError when none
    is left.
    """
    train: list[np.ndarray] = []
    held: list[np.ndarray] = []
    shares: list[float] = []
    for path in sorted(directory.glob("*.npy")):
        if only is not None and path.stem not in only:
            continue
        tokens = np.load(path).astype(np.int16)
        back = max(min(len(tokens) // 100, 200_000), least)
        if len(tokens) < back + least:
            _log.warning("语料 %s 只有 %d 个词元，太短，未使用", path, len(tokens))
            continue
        train.append(tokens[:-back])
        held.append(tokens[-back:])
        shares.append(weights.get(path.stem, 1.0) * len(train[-1]))
    if not train:
        raise InputError(f"目录 {directory} 里没有足够长的 .npy 词元流：请先运行 core.training.corpus 准备语料。")
    return _join(train, shares, device), _join(held, shares, device)


def _join(parts: list[np.ndarray], shares: list[float], device: torch.device) -> Streams:
    sizes = torch.tensor([len(part) for part in parts])
    chances = torch.tensor(shares, dtype=torch.float64).cumsum(0)
    return Streams(
        tokens=torch.from_numpy(np.concatenate(parts)).to(device),
        starts=(sizes.cumsum(0) - sizes).to(device),
        sizes=sizes.to(device),
        chances=(chances / chances[-1]).float().to(device),
    )


def sample(streams: Streams, batch: int, *, length: int, generator: Generator) -> Tensor:
    """`[CLS]`, length - 2 tokens from a random place, `[SEP]`: (batch, length) int64."""
    device = streams.tokens.device
    draw = torch.rand(2, batch, generator=generator, device=device, dtype=torch.float64)
    source = torch.searchsorted(streams.chances, draw[0].float()).clamp(max=len(streams.sizes) - 1)
    offset = streams.starts[source] + (draw[1] * (streams.sizes[source] - (length - 2) + 1)).long()
    middle = streams.tokens[offset[:, None] + torch.arange(length - 2, device=device)].long()
    edge = torch.ones(batch, 1, dtype=torch.long, device=device)
    return torch.cat([edge * CLS, middle, edge * SEP], dim=1)


def is_ordinary(ids: Tensor) -> Tensor:
    """Which ids stand for text: [UNK] does, the other specials and unused entries do not."""
    return (ids >= FIRST_ORDINARY) | (ids == UNK)


def mask_spans(ids: Tensor, *, count: int, span: float, vocab_size: int, generator: Generator) -> MaskedBatch:
    """Mask exactly `count` ordinary tokens of each row, in stretches of about `span` tokens.

    Every row is cut into random stretches, each stretch draws one number, and the tokens with the highest numbers
    are taken. 80 % of them become [MASK], 10 % a random token, 10 % stay. Specials are never touched: a row with
    fewer than `count` ordinary tokens has all of those masked and no label for the rest.
    """
    device, shape = ids.device, ids.shape
    cut = torch.rand(shape, generator=generator, device=device) < 1.0 / span
    stretch = cut.long().cumsum(1)
    height = torch.rand(shape[0], shape[1] + 1, generator=generator, device=device).gather(1, stretch)
    height = height.masked_fill(~is_ordinary(ids), -1.0)
    top = height.topk(count, dim=1)
    positions = top.indices
    ordinary = top.values >= 0
    original = ids.gather(1, positions)
    choice = torch.rand(positions.shape, generator=generator, device=device)
    random_ids = torch.randint(FIRST_ORDINARY, vocab_size, positions.shape, generator=generator, device=device)
    shown = torch.where(choice < 0.8, MASK, torch.where(choice < 0.9, random_ids, original))
    masked = ids.scatter(1, positions, torch.where(ordinary, shown, original))
    return MaskedBatch(masked, positions, original.masked_fill(~ordinary, NO_LABEL))

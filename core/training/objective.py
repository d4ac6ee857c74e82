"""The loss over token pairs: circle loss, also called multi-label softmax (SPEC 10.4; RexUniNLU, arXiv 2304.14770)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def link_cells(head: int, tail: int, marker: int) -> list[tuple[int, int]]:
    """The three cells (row, column) that say "tokens head…tail are a span of the type at `marker`" (SPEC 10.2)."""
    return [(head, tail), (head, marker), (marker, tail)]


def circle_loss(logits: Tensor, gold: Tensor, *, keep: Tensor) -> Tensor:
    """Loss of each prompt: log(1 + Σ e^logit over wrong cells) + log(1 + Σ e^-logit over right cells).

    logits: (B, L, L) float. gold: (N, 3) int64 rows of (prompt, row, column), repeats allowed.
    keep: (B, L) bool, False for padding. Returns (B,) float32.

    Unlike the reference, cells of padding do not count: they are never decoded, they would make the loss of a prompt
    depend on its neighbours in the batch, and in a batch of mixed lengths they outnumber the real cells.
    """
    logits = logits.float()
    lowest = torch.finfo(logits.dtype).min  # not -inf: a prompt without right cells would get gradients of nan
    right = torch.zeros(logits.shape, dtype=torch.bool, device=logits.device)
    right[gold[:, 0], gold[:, 1], gold[:, 2]] = True
    wrong = keep[:, :, None] & keep[:, None, :] & ~right
    pushed_down = logits.masked_fill(~wrong, lowest).flatten(1).logsumexp(-1)
    pulled_up = (-logits).masked_fill(~right, lowest).flatten(1).logsumexp(-1)
    # softplus(x) = log(1 + e^x) is the "1 +" of both terms: a logit of 0 is the border between wrong and right.
    return functional.softplus(pushed_down) + functional.softplus(pulled_up)

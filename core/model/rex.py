"""The token-pair head on the encoder (SPEC 5.4; RexUniNLU, arXiv 2304.14770; rotary: arXiv 2104.09864)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.model.config import RexConfig
from core.model.encoder import Encoder

LINK_TOKENS = 8192
"""Tokens whose links are worked out at a time: in float32 they would hold more than all the layers before."""


class RotaryEmbedding(nn.Module):
    """Rotation of interleaved pairs of the whole hidden size by position; angles stay in float32."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.freqs = nn.Parameter(10000.0 ** (-torch.arange(0, size, 2).float() / size), requires_grad=False)

    def forward(self, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        """(B, L) int64 → cosines and sines, (B, L, H/2) float32."""
        angles = position_ids[..., None].float() * self.freqs.float()
        return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate the pairs (2m, 2m+1) of x (B, L, H), in float32."""
    even, odd = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((even * cos - odd * sin, odd * cos + even * sin), dim=-1).flatten(-2)


def widened(layer: nn.Linear, x: Tensor) -> Tensor:
    """The layer on x (B, L, H) of half precision without rounding its float32 sums back; else simply the layer."""
    if x.dtype not in (torch.float16, torch.bfloat16) or layer.weight.requires_grad or torch.is_autocast_enabled():
        return layer(x)
    if x.device.type == "cuda":
        product = torch.mm(x.flatten(0, -2), layer.weight.t(), out_dtype=torch.float32)
        return product.unflatten(0, x.shape[:-1]) + layer.bias.float()
    return nn.functional.linear(x.float(), layer.weight.float(), layer.bias.float())


class RexModel(nn.Module):
    """Prompts → one logit for every ordered pair of tokens; a link has fired where its logit is above 0."""

    def __init__(self, config: RexConfig) -> None:
        super().__init__()
        self.config = config
        self.plm = Encoder(config)
        self.ffnq = nn.Linear(config.hidden_size, config.hidden_size)
        self.ffnk = nn.Linear(config.hidden_size, config.hidden_size)
        self.rotary_emb = RotaryEmbedding(config.hidden_size)

    def forward(
        self,
        input_ids: Tensor,
        position_ids: Tensor,
        prefix_ids: Tensor | None = None,
        type_ids: Tensor | None = None,
        keep: Tensor | None = None,
        max_distance: int | None = None,
        *,
        sequence_ids: Tensor | None = None,
        run_start: int | None = None,
    ) -> Tensor:
        """All of shape (B, L) → logits (B, L, L) float32; rows and columns of padding carry no meaning."""
        hidden = self.plm(
            input_ids,
            position_ids,
            prefix_ids,
            type_ids,
            keep,
            max_distance,
            sequence_ids=sequence_ids,
            run_start=run_start,
        )
        return self.links(hidden, position_ids)

    def links(self, hidden: Tensor, position_ids: Tensor) -> Tensor:
        """Hidden states (B, L, H) → logits (B, L, L) float32, unscaled (SPEC 5.4)."""
        rows = max(1, LINK_TOKENS // hidden.shape[1])
        if hidden.shape[0] <= rows or torch.is_grad_enabled():
            return self._links(hidden, position_ids)
        logits = hidden.new_empty(*hidden.shape[:2], hidden.shape[1], dtype=torch.float32)
        positions = position_ids.expand(hidden.shape[:2])
        for first in range(0, len(hidden), rows):
            part = slice(first, first + rows)
            logits[part] = self._links(hidden[part], positions[part])
        return logits

    def _links(self, hidden: Tensor, position_ids: Tensor) -> Tensor:
        query, key = widened(self.ffnq, hidden), widened(self.ffnk, hidden)
        with torch.autocast(hidden.device.type, enabled=False):
            cos, sin = self.rotary_emb(position_ids)
            return rotate(query, cos, sin) @ rotate(key, cos, sin).transpose(-1, -2)

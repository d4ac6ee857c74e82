"""An encoder of the same size with plain attention: what the relative positions are weighed against."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.model.config import RexConfig


class PlainLayer(nn.Module):
    """A BERT layer: fused attention without bias, feed-forward, each post-normalised."""

    def __init__(self, config: RexConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.heads = config.num_attention_heads
        self.mixed = nn.Linear(size, 3 * size)
        self.joined = nn.Linear(size, size)
        self.inner = nn.Linear(size, config.intermediate_size)
        self.outer = nn.Linear(config.intermediate_size, size)
        self.first = nn.LayerNorm(size, config.layer_norm_eps)
        self.second = nn.LayerNorm(size, config.layer_norm_eps)

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, H) → (B, L, H)."""
        query, key, value = self.mixed(x).unflatten(-1, (3, self.heads, -1)).transpose(1, 3).unbind(2)
        context = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(-2)
        x = self.first(self.joined(context) + x)
        out: Tensor = self.second(self.outer(functional.gelu(self.inner(x))) + x)
        return out


def plain_encoder(config: RexConfig, *, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """Layers with random weights on embedded tokens: ids (B, L) → (B, L, H), without mask and positions."""
    torch.manual_seed(0)
    layers = [PlainLayer(config) for _ in range(config.num_hidden_layers)]
    model = nn.Sequential(nn.Embedding(config.num_embeddings, config.hidden_size), *layers)
    return model.to(device, dtype).requires_grad_(False).eval()

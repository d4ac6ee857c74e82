"""The encoder on inputs whose positions simply count up: the same network as `core.model.encoder`, faster.

When the distance of tokens i and j is i - j in every row, the relative terms need no gather. A row of scores over
distances, shifted by its own row number, is a row of scores over tokens, and that shift is a change of view: in
memory it costs nothing, and its gradient is a plain copy instead of a scatter (DeBERTa, arXiv 2006.03654, section 3;
the shift: Transformer-XL, arXiv 1901.02860, appendix B).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.errors import CheckpointError
from core.model.attention import DisentangledAttention
from core.model.encoder import Encoder, Layer


def encode(encoder: Encoder, input_ids: Tensor) -> Tensor:
    """`encoder` on (B, L) int64 without padding, types or dropout of attention, positions 0 … L-1 → (B, L, H).

    Raises CheckpointError when L is beyond the relative table or the network buckets its distances.
    """
    length, span = input_ids.shape[1], encoder.config.span
    if length > span or encoder.config.log_buckets:
        raise CheckpointError(f"序列长度 {length} 超出相对位置表（{span}），或该网络使用对数分桶：请缩短 length。")
    table = encoder.relative_table(slice(span - length, span + length))
    parts = encoder.encoder
    embedded: Tensor = encoder.embeddings(input_ids)
    hidden = embedded
    for index, layer in enumerate(cast(Iterable[Layer], parts["layer"])):
        attended = layer.attention["output"](
            attention(cast(DisentangledAttention, layer.attention["self"]), hidden, table), hidden
        )
        hidden = layer.output(layer.activation(layer.intermediate["dense"](attended)), attended)
        if index == 0 and "conv" in parts:
            hidden = parts["conv"](embedded, hidden, None)
    return hidden


def attention(attend: DisentangledAttention, x: Tensor, table: Tensor) -> Tensor:
    """x: (B, L, H), table: (2L, H), the rows of distances -L … L-1 → context (B, L, H)."""
    batch, length, _ = x.shape
    weight = torch.cat([attend.query_proj.weight, attend.key_proj.weight, attend.value_proj.weight])
    bias = torch.cat([attend.query_proj.bias, attend.key_proj.bias, attend.value_proj.bias])
    # Heads come first, so that the position terms are one large product a head instead of one small one a row.
    split = functional.linear(x, weight, bias).view(batch, length, 3, attend.heads, attend.head_size)
    query, key, value = split.permute(2, 3, 0, 1, 4)  # (A, B, L, D) each
    scale = 1.0 / math.sqrt(attend.head_size * (1 + len(attend.kinds)))
    query = query * scale
    scores = (query @ key.transpose(-1, -2)).float()
    keys_r, queries_r = attend.position_projections(table)  # (A, 2L, D)
    if keys_r is not None:
        scores = scores + shift(_with_table(query, keys_r.flip(1)), length - 1)
    if queries_r is not None:
        scores = scores + shift(_with_table(key * scale, queries_r), length).transpose(-1, -2)
    context: Tensor = torch.softmax(scores, dim=-1).to(value.dtype) @ value
    return context.permute(1, 2, 0, 3).flatten(-2)


def _with_table(x: Tensor, rows: Tensor) -> Tensor:
    """(A, B, L, D) and (A, R, D) → products (A, B, L, R)."""
    products: Tensor = x.flatten(1, 2) @ rows.transpose(-1, -2)
    return products.view(*x.shape[:3], -1)


def shift(x: Tensor, start: int) -> Tensor:
    """(…, L, 2L) → (…, L, L) with `out[i, j] = x[i, start - i + j]`; start is L - 1 or L."""
    length = x.shape[-2]
    flat = x.flatten(-2)[..., start : start + length * (2 * length - 1)]
    rows: Tensor = flat.unflatten(-1, (length, 2 * length - 1))
    return rows[..., :length].float()


def at_places(hidden: Tensor, positions: Tensor) -> Tensor:
    """Hidden states (B, L, H) at positions (B, K) → (B·K, H)."""
    rows = torch.arange(len(positions), device=positions.device)[:, None] * hidden.shape[1]
    return hidden.flatten(0, 1)[(rows + positions).flatten()]


class MaskedHead(nn.Module):
    """Predicts masked tokens: dense, GELU, LayerNorm, then the word embeddings as the output layer, with a bias."""

    def __init__(self, size: int, vocab_size: int) -> None:
        super().__init__()
        self.dense = nn.Linear(size, size)
        self.LayerNorm = nn.LayerNorm(size, 1e-7)
        self.bias = nn.Parameter(torch.zeros(vocab_size))
        nn.init.normal_(self.dense.weight, std=0.02)
        nn.init.zeros_(self.dense.bias)

    def forward(self, hidden: Tensor, embeddings: Tensor) -> Tensor:
        """hidden: (N, H), embeddings: (at least V, H) → logits (N, V); the markers' rows are never predicted."""
        transformed = self.LayerNorm(functional.gelu(self.dense(hidden)))
        return functional.linear(transformed, embeddings[: len(self.bias)], self.bias)


class MaskedLanguageModel(nn.Module):
    """Encoder and head → the mean loss of the masked positions."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.plm = encoder
        self.mlm = MaskedHead(encoder.config.hidden_size, encoder.config.vocab_size)

    def forward(self, input_ids: Tensor, positions: Tensor, labels: Tensor) -> Tensor:
        """input_ids: (B, L), positions: (B, K), labels: (B, K), -100 where none; all int64 → scalar float32."""
        chosen = at_places(encode(self.plm, input_ids), positions)
        logits = self.mlm(chosen, self.plm.embeddings.word_embeddings.weight)
        return functional.cross_entropy(logits.float(), labels.flatten(), ignore_index=-100)

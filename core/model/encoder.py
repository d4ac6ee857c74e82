"""DeBERTa-v2 encoder as RexUniNLU uses it (SPEC 5.1–5.3; DeBERTa, arXiv 2006.03654; DeBERTaV3 code conventions).

Parameter names equal those of the reference's state dict below `plm.` (SPEC 5.5), so no renaming is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.model.attention import DisentangledAttention, Relations, relations
from core.model.config import RexConfig

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,
    "relu": functional.relu,
    "tanh": torch.tanh,
}


class Embeddings(nn.Module):
    """Word embedding and LayerNorm; positions enter only through attention (SPEC 5.1)."""

    def __init__(self, config: RexConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.num_embeddings, config.hidden_size, padding_idx=0)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, input_ids: Tensor) -> Tensor:
        """(B, L) int64 → (B, L, H)."""
        return self.dropout(self.LayerNorm(self.word_embeddings(input_ids)))


class ResidualOutput(nn.Module):
    """Linear, dropout, residual, LayerNorm: the end of both halves of a layer."""

    def __init__(self, config: RexConfig, inputs: int) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        """x: (B, L, inputs), residual: (B, L, H) → (B, L, H)."""
        return self.LayerNorm(self.dropout(self.dense(x)) + residual)


class Layer(nn.Module):
    """Attention and feed-forward, each post-normalised."""

    def __init__(self, config: RexConfig) -> None:
        super().__init__()
        self.attention = nn.ModuleDict(
            {"self": DisentangledAttention(config), "output": ResidualOutput(config, config.hidden_size)}
        )
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(config.hidden_size, config.intermediate_size)})
        self.output = ResidualOutput(config, config.intermediate_size)
        self.activation = ACTIVATIONS[config.hidden_act]

    def forward(self, x: Tensor, pairs: Relations, table: Tensor) -> Tensor:
        """x: (B, L, H); table: the rows of the relative table in use, (rows, H)."""
        attend = cast(DisentangledAttention, self.attention["self"])
        attended = self.attention["output"](attend(x, pairs, attend.position_projections(table)), x)
        return self.output(self.activation(self.intermediate["dense"](attended)), attended)


class ConvLayer(nn.Module):
    """Convolution over token order, joined to the first layer's output (SPEC 5.3)."""

    def __init__(self, config: RexConfig) -> None:
        super().__init__()
        size = config.conv_kernel_size
        self.conv = nn.Conv1d(
            config.hidden_size, config.hidden_size, size, padding=(size - 1) // 2, groups=config.conv_groups
        )
        self.LayerNorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.activation = ACTIVATIONS[config.conv_act]
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, embedded: Tensor, first: Tensor, keep: Tensor | None) -> Tensor:
        """embedded: input of layer 0, first: its output, both (B, L, H). keep: (B, L), padding False."""
        if keep is not None:
            # Padding must not leak into the last real token through the kernel.
            embedded = embedded.masked_fill(~keep[..., None], 0)
        out = self.conv(embedded.transpose(1, 2)).transpose(1, 2)
        return self.LayerNorm(first + self.dropout(self.activation(out)))


class Encoder(nn.Module):
    """Tokens of prompts → hidden states of the last layer."""

    def __init__(self, config: RexConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        parts: dict[str, nn.Module] = {
            "layer": nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers)),
            "rel_embeddings": nn.Embedding(2 * config.span, config.hidden_size),
        }
        if "layer_norm" in config.norm_rel_ebd:
            parts["LayerNorm"] = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        if config.conv_kernel_size > 0:
            parts["conv"] = ConvLayer(config)
        self.encoder = nn.ModuleDict(parts)
        self.apply(self._initialise)

    def _initialise(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding | nn.Conv1d):
            nn.init.normal_(module.weight, std=self.config.initializer_range)
        if isinstance(module, nn.Linear | nn.Conv1d) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def relative_table(self, rows: slice) -> Tensor:
        """The (normalised) relative embeddings in use: (rows, H)."""
        table = cast(nn.Embedding, self.encoder["rel_embeddings"]).weight[rows]
        return self.encoder["LayerNorm"](table) if "LayerNorm" in self.encoder else table

    def forward(
        self,
        input_ids: Tensor,
        position_ids: Tensor,
        prefix_ids: Tensor | None = None,
        type_ids: Tensor | None = None,
        keep: Tensor | None = None,
        max_distance: int | None = None,
    ) -> Tensor:
        """All of shape (B, L) (position_ids may be (1, L)), see `relations` → (B, L, H)."""
        pairs = relations(
            self.config, position_ids, prefix_ids=prefix_ids, type_ids=type_ids, keep=keep, max_distance=max_distance
        )
        table = self.relative_table(pairs.rows)
        embedded = hidden = self.embeddings(input_ids)
        for index, layer in enumerate(cast(nn.ModuleList, self.encoder["layer"])):
            hidden = layer(hidden, pairs, table)
            if index == 0 and "conv" in self.encoder:
                hidden = self.encoder["conv"](embedded, hidden, keep)
        return hidden

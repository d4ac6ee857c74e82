"""DeBERTa-v2 encoder as RexUniNLU uses it (SPEC 5.1–5.3; DeBERTa, arXiv 2006.03654; DeBERTaV3 code conventions).

Parameter names equal those of the reference's state dict below `plm.` (SPEC 5.5), so no renaming is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.model.attention import DisentangledAttention, ProjectionCache, Projections, sliced
from core.model.backends import choose_backend, relate
from core.model.config import RexConfig
from core.model.fused import add_norm
from core.model.relations import Relations


def gelu(x: Tensor) -> Tensor:
    """GELU of a tensor that nobody else holds; where nothing is learnt in its own memory, the widest of a layer."""
    out: Tensor = functional.gelu(x) if torch.is_grad_enabled() else torch.ops.aten.gelu_(x)
    return out


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": gelu,
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
        return add_norm(self.dropout(self.dense(x)), residual, self.LayerNorm)


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

    def forward(
        self,
        x: Tensor,
        pairs: Relations,
        table: Tensor | None = None,
        positions: Projections | None = None,
        backend: str = "eager",
    ) -> Tensor:
        """x: (B, L, H); table: the rows of the relative table in use, (rows, H), or `positions` made of them."""
        attend = cast(DisentangledAttention, self.attention["self"])
        if positions is None:
            assert table is not None
            positions = attend.position_projections(table)
        attended = self.attention["output"](attend(x, pairs, positions, backend), x)
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
        out = self._convolved(embedded) if self.conv.groups == 1 else self.conv(embedded.mT).mT
        return add_norm(self.dropout(self.activation(out)), first, self.LayerNorm)

    def _convolved(self, x: Tensor) -> Tensor:
        """The convolution as one product (B · L, k · H) × (k · H, H): a card is made for those."""
        width, length = self.conv.kernel_size[0], x.shape[1]
        padded = functional.pad(x, (0, 0, (width - 1) // 2, width // 2))
        neighbours = torch.cat([padded[:, n : n + length] for n in range(width)], dim=-1)
        return functional.linear(neighbours, self.conv.weight.transpose(1, 2).flatten(1), self.conv.bias)


class Encoder(nn.Module):
    """Tokens of prompts → hidden states of the last layer."""

    def __init__(self, config: RexConfig) -> None:
        super().__init__()
        self.config = config
        self.backend = "auto"  # or the name of one; for measuring and testing
        self.projections = ProjectionCache()
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

    @property
    def layers(self) -> list[Layer]:
        """The layers, first to last."""
        return list(cast(Iterable[Layer], self.encoder["layer"]))

    def join(self) -> None:
        """Query, key and value of every layer by one product (see `DisentangledAttention.join`)."""
        for layer in self.layers:
            cast(DisentangledAttention, layer.attention["self"]).join()

    def relative_table(self, rows: slice) -> Tensor:
        """The (normalised) relative embeddings in use: (rows, H)."""
        table = cast(nn.Embedding, self.encoder["rel_embeddings"]).weight[rows]
        return self.encoder["LayerNorm"](table) if "LayerNorm" in self.encoder else table

    def _cached_projections(self, rows: slice) -> list[Projections] | None:
        """Of every layer, (A, rows, D) each; None while the network is trained."""
        held = self.projections.get(
            [cast(DisentangledAttention, layer.attention["self"]) for layer in self.layers],
            cast(nn.Embedding, self.encoder["rel_embeddings"]).weight,
            normal=dict(self.encoder.named_children()).get("LayerNorm"),
        )
        return None if held is None else [sliced(one, rows) for one in held]

    def _backend(self, hidden: Tensor) -> str:
        if self.backend != "auto":
            return self.backend
        trained = hidden.requires_grad or (self.training and self.config.attention_probs_dropout_prob > 0)
        return "eager" if trained else choose_backend(hidden.device, hidden.dtype, hidden.shape[1])

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
        """All of shape (B, L) (position_ids may be (1, L)), see `relations` → (B, L, H).

        run_start: the first token of the latest text of the batch, from which on all positions count up by one;
        known, it spares the device most look-ups. sequence_ids: prompts that share a row need at least half the
        convolution's kernel of padding between them.
        """
        embedded = hidden = self.embeddings(input_ids)
        backend = self._backend(hidden)
        pairs = relate(backend)(
            self.config,
            position_ids,
            prefix_ids=prefix_ids,
            type_ids=type_ids,
            keep=keep,
            max_distance=max_distance,
            sequence_ids=sequence_ids,
            run_start=run_start,
        )
        cached = self._cached_projections(pairs.rows)
        table = self.relative_table(pairs.rows) if cached is None else None
        for index, layer in enumerate(self.layers):
            hidden = layer(hidden, pairs, table, None if cached is None else cached[index], backend)
            if index == 0 and "conv" in self.encoder:
                hidden = self.encoder["conv"](embedded, hidden, keep)
        return hidden

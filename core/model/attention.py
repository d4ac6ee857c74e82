"""Disentangled attention with custom positions and two-level isolation (SPEC 5.3; DeBERTa, section 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.model.backends import attend
from core.model.config import RexConfig
from core.model.relations import Relations

Projections = tuple[Tensor | None, Tensor | None]
"""Keys and queries of the relative table, each (A, R, D), or None when the network lacks that term."""


class DisentangledAttention(nn.Module):
    """Multi-head attention whose scores add content-to-position and position-to-content terms (SPEC 5.3)."""

    def __init__(self, config: RexConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.heads, self.head_size = config.num_attention_heads, config.head_size
        self.kinds = config.pos_att_type
        self.query_proj = nn.Linear(size, size)
        self.key_proj = nn.Linear(size, size)
        self.value_proj = nn.Linear(size, size)
        if not config.share_att_key:
            if "c2p" in self.kinds:
                self.pos_key_proj = nn.Linear(size, size)
            if "p2c" in self.kinds:
                self.pos_query_proj = nn.Linear(size, size)
        self.share_att_key = config.share_att_key
        self.dropout = config.attention_probs_dropout_prob
        self._joined: tuple[Tensor, Tensor] | None = None

    def join(self) -> None:
        """Lay the weights of query, key and value side by side in memory, so that one product gives all three.

        The parameters become views of the joined ones; once one is replaced, moved or trained, they go alone again.
        """
        layers = (self.query_proj, self.key_proj, self.value_proj)
        with torch.no_grad():
            weight = torch.cat([layer.weight for layer in layers])
            bias = torch.cat([layer.bias for layer in layers])
            for layer, rows, shift in zip(layers, weight.chunk(3), bias.chunk(3), strict=True):
                layer.weight.data, layer.bias.data = rows, shift
        self._joined = weight, bias

    def _joined_weights(self) -> tuple[Tensor, Tensor] | None:
        """The joined weights while they are those of the layers."""
        if self._joined is not None:
            for one, whole in zip(("weight", "bias"), self._joined, strict=True):
                step = whole.nbytes // 3
                for number, layer in enumerate((self.query_proj, self.key_proj, self.value_proj)):
                    own = getattr(layer, one)
                    if own.requires_grad or own.data_ptr() != whole.data_ptr() + number * step:
                        self._joined = None
                        return None
        return self._joined

    def _split(self, x: Tensor) -> Tensor:
        """(…, n, H) → (…, A, n, D)."""
        return x.unflatten(-1, (self.heads, self.head_size)).transpose(-2, -3)

    def _position_layers(self) -> tuple[nn.Linear | None, nn.Linear | None]:
        """What projects the relative table to keys and to queries."""
        if self.share_att_key:
            return self.key_proj, self.query_proj
        return getattr(self, "pos_key_proj", None), getattr(self, "pos_query_proj", None)

    def position_weights(self) -> list[Tensor]:
        """The weights that `position_projections` uses."""
        return [p for layer in self._position_layers() if layer is not None for p in (layer.weight, layer.bias)]

    def position_projections(self, table: Tensor) -> Projections:
        """Keys and queries of the relative table (rows, H), each (A, rows, D) or None when its term is unused."""
        key_proj, query_proj = self._position_layers()
        keys = self._split(key_proj(table)) if "c2p" in self.kinds and key_proj is not None else None
        queries = self._split(query_proj(table)) if "p2c" in self.kinds and query_proj is not None else None
        return keys, queries

    def forward(self, x: Tensor, pairs: Relations, positions: Projections, backend: str = "eager") -> Tensor:
        """x: (B, L, H) → context (B, L, H)."""
        if (joined := self._joined_weights()) is not None:
            query, key, value = map(self._split, functional.linear(x, *joined).chunk(3, dim=-1))
        else:
            query, key, value = (self._split(layer(x)) for layer in (self.query_proj, self.key_proj, self.value_proj))
        dropout = self.dropout if self.training else 0.0
        context = attend(query, key, value, *positions, pairs, backend=backend, dropout=dropout)
        return context.transpose(1, 2).flatten(-2)


class ProjectionCache:
    """The position projections of all layers of a network whose weights are frozen: they depend on nothing else.

    Holds 2 · layers · 2S · H numbers of the network's type. Weights that are replaced, moved or edited in place
    are noticed; weights that are being trained are never cached.
    """

    def __init__(self) -> None:
        self._held: list[Projections] = []
        self._version: tuple[object, ...] = ()

    def drop(self) -> None:
        """Let go of the memory; the next pass fills it again."""
        self._held, self._version = [], ()

    @property
    def size_bytes(self) -> int:
        """Memory held."""
        return sum(t.untyped_storage().nbytes() for pair in self._held for t in pair if t is not None)

    def get(
        self, layers: list[DisentangledAttention], table: Tensor, *, normal: nn.Module | None
    ) -> list[Projections] | None:
        """Of the relative table (2S, H), after `normal`, for every layer; None while weights are trained."""
        used: list[Tensor] = [table, *(() if normal is None else normal.parameters())]
        for layer in layers:
            used += layer.position_weights()
        if any(p.requires_grad for p in used):
            self.drop()
            return None
        # An edit in place counts the version up, a replacement moves the data; tensors of inference mode count nothing.
        version = tuple((p.data_ptr(), 0 if p.is_inference() else p._version, p.dtype) for p in used)
        if version != self._version:
            self.drop()
            # Plain tensors, whatever mode the caller is in: they outlive it.
            with torch.inference_mode(False), torch.no_grad():
                rows = table if normal is None else normal(table)
                self._held = [layer.position_projections(rows) for layer in layers]
            self._version = version
        return self._held


def sliced(positions: Projections, rows: slice) -> Projections:
    """The projections of some rows of the table: views (A, rows, D)."""
    keys, queries = positions
    return None if keys is None else keys[:, rows], None if queries is None else queries[:, rows]

"""The reference's way of reading, kept exact as what the engine is measured against (SPEC 1, 4–6).

One text, one window and one prompt at a time, float32, the isolation mask as nested Python lists, all rows of the
relative table projected anew in every layer of every call, links matched in Python loops.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from core.inference.decoding import Fired, logit
from core.inference.prompts import PieceEncoder, Prompt
from core.inference.recursion import Limits, read
from core.model.checkpoint import read_state, resolve_device
from core.model.config import RexConfig
from core.model.encoder import ACTIVATIONS
from core.model.relations import bucket
from core.model.rex import rotate
from core.model.tokenizer import RexTokenizer
from core.schemas.schema import Schema
from core.tasks import Answer, Task
from core.types import Annotation, Document

State = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Naive:
    """A checkpoint as the reference holds it: plain float32 weights on one device."""

    config: RexConfig
    state: State
    tokenizer: RexTokenizer
    limits: Limits
    device: torch.device

    def annotate(self, text: str, task: Task, *, schema: Schema) -> tuple[Annotation, ...]:
        """The annotations of one text; equal to the engine's."""
        pieces = PieceEncoder(self.tokenizer)
        steps = task.plan(Document(text), schema)
        answers: list[Answer] | None = None
        while True:
            try:
                requests = steps.send(answers)  # type: ignore[arg-type]
            except StopIteration as stop:
                annotations: tuple[Annotation, ...] = stop.value.annotations
                return annotations
            answers = []
            for request in requests:
                reader = read(request, pieces, self.limits)
                fired: list[Fired] | None = None
                while True:
                    try:
                        prompts = reader.send(fired)  # type: ignore[arg-type]
                    except StopIteration as stop:
                        answers.append(stop.value)
                        break
                    fired = [self.ask(prompt) for prompt in prompts]

    def ask(self, prompt: Prompt) -> Fired:
        """What fired in one prompt."""
        mask = torch.tensor([nested_mask(prompt)], device=self.device)
        ids, positions = (
            torch.tensor([list(map(int, vector))], device=self.device)
            for vector in (prompt.input_ids, prompt.position_ids)
        )
        with torch.inference_mode():
            hidden = encode(self.config, self.state, ids, positions=positions, mask=mask)
            return matched(pair_logits(self.state, hidden, positions)[0], prompt, self.limits.threshold)


def load_naive(directory: Path, *, device: str, limits: Limits | None = None) -> Naive:
    """Read a checkpoint directory; weights in float32."""
    config = RexConfig.from_file(directory / "config.json")
    target = resolve_device(device)
    state = {name: value.float() for name, value in read_state(directory, device=target).items()}
    limits = limits or Limits(max_groups=config.groups_per_hint)
    return Naive(config, state, RexTokenizer.from_directory(directory), limits, target)


def nested_mask(prompt: Prompt) -> list[list[int]]:
    """1 where a row may attend to a column, as nested lists (SPEC 4.3)."""
    prefixes, types = prompt.prefix_ids.tolist(), prompt.type_ids.tolist()

    def meet(one: int, other: int) -> bool:
        return one == 0 or other == 0 or one == other

    size = range(len(prompt))
    return [[int(meet(prefixes[i], prefixes[j]) and meet(types[i], types[j])) for j in size] for i in size]


def encode(
    config: RexConfig, state: State, input_ids: Tensor, *, positions: Tensor, mask: Tensor | None, prefix: str = "plm."
) -> Tensor:
    """input_ids, positions: (B, L) int64; mask: (B, L, L), 0 where two tokens do not meet → hidden (B, L, H)."""

    def linear(x: Tensor, name: str) -> Tensor:
        return functional.linear(x, state[f"{prefix}{name}.weight"], state[f"{prefix}{name}.bias"])

    def norm(x: Tensor, name: str) -> Tensor:
        weight, bias = state[f"{prefix}{name}.weight"], state[f"{prefix}{name}.bias"]
        return functional.layer_norm(x, weight.shape, weight, bias, config.layer_norm_eps)

    embedded = norm(
        functional.embedding(input_ids, state[f"{prefix}embeddings.word_embeddings.weight"]), "embeddings.LayerNorm"
    )
    table = state[f"{prefix}encoder.rel_embeddings.weight"]
    if "layer_norm" in config.norm_rel_ebd:
        table = norm(table, "encoder.LayerNorm")
    distance = bucket(positions[:, :, None] - positions[:, None, :], config)
    hidden = embedded
    for number in range(config.num_hidden_layers):
        name = f"encoder.layer.{number}"
        own = f"{name}.attention.self"
        shared = config.share_att_key
        context = attend(
            config,
            linear(hidden, f"{own}.query_proj"),
            linear(hidden, f"{own}.key_proj"),
            value=linear(hidden, f"{own}.value_proj"),
            keys_r=linear(table, f"{own}.{'key_proj' if shared else 'pos_key_proj'}")
            if "c2p" in config.pos_att_type
            else None,
            queries_r=linear(table, f"{own}.{'query_proj' if shared else 'pos_query_proj'}")
            if "p2c" in config.pos_att_type
            else None,
            distance=distance,
            mask=mask,
        )
        attended = norm(
            linear(context, f"{name}.attention.output.dense") + hidden, f"{name}.attention.output.LayerNorm"
        )
        inner = ACTIVATIONS[config.hidden_act](linear(attended, f"{name}.intermediate.dense"))
        hidden = norm(linear(inner, f"{name}.output.dense") + attended, f"{name}.output.LayerNorm")
        if number == 0 and config.conv_kernel_size > 0:
            conv = f"{prefix}encoder.conv.conv"
            padding = (config.conv_kernel_size - 1) // 2
            rows = functional.conv1d(
                embedded.transpose(1, 2),
                state[f"{conv}.weight"],
                state[f"{conv}.bias"],
                padding=padding,
                groups=config.conv_groups,
            )
            hidden = norm(hidden + ACTIVATIONS[config.conv_act](rows.transpose(1, 2)), "encoder.conv.LayerNorm")
    return hidden


def attend(
    config: RexConfig,
    query: Tensor,
    key: Tensor,
    *,
    value: Tensor,
    keys_r: Tensor | None,
    queries_r: Tensor | None,
    distance: Tensor,
    mask: Tensor | None,
) -> Tensor:
    """Disentangled attention with two gathers of the full size (SPEC 5.3): (B, L, H) → (B, L, H)."""
    heads, size = config.num_attention_heads, query.shape[1]

    def split(x: Tensor) -> Tensor:
        parts: Tensor = x.unflatten(-1, (heads, -1)).transpose(-2, -3)
        return parts

    query, key, value = split(query), split(key), split(value)
    scale = 1.0 / (config.head_size * (1 + len(config.pos_att_type))) ** 0.5
    scores = query @ (key * scale).transpose(-1, -2)
    if keys_r is not None:
        slots = (distance + config.span).clamp(0, 2 * config.span - 1)[:, None].expand(-1, heads, -1, -1)
        scores = scores + torch.gather(query @ split(keys_r).transpose(-1, -2), -1, slots) * scale
    if queries_r is not None:
        # Row j belongs to key j: the slot of the pair (i, j) stands at (j, i), and the distance is antisymmetric.
        slots = (-distance + config.span).clamp(0, 2 * config.span - 1)[:, None].expand(-1, heads, -1, -1)
        scores = scores + torch.gather(key @ split(queries_r).transpose(-1, -2), -1, slots).transpose(-1, -2) * scale
    if mask is not None:
        scores = scores.masked_fill(mask[:, None] == 0, torch.finfo(scores.dtype).min)
    weights = torch.softmax(scores, dim=-1)
    return (weights @ value).transpose(1, 2).reshape(-1, size, heads * config.head_size)


def pair_logits(state: State, hidden: Tensor, positions: Tensor) -> Tensor:
    """Hidden states (B, L, H) → logits (B, L, L) float32 (SPEC 5.4)."""
    angles = positions[..., None].float() * state["rotary_emb.freqs"].float()
    cos, sin = angles.cos(), angles.sin()
    query, key = (
        functional.linear(hidden, state[f"{name}.weight"], state[f"{name}.bias"]) for name in ("ffnq", "ffnk")
    )
    logits: Tensor = rotate(query, cos, sin) @ rotate(key, cos, sin).transpose(-1, -2)
    return logits


def matched(logits: Tensor, prompt: Prompt, threshold: float) -> Fired:
    """Links of one prompt, (L, L) logits, matched one by one (SPEC 6); all probabilities are computed and copied."""
    probabilities = torch.sigmoid(logits.double()).cpu().tolist()
    marks = [marker.index for marker in prompt.markers]
    if prompt.class_index is not None:
        c = prompt.class_index
        votes = [[probabilities[c][c], probabilities[c][mark], probabilities[mark][c]] for mark in marks]
        return _fired([], np.array(votes).reshape(-1, 3))
    first, last = prompt.text_start, len(prompt) - 1
    cells = [tuple(cell) for cell in torch.stack(torch.where(logits > logit(threshold)), dim=-1).tolist()]
    heads = {(column, row) for row, column in cells if first <= row < last and column < first}
    tails = {(row, column) for row, column in cells if row < first <= column < last}
    found: list[tuple[int, int, int, list[float]]] = []
    for head, tail in cells:
        if first <= head <= tail < last:
            for number, mark in enumerate(marks):
                if (mark, head) in heads and (mark, tail) in tails:
                    links = [probabilities[head][tail], probabilities[head][mark], probabilities[mark][tail]]
                    found.append((head, tail, number, links))
    return _fired(found, None)


def _fired(found: Sequence[tuple[int, int, int, list[float]]], classes: np.ndarray | None) -> Fired:
    heads, tails, markers = (np.array([one[place] for one in found], int) for place in range(3))
    return Fired(heads, tails, markers, np.array([one[3] for one in found]).reshape(-1, 3), classes)

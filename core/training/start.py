"""Where fine-tuning starts: a trainable network from a checkpoint, its weights grouped for the optimiser."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from core.model.checkpoint import build_model, read_state
from core.model.config import RexConfig
from core.model.rex import RexModel

log = logging.getLogger(__name__)


def load_start(directory: Path, *, dropout: float, seed: int = 0) -> RexModel:
    """A trainable float32 model from a checkpoint; a missing link head, as after pre-training, starts at random."""
    config = RexConfig.from_file(directory / "config.json")
    # Temperatures were fitted to the weights as they were.
    config = replace(config, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout, temperatures={})
    state = read_state(directory)
    torch.manual_seed(seed)
    fresh = {name: value for name, value in RexModel(config).state_dict().items() if not name.startswith("plm.")}
    if not fresh.keys() & state.keys():
        log.info("no link head in %s: a fresh one", directory)
        # Logits are sums over the hidden size without scaling, so torch's default would start far too loud.
        state |= {n: torch.randn_like(v) * 0.02 if n.startswith("ffn") else v for n, v in fresh.items()}
    model = build_model(config, state, dtype=torch.float32)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name != "rotary_emb.freqs")
    return model


def parameter_groups(model: RexModel, *, layer_decay: float, weight_decay: float) -> list[dict[str, Any]]:
    """Groups by weight decay and, with layer decay, by depth."""
    depth = model.config.num_hidden_layers
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        level = depth + 1 if not name.startswith("plm.") else 0
        if ".layer." in name:
            level = int(name.split(".layer.")[1].split(".")[0]) + 1
        decay = weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((decay, layer_decay ** (depth + 1 - level)), []).append(parameter)
    return [{"params": members, "weight_decay": decay, "share": share} for (decay, share), members in groups.items()]

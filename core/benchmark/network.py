"""The network that speed is measured on: base size, official shape, random weights, a real tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from core.benchmark.texts import ROOT
from core.inference.decoding import sigmoid
from core.inference.forward import run
from core.inference.matching import match, unpack
from core.inference.packing import Raw, pack
from core.inference.prompts import Group, Hint, PieceEncoder, Prompt, assemble, build_hints
from core.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from core.model.config import RexConfig
from core.model.rex import RexModel
from core.schemas.schema import Schema, parse_schema

EMBEDDED = ROOT / "data" / "models" / "rex-mini-zh"
BASE = RexConfig(conv_kernel_size=3, conv_act="gelu")
HEAD_STD = 0.01
"""Spread of the pair head's weights: logits of a random network then lie a few units round 0, as trained ones do."""
SPANS_PER_PROMPT = 4.0

TYPES = ("人物", "地理位置", "组织机构", "时间", "产品名称", "金额", "事件", "职务")
SCHEMA: Schema = parse_schema(dict.fromkeys(TYPES))
"""The eight types that throughput is measured with."""


def save_base(directory: Path, *, config: RexConfig = BASE, tokenizer_from: Path = EMBEDDED, seed: int = 0) -> Path:
    """Write a checkpoint with random weights of the given shape; returns its directory."""
    source = RexConfig.from_file(tokenizer_from / "config.json")
    torch.manual_seed(seed)
    model = RexModel(replace(config, vocab_size=source.vocab_size))
    for layer in (model.ffnq, model.ffnk):
        nn.init.normal_(layer.weight, std=HEAD_STD)
    save_checkpoint(model, directory, tokenizer_from=tokenizer_from, dtype=torch.float32)
    return directory


def hint_of(schema: Schema, pieces: PieceEncoder) -> Hint:
    """The hint of the first level of a schema that fits one."""
    hints, _ = build_hints([Group((), tuple(one.name for one in schema.types))], pieces)
    return hints[0]


def prompts_of(texts: Sequence[str], checkpoint: Checkpoint, *, schema: Schema = SCHEMA) -> list[Prompt]:
    """One extraction prompt a text; texts must fit one window."""
    hint = hint_of(schema, PieceEncoder(checkpoint.tokenizer))
    encoded = [checkpoint.tokenizer.encode_text(text) for text in texts]
    return [assemble(hint, one.ids, one.offsets, checkpoint.tokenizer) for one in encoded]


def prompts_of_tokens(texts: Sequence[str], checkpoint: Checkpoint, *, length: int) -> list[Prompt]:
    """One prompt of exactly `length` tokens a text; raises ValueError for a text that is too short."""
    hint = hint_of(SCHEMA, PieceEncoder(checkpoint.tokenizer))
    room = length - len(hint.ids) - 1
    encoded = [checkpoint.tokenizer.encode_text(text) for text in texts]
    if min(len(one.ids) for one in encoded) < room:
        raise ValueError(f"a text has fewer than {room} tokens")
    return [assemble(hint, one.ids[:room], one.offsets[:room], checkpoint.tokenizer) for one in encoded]


def few_spans_threshold(directory: Path, texts: Sequence[str], *, wanted: float = SPANS_PER_PROMPT) -> float:
    """The probability at which a random network gives about `wanted` spans a prompt, so that decoding is real.

    One pass on the CPU in float32 keeps every link of a few prompts; then the bar is halved in on.
    """
    checkpoint = load_checkpoint(str(directory), device="cpu", dtype="float32")
    prompts = prompts_of(texts, checkpoint)
    packed = pack(prompts, [0.0] * len(prompts), pad_id=checkpoint.tokenizer.pad_id)
    raw = run(checkpoint.model, packed, checkpoint.device)
    low, high = float(raw.values.min()), float(raw.values.max())
    for _ in range(24):
        bar = (low + high) / 2
        kept = raw.values > bar
        found = unpack(match(Raw(raw.cells[kept], raw.values[kept], raw.classes), packed), prompts)
        if sum(len(one.heads) for one in found) > wanted * len(prompts):
            low = bar
        else:
            high = bar
    return min(float(sigmoid(np.array(high))), 1.0 - 1e-9)

"""The encoder beside other implementations of DeBERTa-v2 with the same weights; both are extras of the benchmark."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.benchmark.bench import Bench
from core.benchmark.encoder import encoder_call, half, time_it
from core.benchmark.figures import Measured
from core.benchmark.network import prompts_of
from core.benchmark.texts import of_mixed_lengths
from core.inference.packing import Packed, pack
from core.model.checkpoint import Checkpoint, load_checkpoint, read_state

BATCHES = {128: 256, 512: 64}
OTHERS = {
    "ratio_transformers": ("transformers", "DebertaV2Model"),
    "ratio_flashdeberta": ("flashdeberta", "FlashDebertaV2Model"),
}
LARGEST_DIFFERENCE = 0.03
"""Of hidden states in float32 up to 128 tokens, where both implementations define the same network: about 1e-5 with
exact products, some thousandths where a kernel takes TF32, around 1 for another network."""


def measure(bench: Bench) -> list[Measured]:
    """How many times faster our encoder is, padded batches of unequal texts, all tokens seeing all (no isolation).

    The lower of the ratios at 128 and 512 tokens is the figure: beyond a distance of 131 the others put positions
    into logarithmic buckets, as this network does not, which changes numbers but hardly the work.
    """
    return [_compare(bench, name, *OTHERS[name]) for name in OTHERS]


def _compare(bench: Bench, name: str, package: str, kind: str) -> Measured:
    try:
        make = getattr(import_module(package), kind)
        configuration = import_module("transformers").DebertaV2Config
    except (ImportError, AttributeError) as error:
        return Measured(name, None, f"没有安装 {package}（见 requirements-bench.txt）：{error}")
    try:
        return _ratios(bench, name, lambda: make(configuration(**_fields(bench))))
    except Exception as error:  # a foreign program: whatever goes wrong in it is the reason
        return Measured(name, None, f"{package} 无法运行：{type(error).__name__}: {str(error)[:300]}")


def _ratios(bench: Bench, name: str, build: Callable[[], Any]) -> Measured:
    checkpoint = load_checkpoint(str(bench.base), device=bench.device_name, dtype=half(bench))
    other = _filled(build(), bench, dtype=checkpoint.dtype)
    by_length: dict[str, Any] = {"largest_difference": _largest_difference(bench, build)}
    ratios = []
    for length, rows in BATCHES.items():
        packed = _batch(bench, checkpoint, rows=bench.count(rows, 4), longest=length)
        own = time_it(bench, encoder_call(checkpoint, packed, isolated=False))
        theirs = time_it(bench, _call(other, packed, checkpoint.device))
        ratios.append(float(np.median(theirs) / np.median(own)))
        padding = 1 - float(packed.lengths.sum()) / packed.tokens
        by_length[str(packed.width)] = {"rows": packed.rows, "padding": padding, "own_s": own, "other_s": theirs}
    return Measured(name, min(ratios), "", by_length | {"dtype": half(bench)})


def _fields(bench: Bench) -> dict[str, Any]:
    config = load_checkpoint(str(bench.base), device="cpu").model.config
    fields = config.to_dict()
    return {
        **{name: fields[name] for name in fields if name not in ("model_type", "architectures", "groups_per_hint")},
        "vocab_size": config.num_embeddings,
        "attention_probs_dropout_prob": 0.0,
        "hidden_dropout_prob": 0.0,
        "attn_implementation": "eager",
    }


def _filled(model: Any, bench: Bench, *, dtype: torch.dtype) -> Any:
    """The other implementation with our weights; raises ValueError when a weight has no place or none to fill it."""
    state = {
        name.removeprefix("plm."): value
        for name, value in read_state(bench.base).items()
        if name.startswith("plm.") and name != "plm.embeddings.position_ids"
    }
    faults = model.load_state_dict(state, strict=False)
    absent = [name for name in faults.missing_keys if not name.endswith("position_ids")]
    if absent or faults.unexpected_keys:
        raise ValueError(f"weights do not fit: {absent[:3]} {list(faults.unexpected_keys)[:3]}")
    return model.to(bench.device, dtype).requires_grad_(False).eval()


def _batch(bench: Bench, checkpoint: Checkpoint, *, rows: int, longest: int) -> Packed:
    texts = of_mixed_lengths(bench.texts, rows, shortest=longest // 4, longest=longest)
    prompts = [prompt for prompt in prompts_of(texts, checkpoint) if len(prompt) <= longest]
    return pack(prompts, [0.5] * len(prompts), pad_id=checkpoint.tokenizer.pad_id)


def _call(model: Any, packed: Packed, device: torch.device) -> Callable[[], Tensor]:
    ids = torch.from_numpy(packed.ids[0]).to(device).long()
    keep = torch.arange(packed.width) < torch.from_numpy(packed.lengths)[:, None]
    mask = keep.long().to(device)

    def call() -> Tensor:
        with torch.inference_mode():
            hidden: Tensor = model(input_ids=ids, attention_mask=mask).last_hidden_state
            return hidden

    return call


def _largest_difference(bench: Bench, build: Callable[[], Any]) -> float:
    """Between the two in float32 over real tokens; raises ValueError when they are not the same network."""
    checkpoint = load_checkpoint(str(bench.base), device=bench.device_name, dtype="float32")
    packed = _batch(bench, checkpoint, rows=4, longest=128)
    own = encoder_call(checkpoint, packed, isolated=False)()
    theirs = _call(_filled(build(), bench, dtype=torch.float32), packed, bench.device)()
    keep = torch.arange(packed.width) < torch.from_numpy(packed.lengths)[:, None]
    largest = float((own - theirs)[keep.to(bench.device)].abs().max())
    if largest > LARGEST_DIFFERENCE:
        raise ValueError(f"hidden states differ by {largest:.2g}")
    return largest

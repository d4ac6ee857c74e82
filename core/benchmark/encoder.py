"""The encoder alone: share of the card's peak, and its time beside a plain encoder of the same size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from core.benchmark.bench import Bench
from core.benchmark.environment import hardware
from core.benchmark.figures import Measured
from core.benchmark.formulas import encoder_flops, interval, peak_flops
from core.benchmark.network import prompts_of_tokens
from core.benchmark.plain import plain_encoder
from core.benchmark.texts import of_length
from core.benchmark.timing import seconds
from core.gpu.profiles import CARD_DTYPE, CPU
from core.inference.packing import Packed, pack
from core.model.checkpoint import Checkpoint, load_checkpoint

BATCHES = {512: 128, 128: 512}
"""Rows of a batch by its length: 65,536 tokens, enough to fill a large card."""


def measure(bench: Bench) -> list[Measured]:
    """Share of the peak and tax over plain attention, at 512 and 128 tokens, no padding."""
    checkpoint = load_checkpoint(str(bench.base), device=bench.device_name, dtype=half(bench))
    peak = peak_flops(hardware(bench.device))
    plain = plain_encoder(checkpoint.model.config, device=bench.device, dtype=checkpoint.dtype)
    found = []
    for length, rows in BATCHES.items():
        rows = bench.count(rows, 4)
        packed = pack_tokens(bench, checkpoint, rows=rows, length=length)
        ids = torch.from_numpy(packed.ids[0]).to(bench.device).long()
        own = time_it(bench, encoder_call(checkpoint, packed))
        other, how = fastest_plain(bench, plain, ids)
        flops = encoder_flops(checkpoint.model.config, packed.lengths.tolist())
        detail = {
            "rows": rows,
            "length": length,
            "dtype": str(checkpoint.dtype).removeprefix("torch."),
            "encoder_s": own,
            "plain_s": other,
            "plain": how,
            "flops": flops,
            "peak_flops": peak,
        }
        shares = [flops / (one * peak) for one in own] if peak else []
        found.append(
            Measured(
                f"encoder_mfu_{length}",
                float(np.median(shares)) if shares else None,
                "" if shares else f"不知道 {hardware(bench.device)} 的峰值",
                detail | ({"interval": interval(shares, median)} if shares else {}),
            )
        )
        tax = [one / two for one, two in zip(own, other, strict=True)]
        found.append(
            Measured(f"tax_vs_bert_{length}", float(np.median(tax)), "", detail | {"interval": interval(tax, median)})
        )
    return found


def median(values: np.ndarray) -> float:
    """As a plain number."""
    return float(np.median(values))


def half(bench: Bench) -> str:
    """The dtype of an encoder measured alone: what was asked for, else what the product uses on cards and the CPU."""
    if bench.dtype != "auto":
        return bench.dtype
    return CARD_DTYPE if bench.kind == "cuda" else CPU.dtype


def pack_tokens(bench: Bench, checkpoint: Checkpoint, *, rows: int, length: int) -> Packed:
    """A batch of real texts, every prompt exactly `length` tokens long."""
    prompts = prompts_of_tokens(of_length(bench.texts, rows, length=3 * length), checkpoint, length=length)
    return pack(prompts, [0.5] * rows, pad_id=checkpoint.tokenizer.pad_id)


def encoder_call(checkpoint: Checkpoint, packed: Packed, *, isolated: bool = True) -> Callable[[], Tensor]:
    """A call of the encoder alone on a batch that is on the device already.

    isolated: with the prompt's own positions and isolation; else positions that count up and every token seen.
    """
    device = checkpoint.device
    ids, positions, prefixes, types = torch.from_numpy(packed.ids).to(device).long()
    lengths = torch.from_numpy(packed.lengths).to(device)
    keep = torch.arange(packed.width, device=device) < lengths[:, None]
    largest, start = packed.max_distance, int(packed.text_starts.max())
    if not isolated:
        positions = torch.arange(packed.width, device=device).expand(packed.rows, -1)
        prefixes, types = torch.zeros_like(prefixes), torch.zeros_like(types)
        largest, start = packed.width - 1, 0

    def call() -> Tensor:
        with torch.inference_mode():
            hidden: Tensor = checkpoint.model.plm(ids, positions, prefixes, types, keep, largest, run_start=start)
            return hidden

    return call


def time_it(bench: Bench, work: Callable[[], object]) -> list[float]:
    """Seconds a call: ten means of ten on a card after five unmeasured calls, less elsewhere or in a quick run."""
    many = bench.kind == "cuda" and not bench.quick
    return seconds(work, bench.device, repeats=10 if many else 3, inner=10 if many else 1, warm_up=5 if many else 1)


def fastest_plain(bench: Bench, plain: torch.nn.Module, ids: Tensor) -> tuple[list[float], str]:
    """The plain encoder eager and, on a card, compiled; the faster of the two is what we are measured against."""

    def times(model: Callable[[Tensor], Tensor]) -> list[float]:
        with torch.inference_mode():
            return time_it(bench, lambda: model(ids))

    eager = times(plain)
    if bench.kind != "cuda":
        return eager, "eager"
    compiled = times(torch.compile(plain, dynamic=False))
    return (compiled, "compiled") if np.median(compiled) < np.median(eager) else (eager, "eager")

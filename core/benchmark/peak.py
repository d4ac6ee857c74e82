"""Peak memory of one batch, ours beside naive attention at the same batch and precision."""

from __future__ import annotations

import gc
from collections.abc import Callable

import torch

from core.benchmark.bench import Bench
from core.benchmark.encoder import half, pack_tokens
from core.benchmark.figures import Measured, missing
from core.benchmark.naive import encode, pair_logits
from core.inference.forward import run
from core.inference.packing import Packed
from core.model.checkpoint import load_checkpoint, read_state
from core.model.config import RexConfig

ROWS, LENGTH = 32, 512


def measure(bench: Bench) -> list[Measured]:
    """Weights included on both sides; the naive side has its mask and all probabilities on the device."""
    if bench.kind != "cuda":
        return missing("peak", bench.kind, reason="只能在显卡上测")
    own, packed, config, dtype = _own(bench)
    peaks = {}
    for precision in (dtype, torch.float32):
        # The rotary table stays in float32 on both sides.
        state = {
            name: value.to(torch.float32 if name == "rotary_emb.freqs" else precision)
            for name, value in read_state(bench.base, device=bench.device).items()
        }

        def naive(state: dict[str, torch.Tensor] = state) -> object:
            with torch.inference_mode():
                ids, positions, mask = _inputs(packed, bench.device)
                hidden = encode(config, state, ids, positions=positions, mask=mask)
                return torch.sigmoid(pair_logits(state, hidden, positions)).cpu()

        peaks[str(precision).removeprefix("torch.")] = _peak(bench.device, naive)
        del state, naive
    name = str(dtype).removeprefix("torch.")
    detail = {"own_bytes": own, "naive_bytes": peaks, "rows": packed.rows, "length": packed.width, "dtype": name}
    return [Measured("peak_reduction_pct", 100.0 * (1 - own / peaks[name]), "", detail)]


def _own(bench: Bench) -> tuple[int, Packed, RexConfig, torch.dtype]:
    """The peak of our pass, with the batch and the network it was taken of; the weights are let go."""
    checkpoint = load_checkpoint(str(bench.base), device=bench.device_name, dtype=half(bench))
    packed = pack_tokens(bench, checkpoint, rows=bench.count(ROWS, 4), length=LENGTH)
    own = _peak(bench.device, lambda: run(checkpoint.model, packed, bench.device))
    return own, packed, checkpoint.model.config, checkpoint.dtype


def _inputs(packed: Packed, device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids, positions and the full mask (B, L, L) int64 on the device."""
    ids, positions, prefixes, types = torch.from_numpy(packed.ids).long()
    meet = [(x[:, :, None] == 0) | (x[:, None, :] == 0) | (x[:, :, None] == x[:, None, :]) for x in (prefixes, types)]
    return ids.to(device), positions.to(device), (meet[0] & meet[1]).long().to(device)


def _peak(device: torch.device, work: Callable[[], object]) -> int:
    """Bytes that PyTorch had in use at most during a second call; the first one sets up what stays."""
    work()
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    work()
    return int(torch.cuda.max_memory_allocated(device))

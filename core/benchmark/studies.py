"""What is measured to choose and not to judge: settings of the attention kernel, and graphs against single steps."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from core.benchmark.bench import Bench
from core.benchmark.encoder import encoder_call, half, pack_tokens, time_it
from core.benchmark.timing import finish
from core.errors import DeviceError
from core.inference.forward import run
from core.inference.graphs import Graphs
from core.model.checkpoint import Checkpoint, load_checkpoint
from core.model.fused import triton_fault

SETTINGS: tuple[tuple[int, int, int], ...] = ((4, 255, 2), (8, 255, 1), (8, 128, 2), (4, 168, 3))
"""See `core.model.backends.band.Setting`."""
SHAPES = ((128, 128), (512, 128), (32, 512), (128, 512))
SMALL = ((1, 64), (1, 120), (1, 250), (4, 120))
"""Rows and tokens of requests that somebody waits for."""


def variants(bench: Bench) -> Mapping[str, Any]:
    """Milliseconds of the encoder by backend and kernel setting, and how far each is from the first in norm."""
    checkpoint = _on_card(bench)
    from core.model.backends import band  # needs triton

    found: dict[str, Any] = {}
    chosen, encoder = band.SETTING, checkpoint.model.plm
    for rows, length in SHAPES:
        call = encoder_call(checkpoint, pack_tokens(bench, checkpoint, rows=bench.count(rows, 2), length=length))
        encoder.backend = "sdpa"
        wanted = call().float()
        row: dict[str, Any] = {"sdpa": _ms(bench, call)}
        encoder.backend = "triton"
        for setting in dict.fromkeys((chosen, *(band.Setting(*one) for one in SETTINGS))):
            band.SETTING = setting
            try:
                difference = float((call().float() - wanted).norm() / wanted.norm())
                row[f"triton {tuple(setting)}"] = {"ms": _ms(bench, call), "difference": difference}
            except Exception as error:  # a setting that this card cannot hold says nothing about the others
                row[f"triton {tuple(setting)}"] = f"{type(error).__name__}: {str(error)[:200]}"
            finally:
                band.SETTING = chosen
        found[f"{rows}x{length}"] = row
    return found


def graphs(bench: Bench) -> Mapping[str, Any]:
    """Milliseconds of a small batch from upload to answer, recorded and step by step, and their largest difference."""
    checkpoint = _on_card(bench)
    told: list[str] = []
    held = Graphs(checkpoint.model, bench.device, record=lambda kind, text: told.append(text))
    found: dict[str, Any] = {}
    for rows, length in SMALL:
        packed = pack_tokens(bench, checkpoint, rows=rows, length=length)
        everything = replace(packed, bars=np.full(rows, -np.inf, np.float32))
        step, recorded = (run(checkpoint.model, everything, bench.device, graphs=one) for one in (None, held))
        same = len(step.values) == len(recorded.values)
        nothing = replace(packed, bars=np.full(rows, np.inf, np.float32))
        times = {
            name: _median_ms(
                bench, lambda one=one, nothing=nothing: run(checkpoint.model, nothing, bench.device, graphs=one)
            )
            for name, one in (("graph_ms", held), ("step_ms", None))
        }
        found[f"{rows}x{length}"] = times | {
            "largest_difference": float(np.abs(step.values - recorded.values).max()) if same else None,
            "links": len(step.values),
        }
    return found | {"recorded": held.count, "told": told}


def _on_card(bench: Bench) -> Checkpoint:
    fault = triton_fault(bench.device) if bench.kind == "cuda" else "没有显卡"
    if fault:
        raise DeviceError(f"只能在能编译 Triton 内核的显卡上测：{fault}")
    return load_checkpoint(str(bench.base), device=bench.device_name, dtype=half(bench))


def _ms(bench: Bench, call: Any) -> float:
    return 1000 * float(np.median(time_it(bench, call)))


def _median_ms(bench: Bench, call: Any) -> float:
    taken = []
    for _ in range(bench.count(30, 3)):
        finish(bench.device)
        begun = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begun)
    return 1000 * float(np.median(taken[len(taken) // 6 :]))

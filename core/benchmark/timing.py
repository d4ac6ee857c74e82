"""How long a function takes on a device, queued work included."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch


def seconds(work: Callable[[], object], device: torch.device, *, repeats: int, inner: int, warm_up: int) -> list[float]:
    """Seconds of one call, `repeats` means of `inner` calls each, after `warm_up` calls that are not counted."""
    for _ in range(warm_up):
        work()
    measured = []
    for _ in range(repeats):
        finish(device)
        begun = time.perf_counter()
        for _ in range(inner):
            work()
        finish(device)
        measured.append((time.perf_counter() - begun) / inner)
    return measured


def finish(device: torch.device) -> None:
    """Wait until the device has nothing left to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)

"""What PyTorch of this process holds on the cards, read without ever importing it or starting CUDA."""

from __future__ import annotations

import sys
from types import ModuleType

from core.gpu import peaks
from core.gpu.records import TorchMemory


def running_torch() -> ModuleType | None:
    """The torch module if this process has imported it and CUDA is in use, else None."""
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)  # another thread may be half-way through the import
    if cuda is None or not getattr(cuda, "is_initialized", bool)():
        return None
    return torch


def torch_memory() -> dict[str, TorchMemory]:
    """Memory by the bare lower-case UUID of each card that PyTorch sees; empty when CUDA is not in use."""
    torch = running_torch()
    if torch is None:
        return {}
    readings = {}
    for index in range(torch.cuda.device_count()):
        stats = torch.cuda.memory_stats(index)
        top = peaks.of(index, stats.get("allocated_bytes.all.peak", 0), stats.get("reserved_bytes.all.peak", 0))
        readings[bare_uuid(str(torch.cuda.get_device_properties(index).uuid))] = TorchMemory(
            device_index=index,
            allocated_bytes=stats.get("allocated_bytes.all.current", 0),
            reserved_bytes=stats.get("reserved_bytes.all.current", 0),
            peak_allocated_bytes=top[0],
            peak_reserved_bytes=top[1],
            inactive_split_bytes=stats.get("inactive_split_bytes.all.current", 0),
            alloc_retries=stats.get("num_alloc_retries", 0),
            ooms=stats.get("num_ooms", 0),
            active_bytes=stats.get("active_bytes.all.current", 0),
            segments=stats.get("segment.all.current", 0),
        )
    return readings


def new_window() -> dict[str, TorchMemory]:
    """Begin a new window of peaks on every card; returns the memory with the peaks of the one that ends."""
    readings = torch_memory()
    torch = running_torch()
    if torch is not None:
        for reading in readings.values():
            torch.cuda.reset_peak_memory_stats(reading.device_index)
    peaks.forget()
    return readings


def bare_uuid(uuid: str) -> str:
    """A UUID in one form: NVML writes "GPU-…" or "MIG-…", PyTorch the bare number."""
    return uuid.lower().removeprefix("gpu-").removeprefix("mig-")

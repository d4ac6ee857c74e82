"""A CUDA device as the governor sees it, through PyTorch and the driver."""

from __future__ import annotations

import gc
from types import ModuleType
from typing import Any

import torch

from core.config import allocator_setting
from core.gpu import peaks
from core.gpu.cards import read_cards
from core.gpu.meter import Usage, gib
from core.gpu.nvml import Driver, NvmlDriver, NvmlFailure
from core.gpu.profiles import Card
from core.gpu.records import GpuSnapshot
from core.gpu.torch_view import torch_memory

USUAL_CONTEXT_BYTES = 512 * 2**20
"""Assumed for the CUDA context and loaded kernels where the driver does not tell whose memory is whose."""


class TorchMeter:
    """One CUDA device of this process; the first one made starts CUDA."""

    def __init__(self, device: torch.device, *, allocator: str = "", driver: Driver | None = None) -> None:
        self._cuda: ModuleType = torch.cuda
        self._index = device.index if device.index is not None else torch.cuda.current_device()
        self._driver = driver or NvmlDriver()
        if allocator and not allocator_setting():
            _configure(allocator)
        self.total_bytes = int(torch.cuda.get_device_properties(self._index).total_memory)

    def usage(self) -> Usage:
        """The allocator's figures now; cheap enough for every batch."""
        figures: dict[str, Any] = self._cuda.memory_stats_as_nested_dict(self._index)
        held = figures.get("reserved_bytes", {}).get("all", {})
        given = figures.get("allocated_bytes", {}).get("all", {})
        return Usage(given.get("current", 0), held.get("current", 0), held.get("peak", 0), given.get("peak", 0))

    def reset_peak(self) -> None:
        """Begin a new peak; the one that ends still counts for the window."""
        usage = self.usage()
        peaks.note(self._index, usage.peak_allocated_bytes, usage.peak_bytes)
        self._cuda.reset_peak_memory_stats(self._index)

    def free_card_bytes(self) -> int:
        """The driver's free memory."""
        return int(self._cuda.mem_get_info(self._index)[0])

    def outside_bytes(self) -> int:
        """This process by the driver, less the allocator; an assumption where the driver hides processes."""
        card = self._snapshot()
        reserved = self.usage().reserved_bytes
        if card is not None and card.own_bytes is not None:
            return int(max(0, card.own_bytes - reserved))
        free, total = self._cuda.mem_get_info(self._index)
        return int(max(0, min(USUAL_CONTEXT_BYTES, total - free - reserved)))

    def limit(self, size_bytes: int) -> None:
        """Let the allocator hold no more than this; beyond it, it raises its own out-of-memory error."""
        share = min(1.0, max(0.0, size_bytes / self.total_bytes))
        self._cuda.set_per_process_memory_fraction(share, self._index)

    def empty_cache(self) -> None:
        """Free what dead objects still hold, then give the cached blocks back."""
        gc.collect()
        self._cuda.synchronize(self._index)
        self._cuda.empty_cache()

    def is_out_of_memory(self, error: BaseException) -> bool:
        """PyTorch's own error, or a library that could not allocate."""
        if isinstance(error, torch.OutOfMemoryError):
            return True
        words = str(error).lower()
        return isinstance(error, RuntimeError) and ("out of memory" in words or "alloc_failed" in words)

    def others(self) -> str:
        """The other processes with their memory, largest first."""
        card = self._snapshot()
        if card is None or not card.others_bytes:
            return ""
        listed = [one for one in card.processes or () if not one.own and one.memory_bytes]
        names = "、".join(f"{one.name or one.pid} {gib(one.memory_bytes or 0)}" for one in listed[:3])
        return f"{gib(card.others_bytes)}" + (f"（{names}）" if names else "")

    def _snapshot(self) -> GpuSnapshot | None:
        """The driver's reading of this device; None when it cannot be had."""
        try:
            self._driver.query("nvmlInit")
            try:
                cards = read_cards(self._driver, torch_memory())
            finally:
                self._driver.query("nvmlShutdown")
        except NvmlFailure:
            return None
        return next((card for card in cards if card.torch and card.torch.device_index == self._index), None)


def read_card(device: torch.device) -> Card | None:
    """The card behind a device, as PyTorch sees it; None for the CPU. Starts CUDA."""
    if device.type != "cuda":
        return None
    facts = torch.cuda.get_device_properties(device)
    return Card(facts.name, int(facts.total_memory), (facts.major, facts.minor))


def _configure(allocator: str) -> None:
    """Set the allocator of this process; PyTorch before 2.10 has no such call and keeps its defaults."""
    configure = getattr(torch._C, "_accelerator_setAllocatorSettings", None)
    if configure is not None:
        configure(allocator)

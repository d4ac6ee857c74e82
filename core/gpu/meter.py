"""The governor's view of a device: what is held, what is free, and the few things that may be changed."""

from __future__ import annotations

import gc
import sys
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes of PyTorch's allocator: handed out and held, now and at most since the last reset (`peak_bytes`: held)."""

    allocated_bytes: int = 0
    reserved_bytes: int = 0
    peak_bytes: int = 0
    peak_allocated_bytes: int = 0

    @property
    def cached_bytes(self) -> int:
        """Held and not handed out."""
        return self.reserved_bytes - self.allocated_bytes


class Meter(Protocol):
    """What the governor asks of a device."""

    def usage(self) -> Usage:
        """The allocator's figures now."""

    def reset_peak(self) -> None:
        """Begin a new peak."""

    def free_card_bytes(self) -> int:
        """What the driver could still hand out, other processes respected."""

    def outside_bytes(self) -> int:
        """What this process holds outside the allocator: context and kernels."""

    def limit(self, size_bytes: int) -> None:
        """Let the allocator hold no more than this."""

    def empty_cache(self) -> None:
        """Give back what is held and not handed out."""

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Whether the error says that memory ran out."""

    def others(self) -> str:
        """Who else uses the card, in words; empty when nobody does or nobody can tell."""


class NoMeter:
    """The CPU: nothing is measured or bounded, but a batch too large for the memory is still halved."""

    def usage(self) -> Usage:
        """Nothing is held."""
        return Usage()

    def reset_peak(self) -> None:
        """Nothing to reset."""

    def free_card_bytes(self) -> int:
        """No bound."""
        return sys.maxsize

    def outside_bytes(self) -> int:
        """No context."""
        return 0

    def limit(self, size_bytes: int) -> None:
        """No bound to set."""

    def empty_cache(self) -> None:
        """What a failed batch left goes back to the system."""
        gc.collect()

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Python's own error, or that of torch's CPU allocator."""
        return isinstance(error, MemoryError) or (
            isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
        )

    def others(self) -> str:
        """Not asked on the CPU."""
        return ""


def gib(size_bytes: float) -> str:
    """Bytes in words, as GiB or MiB."""
    return f"{size_bytes / 2**30:.2f} GiB" if abs(size_bytes) >= 2**30 else f"{size_bytes / 2**20:.0f} MiB"

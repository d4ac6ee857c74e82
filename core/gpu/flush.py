"""The manual flush: gives cached, unused memory back and reports what came back.

It cannot free the loaded model, live tensors, or the CUDA context (a few hundred MB): the first two are in use,
the last goes only with the process.
"""

from __future__ import annotations

import ctypes
import gc
import time
from dataclasses import dataclass

from core.gpu.host import rss_bytes
from core.gpu.torch_view import running_torch


@dataclass(frozen=True, slots=True)
class MemoryReading:
    """Bytes at one instant; the card's values are sums over the cards that PyTorch uses, None without CUDA.

    `card_used_bytes` is the driver's view of those cards, all processes included.
    """

    rss_bytes: int | None
    allocated_bytes: int | None = None
    reserved_bytes: int | None = None
    card_used_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class FlushReport:
    """What a flush found and left; `waited_s` was spent waiting for the running batch to end.

    `objects` is what the garbage collector removed; `trimmed` is False where the C library cannot give heap back.
    """

    before: MemoryReading
    after: MemoryReading
    waited_s: float
    duration_s: float
    objects: int
    trimmed: bool
    on_gpu: bool

    @property
    def freed_rss_bytes(self) -> int | None:
        """Host memory given back; negative when the process grew meanwhile."""
        return _difference(self.before.rss_bytes, self.after.rss_bytes)

    @property
    def freed_reserved_bytes(self) -> int | None:
        """PyTorch's cache given back to the driver."""
        return _difference(self.before.reserved_bytes, self.after.reserved_bytes)

    @property
    def freed_card_bytes(self) -> int | None:
        """Card memory that the driver counts as free again."""
        return _difference(self.before.card_used_bytes, self.after.card_used_bytes)


def flush() -> FlushReport:
    """Free what is cached and unused; no batch may run meanwhile.

    Never resets the card, never unloads the model, and starts CUDA on no card.
    """
    started = time.perf_counter()
    devices = _devices()
    before = _read(devices)
    objects = gc.collect()
    torch = running_torch()
    if torch is not None and devices:
        for device in devices:
            torch.cuda.synchronize(device)
        torch.cuda.empty_cache()
        torch.cuda.ipc_collect()
    trimmed = _trim_heap()
    after = _read(devices)
    return FlushReport(
        before=before,
        after=after,
        waited_s=0.0,
        duration_s=time.perf_counter() - started,
        objects=objects,
        trimmed=trimmed,
        on_gpu=bool(devices),
    )


def read_memory() -> MemoryReading:
    """What this process holds now; asks no card that PyTorch does not use."""
    return _read(_devices())


def _devices() -> tuple[int, ...]:
    """The cards on which PyTorch holds memory; synchronising another one would start a context on it."""
    torch = running_torch()
    if torch is None:
        return ()
    return tuple(index for index in range(torch.cuda.device_count()) if torch.cuda.memory_reserved(index) > 0)


def _read(devices: tuple[int, ...]) -> MemoryReading:
    torch = running_torch()
    if torch is None or not devices:
        return MemoryReading(rss_bytes=rss_bytes())
    free_and_total = [torch.cuda.mem_get_info(device) for device in devices]
    return MemoryReading(
        rss_bytes=rss_bytes(),
        allocated_bytes=sum(torch.cuda.memory_allocated(device) for device in devices),
        reserved_bytes=sum(torch.cuda.memory_reserved(device) for device in devices),
        card_used_bytes=sum(total - free for free, total in free_and_total),
    )


def _trim_heap() -> bool:
    """Ask the C library to give free heap pages back; only glibc can."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # musl and macOS have no malloc_trim, Windows no CDLL(None)
        return False
    trim.argtypes, trim.restype = [ctypes.c_size_t], ctypes.c_int
    trim(0)
    return True


def _difference(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else before - after

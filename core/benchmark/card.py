"""The driver's view of a card's memory, and its highest value over a stretch of time."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from types import TracebackType

from core.gpu.nvml import NvmlDriver, NvmlFailure

GIB = 2**30


def held_bytes(index: int, *, pid: int, before: int | None) -> int | None:
    """What the driver counts for one process, or else what the whole card holds more than `before`; None without one.

    Inside a container the driver may know the process by another number: then the difference is right only on a card
    without other tenants.
    """
    own = process_bytes(index, pid=pid)
    if own is not None:
        return own
    now = card_bytes(index)
    return None if now is None or before is None else now - before


def process_bytes(index: int, *, pid: int) -> int | None:
    """What the driver counts for a process; None when it does not know it or does not say."""
    try:
        driver, handle = _open(index)
        processes = driver.query("nvmlDeviceGetComputeRunningProcesses", handle)
    except NvmlFailure:
        return None
    return next((int(one.usedGpuMemory) for one in processes if one.pid == pid and one.usedGpuMemory), None)


def card_bytes(index: int) -> int | None:
    """What the driver counts as used on the card by all: by NVML, else by `nvidia-smi`."""
    try:
        driver, handle = _open(index)
        return int(driver.query("nvmlDeviceGetMemoryInfo", handle).used)
    except NvmlFailure:
        return _from_command(index)


def _open(index: int) -> tuple[NvmlDriver, object]:
    driver = NvmlDriver()
    driver.query("nvmlInit")
    return driver, driver.query("nvmlDeviceGetHandleByIndex", index)


def _from_command(index: int) -> int | None:
    command = ["nvidia-smi", f"--id={index}", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
        return int(done.stdout.split()[0]) * 2**20 if done.returncode == 0 else None
    except (OSError, subprocess.TimeoutExpired, ValueError, IndexError):
        return None


class Sampler:
    """Reads a value every `every_s` seconds in a thread of its own; what could not be read is left out."""

    def __init__(self, read: Callable[[], int | None], *, every_s: float = 0.02) -> None:
        self.readings: list[int] = []
        self._read, self._every = read, every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._ended.is_set():
            value = self._read()
            if value is not None:
                self.readings.append(value)
            self._ended.wait(self._every)

    @property
    def peak(self) -> int | None:
        """The highest reading."""
        return max(self.readings, default=None)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

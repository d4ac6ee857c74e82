"""Memory, processor and threads of this process and of the machine."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from core.gpu.records import HostSnapshot

_PROCESS = psutil.Process()
# psutil measures since the previous call: the first one only starts the clock.
_PROCESS.cpu_percent()
psutil.cpu_percent()
_WORKERS: dict[int, psutil.Process] = {}


def rss_bytes() -> int | None:
    """Resident memory of this process."""
    try:
        return int(_PROCESS.memory_info().rss)
    except psutil.Error:
        return None


def peak_rss_bytes() -> int | None:
    """The highest resident memory of this process since it started; None where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text("utf-8", "replace").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration, ValueError):
        return None


def process_rss_bytes(pid: int) -> int | None:
    """Resident memory of another process; None when it is gone."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return None


def user_of(pid: int, name: str) -> str | None:
    """Whose process that is; None unless this system's process of that number has that name.

    In a container the driver lists the host's numbers, behind which this system has others or nobody.
    """
    try:
        process = psutil.Process(pid)
        return str(process.username()) if name and process.name()[:15] == name[:15] else None
    except (psutil.Error, KeyError):
        return None


def read_host(worker_pid: int | None = None) -> HostSnapshot:
    """One reading; percentages cover the time since the previous reading. `worker_pid`: the process of the model."""
    memory = psutil.virtual_memory()
    try:
        with _PROCESS.oneshot():
            cpu_percent, threads = _PROCESS.cpu_percent(), _PROCESS.num_threads()
    except psutil.Error:
        cpu_percent, threads = None, None
    worker_rss, worker_cpu = _worker(worker_pid)
    return HostSnapshot(
        rss_bytes=rss_bytes(),
        total_bytes=int(memory.total),
        available_bytes=int(memory.available),
        cpu_percent=cpu_percent,
        machine_cpu_percent=psutil.cpu_percent(),
        cores=os.cpu_count(),
        threads=threads,
        peak_rss_bytes=peak_rss_bytes(),
        swap_bytes=_swap_bytes(),
        worker_rss_bytes=worker_rss,
        worker_cpu_percent=worker_cpu,
    )


def _swap_bytes() -> int | None:
    try:
        return int(psutil.swap_memory().used)
    except (psutil.Error, OSError, RuntimeError):
        return None


def _worker(pid: int | None) -> tuple[int | None, float | None]:
    """Memory and processor of the model's process; the same object is asked each time, as psutil measures between."""
    if pid is None or pid == os.getpid():
        return None, None
    try:
        if pid not in _WORKERS:
            _WORKERS.clear()
            _WORKERS[pid] = psutil.Process(pid)
        return int(_WORKERS[pid].memory_info().rss), _WORKERS[pid].cpu_percent()
    except psutil.Error:
        _WORKERS.clear()
        return None, None

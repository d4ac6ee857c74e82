"""Memory, processor and threads of this process and of the machine."""

from __future__ import annotations

import os

import psutil

from core.gpu.records import HostSnapshot

_PROCESS = psutil.Process()
# psutil measures since the previous call: the first one only starts the clock.
_PROCESS.cpu_percent()
psutil.cpu_percent()


def rss_bytes() -> int | None:
    """Resident memory of this process."""
    try:
        return int(_PROCESS.memory_info().rss)
    except psutil.Error:
        return None


def read_host() -> HostSnapshot:
    """One reading; percentages cover the time since the previous reading."""
    memory = psutil.virtual_memory()
    try:
        with _PROCESS.oneshot():
            cpu_percent, threads = _PROCESS.cpu_percent(), _PROCESS.num_threads()
    except psutil.Error:
        cpu_percent, threads = None, None
    return HostSnapshot(
        rss_bytes=rss_bytes(),
        total_bytes=int(memory.total),
        available_bytes=int(memory.available),
        cpu_percent=cpu_percent,
        machine_cpu_percent=psutil.cpu_percent(),
        cores=os.cpu_count(),
        threads=threads,
    )

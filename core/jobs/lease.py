"""Who works on a job: a token that names the process, and how to tell that the process is gone."""

from __future__ import annotations

import os
import socket
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

LEASE_S = 30.0
"""A process silent for so long has lost its jobs; it says that it lives far more often."""

BOOT = Path("/proc/sys/kernel/random/boot_id")


def process_start(pid: int) -> str:
    """What tells a process from all others that had or will have its number; empty when there is none.

    The boot of the machine and the ticks since: when a process began by the clock would change with the clock.
    """
    return _state_and_start(pid)[1]


def is_running(pid: int, started: str) -> bool:
    """Whether the process of that number and start works: a zombie works no more."""
    state, start = _state_and_start(pid)
    return start == started != "" and state not in "ZX"


def _state_and_start(pid: int) -> tuple[str, str]:
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return "", ""
    return state, f"{BOOT.read_text('ascii')[:8]}+{rest[18]}"


def make_owner() -> str:
    """A token for one stretch of work: host, process, its start, and something that occurs once."""
    pid = os.getpid()
    return f"{socket.gethostname()}/{pid}/{process_start(pid)}/{uuid.uuid4().hex[:12]}"


def is_gone(owner: str, heartbeat_at: datetime | None) -> bool:
    """Whether the process behind a token has ended or been silent for too long.

    A process of this machine is known to have ended at once; of another one only its silence tells. Words from a far
    future are old ones too: the clock was set back since. A wrong guess costs time only: what the old owner finds is
    refused.
    """
    if heartbeat_at is None or abs(datetime.now(UTC) - heartbeat_at) > timedelta(seconds=LEASE_S):
        return True
    host, pid, started, _ = owner.rsplit("/", 3)
    return host == socket.gethostname() and not is_running(int(pid), started)


class ClockWatch:
    """Notices that the clock was set, or that the machine slept: what others said before then says nothing now."""

    def __init__(self) -> None:
        self._seen: tuple[float, float] | None = None
        self._set_at: float | None = None

    def is_steady(self) -> bool:
        """Whether those who live have had the time to say so by the present clock; looks at it."""
        wall, steady = time.time(), time.monotonic()
        if self._seen is not None and abs((wall - self._seen[0]) - (steady - self._seen[1])) > LEASE_S / 3:
            self._set_at = steady
        self._seen = wall, steady
        return self._set_at is None or steady - self._set_at > LEASE_S / 3

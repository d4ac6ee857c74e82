"""Who works on a job: a token that names the process, and how to tell that the process is gone."""

from __future__ import annotations

import os
import socket
import uuid
from datetime import UTC, datetime, timedelta

import psutil

LEASE_S = 30.0
"""A process silent for so long has lost its jobs; it says that it lives far more often."""

# Two readings of when a process began differ by less; a number given to another process later differs by more.
SAME_START_S = 2.0


def make_owner() -> str:
    """A token for one stretch of work: host, process, its start, and something that occurs once."""
    pid = os.getpid()
    return f"{socket.gethostname()}/{pid}/{psutil.Process(pid).create_time():.2f}/{uuid.uuid4().hex[:12]}"


def is_gone(owner: str, heartbeat_at: datetime | None) -> bool:
    """Whether the process behind a token has ended or been silent for too long.

    A process of this machine is known to have ended at once; of another one only its silence tells. A wrong guess
    costs time only: what the old owner finds is refused.
    """
    if heartbeat_at is None or datetime.now(UTC) - heartbeat_at > timedelta(seconds=LEASE_S):
        return True
    host, pid, started, _ = owner.rsplit("/", 3)
    if host != socket.gethostname():
        return False
    try:
        process = psutil.Process(int(pid))
        same = abs(process.create_time() - float(started)) < SAME_START_S
        return not same or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False

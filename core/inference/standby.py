"""Processes for the network: started with a socket to talk over, on demand or before it is known what they will load.

Knows nothing of torch, so that a program can start one first of all: both processes then import at the same time.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO

from core.config import ROOT, Settings

NVIDIA = Path("/dev/nvidiactl")
"""There where a card may be used; on other systems nothing is started ahead."""


@dataclass(frozen=True, slots=True)
class Started:
    """A process that waits to be told what to load; it ends when the connection closes."""

    process: subprocess.Popen[bytes]
    connection: Connection
    stderr: IO[bytes]


_ahead: list[Started] = []


def start() -> Started:
    """Start a process."""
    ours, theirs = socket.socketpair()
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
        f"from core.inference.worker import main; main({theirs.fileno()})"
    )
    stderr = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            pass_fds=(theirs.fileno(),),
        )
    return Started(process, Connection(ours.detach()), stderr)


def start_ahead(settings: Settings) -> bool:
    """Start a process now that `take` will give, if the settings will need one; whether it was started."""
    wanted = settings.worker == "process" or (
        settings.worker == "auto" and settings.device != "cpu" and NVIDIA.exists()
    )
    if wanted and sys.platform != "win32" and not _ahead:
        _ahead.append(start())
        return True
    return False


def take() -> Started:
    """The process that was started ahead, while it lives, else a new one."""
    while _ahead:
        started = _ahead.pop()
        if started.process.poll() is None:
            return started
        end(started)
    return start()


def dismiss() -> None:
    """End what was started ahead and is not needed."""
    while _ahead:
        end(_ahead.pop())


def end(started: Started, *, within_s: float = 5.0) -> None:
    """Close the connection, upon which the process ends; one that does not is killed."""
    started.connection.close()
    try:
        started.process.wait(within_s)
    except subprocess.TimeoutExpired:
        started.process.kill()
        started.process.wait()
    started.stderr.close()

"""The process that holds the network for another one: loads once, answers until the other end of the socket closes."""

from __future__ import annotations

import pickle
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any

from core.errors import RexError
from core.gpu.records import TorchMemory
from core.gpu.tenant import TenantStatus
from core.inference.owner import LocalOwner, from_settings

REPORT_EVERY_S = 1.0
"""How old the figures for the screens may become while batches run."""

FAULTS = ("CUDA error", "CUDA driver error", "CUBLAS_STATUS", "CUDNN_STATUS", "device-side assert")
"""What the messages of a card that no longer answers begin with or hold; only a new process helps."""


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of the process, for the screens."""

    cards: dict[str, TorchMemory] | None
    status: TenantStatus | None


@dataclass(frozen=True, slots=True)
class Reply:
    """The process's answer: `value`, or `error` in its place; `fault`: the process is lost and ends."""

    value: Any = None
    error: Exception | None = None
    fault: bool = False
    events: tuple[tuple[str, str], ...] = ()
    report: Report | None = None


def main(descriptor: int) -> None:
    """The process: load once, answer until the other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then closes the socket
    events: list[tuple[str, str]] = []
    with Connection(descriptor) as connection:
        owner: LocalOwner | None = None
        told = 0.0
        while True:
            try:
                # Only the process that started this one holds the other end.
                verb, value = pickle.loads(connection.recv_bytes())
            except (EOFError, OSError):
                return
            if verb == "begin":
                owner = LocalOwner(from_settings(value), record=lambda kind, text: events.append((kind, text)))
            assert owner is not None
            reply = _reply(owner, verb, value)
            if verb != "run" or time.monotonic() > told + REPORT_EVERY_S:
                reply = replace(reply, report=Report(owner.cards(), owner.status()))
                told = time.monotonic()
            connection.send_bytes(pickle.dumps(replace(reply, events=tuple(events)), protocol=5))
            events.clear()
            if reply.fault:
                return


def _reply(owner: LocalOwner, verb: str, value: Any) -> Reply:
    actions: dict[str, Callable[[], Any]] = {
        "begin": owner.load,
        "run": lambda: owner.run(value),
        "memory": owner.memory,
        "new_window": owner.new_window,
        "flush": owner.flush,
        "trim": owner.trim,
    }
    try:
        return Reply(value=actions[verb]())
    except RexError as error:
        return Reply(error=error)
    except Exception as error:
        # Errors of libraries need not survive the way: their name and words do.
        return Reply(error=RuntimeError(f"{type(error).__name__}: {error}"), fault=is_fault(error))


def is_fault(error: Exception) -> bool:
    """Whether the card's context is lost, which no later call in this process survives."""
    names = {one.__name__ for one in type(error).__mro__}
    return "OutOfMemoryError" not in names and (
        "AcceleratorError" in names or any(sign in str(error) for sign in FAULTS)
    )

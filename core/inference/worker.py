"""The process that holds the network for another one: loads once, answers until the other end of the socket closes.

Three threads, so that the card waits for none of the rest: one reads and lays out what comes, one runs the network,
one matches and sends what it found.
"""

from __future__ import annotations

import pickle
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from core.errors import RexError
from core.gpu.records import TorchMemory
from core.gpu.tenant import TenantStatus
from core.inference.matching import match
from core.inference.owner import LocalOwner, from_settings
from core.inference.packing import Packed, lay_out

RECALL = "recall"
"""Asks for nothing: batches that have not begun come back as they are."""

REPORT_EVERY_S = 1.0
"""How old the figures for the screens may become while batches run."""

SWITCH_S = 0.0005
"""How long the other threads keep the interpreter from the one that feeds the card; Python's own is ten times that."""

SEND_S = 10.0
"""How long the last answer may take to be sent."""

FAULTS = ("CUDA error", "CUDA driver error", "CUBLAS_STATUS", "CUDNN_STATUS", "device-side assert")
"""What the messages of a card that no longer answers begin with or hold; only a new process helps."""


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of the process, for the screens."""

    cards: dict[str, TorchMemory] | None
    status: TenantStatus | None


@dataclass(frozen=True, slots=True)
class Reply:
    """The process's answer: `value`, or `error` in its place; `fault`: the process is lost and ends.

    recalled: the batch was not begun.
    """

    value: Any = None
    error: Exception | None = None
    fault: bool = False
    recalled: bool = False
    events: tuple[tuple[str, str], ...] = ()
    report: Report | None = None


class Inbox:
    """What was asked and has not begun, in order."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, Any]] = deque()
        self._changed = threading.Condition()
        self._busy = self._closed = False

    def listen(self, connection: Connection) -> None:
        """Take in what comes until the other end closes."""
        try:
            while True:
                # Only the process that started this one holds the other end.
                verb, value = pickle.loads(connection.recv_bytes())
                if verb == "run":
                    value = _laid_out(value)
                with self._changed:
                    if verb == RECALL:
                        self._recall()
                    else:
                        self._waiting.append((verb, value))
                        self._changed.notify()
        except (EOFError, OSError):
            pass
        finally:
            with self._changed:
                self._closed = True
                self._changed.notify()

    def take(self) -> tuple[str, Any] | None:
        """Wait for the next; None once the other end has closed."""
        with self._changed:
            self._busy = False
            self._changed.wait_for(lambda: self._waiting or self._closed)
            self._busy = True
            return None if self._closed else self._waiting.popleft()

    def _recall(self) -> None:
        for place in range(0 if self._busy else 1, len(self._waiting)):  # the first is as good as begun
            if self._waiting[place][0] == "run":
                self._waiting[place] = (RECALL, None)


def main(descriptor: int) -> None:
    """The process: load once, answer until the other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then closes the socket
    sys.setswitchinterval(SWITCH_S)
    inbox, answers = Inbox(), SimpleQueue[tuple[Reply, Packed | None] | None]()
    with Connection(descriptor) as connection:
        threading.Thread(target=inbox.listen, args=(connection,), daemon=True).start()
        sender = threading.Thread(target=_send, args=(connection, answers), daemon=True)
        sender.start()
        _serve(inbox, answers)
        answers.put(None)
        sender.join(SEND_S)


def _serve(inbox: Inbox, answers: SimpleQueue[tuple[Reply, Packed | None] | None]) -> None:
    """Do what is asked, one after the other, until nobody asks any more or the card is lost."""
    events: list[tuple[str, str]] = []
    owner: LocalOwner | None = None
    told = 0.0
    while (asked := inbox.take()) is not None:
        verb, value = asked
        if verb == "begin":
            owner = LocalOwner(from_settings(value), record=lambda kind, text: events.append((kind, text)))
        assert owner is not None
        reply = _reply(owner, verb, value)
        if verb != "run" or time.monotonic() > told + REPORT_EVERY_S:
            reply = replace(reply, report=Report(owner.cards(), owner.status()))
            told = time.monotonic()
        answers.put((replace(reply, events=tuple(events)), value if verb == "run" else None))
        events.clear()
        if reply.fault:
            return


def _send(connection: Connection, answers: SimpleQueue[tuple[Reply, Packed | None] | None]) -> None:
    """Send the answers in their order, what a batch gave with its links matched."""
    while (answer := answers.get()) is not None:
        reply, packed = answer
        if packed is not None and reply.error is None:
            raw = reply.value
            matched = _attempt(lambda raw=raw, packed=packed: match(raw, packed))  # type: ignore[misc]
            reply = replace(reply, value=matched.value, error=matched.error, fault=matched.fault)
        try:
            connection.send_bytes(pickle.dumps(reply, protocol=5))
        except OSError:
            return  # nobody listens any more, which the one who reads finds out too


def _laid_out(value: Any) -> Packed | Exception:
    try:
        return lay_out(value)
    except Exception as error:  # told as the answer, in its turn
        return error


def _whole(value: Packed | Exception) -> Packed:
    if isinstance(value, Exception):
        raise value
    return value


def _reply(owner: LocalOwner, verb: str, value: Any) -> Reply:
    if verb == RECALL:
        return Reply(recalled=True)
    actions: dict[str, Callable[[], Any]] = {
        "begin": owner.load,
        "run": lambda: owner.compute(_whole(value)),
        "memory": owner.memory,
        "new_window": owner.new_window,
        "flush": owner.flush,
        "trim": owner.trim,
    }
    return _attempt(actions[verb])


def _attempt(action: Callable[[], Any]) -> Reply:
    try:
        return Reply(value=action())
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

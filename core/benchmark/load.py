"""Callers: one after the other, many at once, or arriving by the clock whether or not the last was answered."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue

import numpy as np

Ask = Callable[[int], None]
"""Sends request number n and returns when it is answered; raises when it is not."""


@dataclass(frozen=True, slots=True)
class Load:
    """latencies_s: of the answered requests; failures: what the others raised; wall_s: first to last."""

    latencies_s: tuple[float, ...]
    failures: tuple[str, ...]
    wall_s: float

    @property
    def per_s(self) -> float:
        """Answers a second."""
        return len(self.latencies_s) / self.wall_s

    def quantile_ms(self, share: float) -> float | None:
        """A quantile of the latencies, None without answers."""
        return float(np.quantile(self.latencies_s, share)) * 1000 if self.latencies_s else None


def one_by_one(ask: Ask, count: int) -> Load:
    """Requests 0 … count − 1, each after the answer to the last."""
    return closed_loop(ask, count, clients=1)


def closed_loop(ask: Ask, count: int, *, clients: int) -> Load:
    """`clients` callers share the requests; each sends its next when it has an answer.

    Hides stalls, since nobody asks during one: a figure beside the open loop, not instead of it.
    """
    numbers = iter(range(count))
    lock = threading.Lock()
    begun = time.perf_counter()
    answered: list[float] = []
    failures: list[str] = []

    def client() -> None:
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            _timed(ask, number, time.perf_counter(), answered=answered, failures=failures)

    threads = [threading.Thread(target=client, daemon=True) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Load(tuple(answered), tuple(failures), time.perf_counter() - begun)


def open_loop(ask: Ask, schedule: Sequence[float] | np.ndarray, *, threads: int = 256) -> Load:
    """Requests at set times (seconds after the start), latency counted from the set time.

    Time spent waiting for one of the `threads` callers counts as latency too.
    """
    answered: list[float] = []
    failures: list[str] = []
    waiting: SimpleQueue[tuple[int, float] | None] = SimpleQueue()  # futures would cost as much as a request

    def caller() -> None:
        while (request := waiting.get()) is not None:
            _timed(ask, *request, answered=answered, failures=failures)

    callers = [threading.Thread(target=caller, daemon=True) for _ in range(min(threads, len(schedule)))]
    for thread in callers:
        thread.start()
    begun = time.perf_counter()
    for number, at in enumerate(schedule):
        due = begun + float(at)
        wait = due - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        waiting.put((number, due))
    for _ in callers:
        waiting.put(None)
    for thread in callers:
        thread.join()
    return Load(tuple(answered), tuple(failures), time.perf_counter() - begun)


def telling(ask: Ask, tell: Callable[[int], None], *, every_s: float = 5.0) -> Ask:
    """The same requests; `tell` hears every few seconds how many have been answered."""
    lock = threading.Lock()
    done, told = 0, time.monotonic()

    def asked(number: int) -> None:
        nonlocal done, told
        try:
            ask(number)
        finally:
            with lock:
                done += 1
                due = time.monotonic() > told + every_s
                if due:
                    told, so_far = time.monotonic(), done
            if due:
                tell(so_far)

    return asked


def _timed(ask: Ask, number: int, due: float, *, answered: list[float], failures: list[str]) -> None:
    """list.append is atomic, so the lists need no lock."""
    try:
        ask(number)
    except Exception as error:  # whatever went wrong is a lost request, and the others go on
        failures.append(f"{type(error).__name__}: {error}")
    else:
        answered.append(time.perf_counter() - due)

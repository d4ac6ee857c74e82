"""Work in the background of this process that somebody watches: a download, a check, a comparison."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.errors import BusyError, Cancelled, RexError

RUNNING, DONE, FAILED, CANCELLED = "running", "done", "failed", "cancelled"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far: `done` of `total` (0 while that is unknown), and what it is busy with."""

    done: float = 0.0
    total: float = 0.0
    what: str = ""

    @property
    def share(self) -> float:
        """In [0, 1]."""
        return min(self.done / self.total, 1.0) if self.total else 0.0


class Work:
    """One piece of work on a thread of its own; read its fields from any thread."""

    def __init__(self, name: str, action: Callable[[Work], Any], *, about: str = "") -> None:
        self.name, self.about = name, about
        self.state = RUNNING
        self.progress = Progress()
        self.result: Any = None
        self.error = ""
        self.began = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(action,), name=name, daemon=True)

    def start(self) -> Work:
        """Begin; returns itself."""
        self._thread.start()
        return self

    def cancel(self) -> None:
        """Ask it to stop; it does so soon."""
        self._stop.set()

    def cancelled(self) -> bool:
        """Whether it was asked to stop."""
        return self._stop.is_set()

    def tell(self, done: float, total: float, what: str = "") -> None:
        """Say how far it is."""
        self.progress = Progress(done, total, what)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the end; whether it came."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self, action: Callable[[Work], Any]) -> None:
        try:
            self.result = action(self)
            self.state = DONE
        except Cancelled:
            self.state = CANCELLED
        except RexError as error:
            self.error, self.state = str(error), FAILED
        except Exception as error:  # a thread must not end without a word
            self.error, self.state = f"程序出错：{type(error).__name__}: {error}", FAILED


class Works:
    """The works of this process, the last of each name; every session sees them."""

    def __init__(self) -> None:
        self._works: dict[str, Work] = {}
        self._lock = threading.Lock()

    def start(self, name: str, action: Callable[[Work], Any], *, about: str = "") -> Work:
        """Begin one. Raises BusyError while one of that name runs."""
        with self._lock:
            last = self._works.get(name)
            if last is not None and last.state == RUNNING:
                raise BusyError("同样的工作正在进行：请等它结束，或先取消它")
            self._works[name] = work = Work(name, action, about=about)
        return work.start()

    def last(self, name: str) -> Work | None:
        """The running or the last one of a name."""
        return self._works.get(name)

    def forget(self, name: str) -> None:
        """Drop one that has ended."""
        with self._lock:
            if name in self._works and self._works[name].state != RUNNING:
                del self._works[name]

    def close(self, timeout_s: float = 5.0) -> None:
        """Stop them all."""
        for work in list(self._works.values()):
            work.cancel()
        for work in list(self._works.values()):
            work.wait(timeout_s)

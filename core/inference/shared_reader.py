"""Many callers with one short document each: one thread reads for all of them, and each waits for its answer alone.

Where every caller reads its own document, a hundred threads take turns at one interpreter, at every step anew, and the
turns cost three times what reading does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

from core.errors import Cancelled, GpuMemoryError, RexError
from core.inference.documents import DocumentRun, Item, unread
from core.inference.prompts import Prompt
from core.inference.queueing import Ticket
from core.inference.scheduler import Scheduler
from core.types import AnnotatedDocument, Reading

POLL_S = 0.05
"""How often one who waits looks whether it was cancelled."""


def never() -> bool:
    """The `cancelled` of those who wait as long as it takes, which nobody needs to ask again and again."""
    return False


class Errand:
    """A document that somebody waits for; threshold: the probability that a link must exceed."""

    def __init__(self, item: Item, run: DocumentRun, *, threshold: float, client: str) -> None:
        self.item, self.run, self.threshold, self.client = item, run, threshold, client
        self.ended = threading.Lock()
        self.ended.acquire()
        self.result: AnnotatedDocument | None = None
        self.error: BaseException | None = None
        self.ticket: Ticket | None = None
        self.step, self.sent_at = 0, 0.0
        self.gone = False  # nobody waits any more
        self.over = False

    def reading(self) -> Reading | None:
        """How far it is with the level that it waits for."""
        ticket = self.ticket
        if ticket is None:
            return None
        return Reading(1, self.step, ticket.answered, len(ticket.prompts), time.monotonic() - self.sent_at)


class SharedReader:
    """Reads documents step by step for all who wait; its thread starts with the first. Safe to share."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._ready: SimpleQueue[Errand | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._open = 0
        self._closed = False
        self._thread: threading.Thread | None = None

    def read(self, errand: Errand, *, cancelled: Callable[[], bool] = never) -> AnnotatedDocument:
        """Read a document before all that is not urgent, and wait for the result; one that cannot be read has `error`.

        Raises Cancelled soon after `cancelled()` is true, BusyError when too much waits, and what stops the device.
        """
        if cancelled():
            raise Cancelled("已取消")
        with self._lock:
            if self._closed:
                raise Cancelled("已取消：程序正在关闭")
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="shared-reader", daemon=True)
                self._thread.start()
            self._open += 1
        self._ready.put(errand)
        try:
            while not errand.ended.acquire(timeout=-1 if cancelled is never else POLL_S):
                if cancelled():
                    raise Cancelled("已取消")
        except BaseException:
            errand.gone = True
            ticket = errand.ticket
            if ticket is not None:
                ticket.cancel()
            raise
        if errand.error is not None:
            raise errand.error
        assert errand.result is not None
        return errand.result

    def busy(self) -> bool:
        """Whether a document waits for its next step."""
        return not self._ready.empty()

    def close(self) -> None:
        """Take nothing more; the thread ends when nobody waits."""
        with self._lock:
            self._closed = True
        self._ready.put(None)

    def _work(self) -> None:
        while True:
            errand = self._ready.get()
            if errand is not None and not errand.over and self._step(errand):
                errand.over = True  # one that was cancelled may come twice
                errand.ticket = None  # which holds the errand in turn
                with self._lock:
                    self._open -= 1
            if self._closed and not self._open:
                return
            errand = None  # the last document is not kept while nothing comes

    def _step(self, errand: Errand) -> bool:
        """Take a document to its next prompts or to its end; whether it has ended."""
        try:
            if errand.gone or self._asks(errand):
                return errand.gone
        except GpuMemoryError as error:
            errand.result = unread(errand.item, error)
        except BaseException as error:  # whatever it was, the one who waits must hear of it
            errand.error = error
        errand.ended.release()
        return True

    def _asks(self, errand: Errand) -> bool:
        """Whether the document has asked something more, else it has its result."""
        fired = None if errand.ticket is None else errand.ticket.result()
        while True:
            try:
                prompts: list[Prompt] = errand.run.send(fired)  # type: ignore[arg-type]
            except StopIteration as stop:
                errand.result = stop.value
                return False
            except RexError as error:
                errand.result = unread(errand.item, error)
                return False
            if prompts:
                break
            fired = []
        errand.step, errand.sent_at = errand.step + 1, time.monotonic()
        errand.ticket = self._scheduler.submit(
            prompts,
            [errand.threshold] * len(prompts),
            client=errand.client,
            urgent=True,
            wait=errand.ticket is not None,  # only the first prompts may be refused
            cancelled=lambda: errand.gone,
            ended=lambda: self._ready.put(errand),
        )
        if errand.gone:
            errand.ticket.cancel()
        return True

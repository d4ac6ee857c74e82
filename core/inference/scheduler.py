"""Many callers, one device: a thread that forms batches of everything that waits and hands them to the owner.

While the device works on one batch the thread prepares the next; an urgent request that comes meanwhile goes first,
so that it waits for the batch in flight and for nothing else. On the CPU, where a batch of a job takes ten times as
long as a sentence, it waits for a third of a layer of that batch only: there the batch pauses while urgent ones run.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from core.errors import BusyError, Cancelled, GpuMemoryError
from core.inference.batching import MAX_PAIR_CELLS
from core.inference.matching import Matched, unpack
from core.inference.owner import DeviceOwner, OwnerInfo, Recalled, Record
from core.inference.packing import Ragged, line_up
from core.inference.prompts import Prompt
from core.inference.queueing import Piece, Ticket, WaitingRoom
from core.telemetry.measures import batch_read

GATHER_S, GATHERINGS = 0.001, 2
"""How long, and how often, the device waits for prompts that somebody prepares just now."""

Result = TypeVar("Result")
POLL_S = 0.1
"""How often one who waits for room in the queue looks whether it was cancelled."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Prompts of some tickets, in the form that is sent."""

    pieces: list[Piece]
    urgent: bool
    sent: Ragged

    @property
    def tickets(self) -> list[Ticket]:
        """Whose prompts these are, each once."""
        return _tickets(self.pieces)


def _tickets(pieces: Sequence[Piece]) -> list[Ticket]:
    return list({id(piece.ticket): piece.ticket for piece in pieces}.values())


@dataclass(slots=True)
class Chore:
    """Something done once in every pause of at least `after_s` seconds; 0: never."""

    after_s: float
    action: Callable[[], None]
    done: bool = True


class Scheduler:
    """The only user of a device owner; safe to share between threads. Its thread starts with the first request.

    batch_tokens: padding included; 0: `load` must be called before the first request, and asks the profile.
    """

    def __init__(
        self,
        owner: DeviceOwner,
        *,
        pad_id: int,
        batch_tokens: int = 0,
        max_pairs: int = MAX_PAIR_CELLS,
        queue_tokens: int = 2_000_000,
        trim_after_s: float = 0.0,
        unload_after_s: float = 0.0,
        record: Record = lambda kind, text: None,
    ) -> None:
        self.owner = owner
        self.pad_id, self.batch_tokens, self.queue_tokens = pad_id, batch_tokens, queue_tokens
        self._record, self._max_pairs = record, max_pairs
        self._room = WaitingRoom(batch_tokens=batch_tokens, max_pairs=max_pairs)
        self._tasks: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._upcoming: Batch | None = None
        self._flying: deque[Batch] = deque()
        self._idle_since = time.monotonic()
        self.coming: Callable[[], bool] = lambda: False  # whether more prompts are prepared just now
        self.used_at: float | None = None  # time.monotonic() when a batch was answered last
        self._chores = [Chore(trim_after_s, owner.trim), Chore(unload_after_s, self._unload_idle)]

    def load(self) -> OwnerInfo:
        """Load the network unless it is loaded; without a given number the profile decides the tokens of a batch.

        On the thread that will use it: a second thread with arithmetic of its own makes OpenMP put its workers to
        sleep between any two steps, which doubles the time of a pass on the CPU.
        """
        info = self.between(self.owner.load)
        if not self.batch_tokens:
            with self._changed:
                self.batch_tokens = info.profile.batch_tokens
                self._room = WaitingRoom(batch_tokens=self.batch_tokens, max_pairs=self._max_pairs)
        return info

    @property
    def waiting_tokens(self) -> int:
        """Tokens that wait for the device, without the batch in flight."""
        with self._changed:
            return self._room.tokens

    def submit(
        self,
        prompts: Sequence[Prompt],
        thresholds: Sequence[float],
        *,
        client: str,
        urgent: bool,
        wait: bool | None = None,
        cancelled: Callable[[], bool] = lambda: False,
        ended: Callable[[], None] = lambda: None,
    ) -> Ticket:
        """Queue prompts, each with the probability that a link must exceed; returns at once while there is room.

        Where too many tokens wait, an urgent call raises BusyError and another one waits for room, raising Cancelled
        when `cancelled()` is true; `wait` chooses otherwise. Urgent calls count urgent tokens only: the others do
        not hold them up. `ended` is called when the ticket has, by whoever ends it.
        """
        ticket = Ticket(prompts, thresholds, client=client, urgent=urgent, withdraw=self._withdraw, ended=ended)
        with self._changed:
            while self._is_full(ticket):
                if not (not urgent if wait is None else wait):
                    raise BusyError(
                        f"模型正忙：已有 {self._room.urgent.tokens} 个词元在等待"
                        f"（上限 {self.queue_tokens}，可用 REX_QUEUE_TOKENS 调整）。请稍后再试"
                    )
                if cancelled():
                    raise Cancelled("已取消")
                self._changed.wait(POLL_S)
            self._refuse_when_closed()
            if prompts:
                self._room.lane(urgent=urgent).add(ticket)
                self._wake()
        if urgent:
            self._recall()
        return ticket

    def between(self, function: Callable[[], Result]) -> Result:
        """Call a function while no batch runs, on the thread that owns the device; returns or raises what it does."""
        future: Future[Result] = Future()
        with self._changed:
            self._refuse_when_closed()
            self._tasks.append((function, future))
            self._wake()
        return future.result()

    def close(self, timeout_s: float = 10.0) -> None:
        """Cancel what waits, end the thread after the batch in flight, close the owner."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)
        self.owner.close()

    def _is_full(self, ticket: Ticket) -> bool:
        waiting = self._room.urgent.tokens if ticket.urgent else self._room.tokens
        return not self._closed and waiting > 0 and waiting + ticket.tokens > self.queue_tokens

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise Cancelled("已取消：程序正在关闭")

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="device-owner", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _withdraw(self, ticket: Ticket) -> None:
        with self._changed:
            self._room.lane(urgent=ticket.urgent).drop(ticket)
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            while self._flying or self._rest():
                self._prepare()
                self._send_ahead()
                landed = self._flying[0] if self._flying else None
                outcome = None if landed is None else self._outcome(landed)
                if landed is not None:
                    self._flying.popleft()
                if isinstance(outcome, Recalled) and landed is not None:
                    self._take_back(landed)
                if not self._flying:
                    self._do_tasks()
                    self._gather()
                    upcoming, self._upcoming = self._reconsider(self._upcoming), None
                    if upcoming is not None:
                        self._flying.append(upcoming)
                        self.owner.start(upcoming.sent)
                self._send_ahead()
                if landed is not None and outcome is not None and not isinstance(outcome, Recalled):
                    self._deliver(landed, outcome)
        finally:
            self._abandon([ticket for batch in self._flying for ticket in batch.tickets])

    def _gather(self) -> None:
        """Give those who prepare prompts just now a moment: one batch of many costs hardly more than one of a few."""
        for _ in range(GATHERINGS if self._upcoming is None else 0):
            if self._closed or not self.coming():
                return
            time.sleep(GATHER_S)

    def _prepare(self) -> None:
        """Choose what follows while the device works, unless it is little: that will have grown meanwhile."""
        if self._upcoming is None:
            with self._changed:
                waiting = self._room.urgent.tokens or self._room.jobs.tokens
            if 2 * waiting >= self.batch_tokens:
                self._upcoming = self._choose()

    def _send_ahead(self) -> None:
        """Where the owner takes a batch behind the one that runs, give it one that nothing could make better.

        So the device goes from one to the next by itself. Something urgent that comes meanwhile calls it back.
        """
        batch = self._upcoming
        with self._changed:
            if batch is None or not 0 < len(self._flying) < self.owner.depth:
                return
            small = 2 * batch.sent.tokens < self.batch_tokens
            if small or batch.urgent or self._tasks or not self._is_still_best(batch):
                return
            self._flying.append(batch)
            self._upcoming = None
        self.owner.start(batch.sent)
        self._recall()

    def _recall(self) -> None:
        """Nothing that is begun only in name may stand before something urgent."""
        if len(self._flying) > 1 and self._room.urgent.tokens:
            self.owner.recall()

    def _take_back(self, recalled: Batch) -> None:
        """What was called back goes before what was to follow it."""
        with self._changed:
            for batch in (self._upcoming, recalled):
                if batch is not None:
                    self._room.lane(urgent=batch.urgent).put_back(batch.pieces)
            self._upcoming = None

    def _rest(self) -> bool:
        """Wait for something to do, with the chores of a pause; False once closed."""
        self._idle_since = time.monotonic()
        while True:
            with self._changed:
                if self._closed:
                    return False
                if self._room.tokens or self._tasks:
                    return True
                due = [c.after_s + self._idle_since - time.monotonic() for c in self._chores if not c.done]
                if not due or min(due) > 0:
                    self._changed.wait(min(due) if due else None)
                    continue
            for chore in self._chores:
                if not chore.done and time.monotonic() >= chore.after_s + self._idle_since:
                    chore.done = True
                    self._attempt(chore.action)

    def _attempt(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # nobody waits for a chore: it is only told
            self._record("error", f"{type(error).__name__}: {error}")

    def _unload_idle(self) -> None:
        if self.owner.loaded:
            self.owner.unload()

    def _choose(self, *, only_urgent: bool = False) -> Batch | None:
        """The next batch, ready to be sent; prompts that cannot be sent fail their tickets."""
        while True:
            with self._changed:
                if self._closed:
                    return None
                pieces = self._room.urgent.next() if only_urgent else self._room.next()
                self._changed.notify_all()  # there is room for those who wait to submit
            if not pieces:
                return None
            try:
                prompts = [piece.prompt for piece in pieces]
                thresholds = [piece.ticket.thresholds[piece.number] for piece in pieces]
                return Batch(pieces, pieces[0].ticket.urgent, line_up(prompts, thresholds, pad_id=self.pad_id))
            except Exception as error:
                self._fail(pieces, error)

    def _reconsider(self, batch: Batch | None) -> Batch | None:
        """The batch chosen a while ago, or one that has become better meanwhile."""
        if batch is not None:
            with self._changed:
                if self._is_still_best(batch):
                    return batch
                self._room.lane(urgent=batch.urgent).put_back(batch.pieces)
        return self._choose()

    def _is_still_best(self, batch: Batch) -> bool:
        if self._closed or any(ticket.done() for ticket in batch.tickets):
            return False
        if not batch.urgent and self._room.urgent.tokens:
            return False
        may_grow = 2 * batch.sent.tokens < self.batch_tokens
        return not (may_grow and self._room.lane(urgent=batch.urgent).tokens)

    def _outcome(self, batch: Batch) -> Matched | Exception:
        try:
            return self.owner.finish(None if batch.urgent else self._let_pass)
        except Exception as error:  # whatever it was, those who wait for this batch must hear of it
            return error

    def _let_pass(self) -> None:
        """Answer all that is urgent while the batch in flight pauses."""
        while (batch := self._next_urgent()) is not None:
            try:
                outcome: Matched | Exception = self.owner.run(batch.sent)
            except Exception as error:
                outcome = error
            self._deliver(batch, outcome)

    def _next_urgent(self) -> Batch | None:
        if self._upcoming is not None and self._upcoming.urgent:
            batch, self._upcoming = self._upcoming, None
            return batch
        return self._choose(only_urgent=True)

    def _deliver(self, batch: Batch, outcome: Matched | Exception) -> None:
        self.used_at = time.monotonic()
        for chore in self._chores:
            chore.done = chore.after_s <= 0
        if not isinstance(outcome, Exception):
            try:
                found = unpack(outcome, [piece.prompt for piece in batch.pieces])
            except Exception as error:
                outcome = error
            else:
                for piece, fired in zip(batch.pieces, found, strict=True):
                    piece.ticket.fill(piece.number, fired)
                batch_read(sum([piece.tokens for piece in batch.pieces]))
                return
        self._fail(batch.pieces, outcome)

    def _fail(self, pieces: Sequence[Piece], error: Exception) -> None:
        """End the tickets of a batch; where one prompt was too much, only its own: the others go again."""
        with self._changed:
            failed = _tickets([pieces[error.row]] if isinstance(error, GpuMemoryError) else pieces)
            for ticket in failed:
                self._room.lane(urgent=ticket.urgent).drop(ticket)
                ticket.fail(error)
            self._room.lane(urgent=pieces[0].ticket.urgent).put_back(list(pieces))

    def _do_tasks(self) -> None:
        while True:
            with self._changed:
                if not self._tasks:
                    return
                function, future = self._tasks.popleft()
            try:
                future.set_result(function())
            except Exception as error:
                future.set_exception(error)

    def _abandon(self, flying: list[Ticket]) -> None:
        """Nobody may wait for ever on a thread that has ended."""
        closing = Cancelled("已取消：程序正在关闭")
        with self._changed:
            self._closed = True
            for ticket in [*flying, *self._room.clear()]:
                ticket.fail(closing)
            while self._tasks:
                self._tasks.popleft()[1].set_exception(closing)

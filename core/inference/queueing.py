"""What waits for the device, and which prompts share the next batch: urgent ones first, then clients in turn.

No thread, no lock, no clock: the scheduler guards it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from core.errors import Cancelled
from core.inference.batching import plan
from core.inference.decoding import Fired
from core.inference.prompts import Prompt

POOL_BATCHES = 4
"""Batches planned together: enough prompts to find neighbours of like length, few enough that clients alternate."""


class Ticket:
    """Prompts that somebody waits for; `result` gives what fired in each, in their order.

    `ended` is called once it has; of a ticket that is cancelled meanwhile, perhaps twice.
    """

    def __init__(
        self,
        prompts: Sequence[Prompt],
        thresholds: Sequence[float],
        *,
        client: str,
        urgent: bool,
        withdraw: Callable[[Ticket], None],
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        self.prompts, self.thresholds = prompts, thresholds
        self.client, self.urgent = client, urgent
        self.lengths = [len(prompt) for prompt in prompts]
        self.tokens = sum(self.lengths)
        self._withdraw, self._tell = withdraw, ended
        self._fired: list[Fired | None] = [None] * len(prompts)
        self._left = len(prompts)
        self._error: Exception | None = None
        self._ended = threading.Event()
        if not prompts:
            self._ended.set()

    def result(self, timeout_s: float | None = None) -> list[Fired]:
        """Wait; raises the error that its batch met, Cancelled, or TimeoutError when the time runs out first."""
        if not self._ended.wait(timeout_s):
            raise TimeoutError
        if self._error is not None:
            raise self._error
        return self._fired  # type: ignore[return-value]

    def wait(self, timeout_s: float) -> bool:
        """Whether it ended within that time."""
        return self._ended.wait(timeout_s)

    @property
    def answered(self) -> int:
        """How many of its prompts are."""
        return len(self.prompts) - self._left

    def done(self) -> bool:
        """Whether `result` would return or raise at once."""
        return self._ended.is_set()

    def cancel(self) -> None:
        """Leave the queue; `result` raises Cancelled unless it is there already."""
        self._withdraw(self)
        self.fail(Cancelled("已取消"))

    def fill(self, number: int, fired: Fired) -> None:
        """Keep what fired in one prompt; the last one ends the ticket."""
        self._fired[number] = fired
        self._left -= 1
        if not self._left:
            self._end()

    def fail(self, error: Exception) -> None:
        """End the ticket with an error, unless it has ended."""
        if not self._ended.is_set():
            self._error = error
            self._end()

    def _end(self) -> None:
        self._ended.set()
        self._tell()


@dataclass(frozen=True, slots=True)
class Piece:
    """One prompt of a ticket, with its length."""

    ticket: Ticket
    number: int
    prompt: Prompt
    tokens: int


class Lane:
    """Prompts of one urgency: clients get `batch_tokens` in turn (deficit round robin), in the order they asked."""

    def __init__(self, *, batch_tokens: int, max_pairs: int, pool_batches: int) -> None:
        self.batch_tokens, self.max_pairs = batch_tokens, max_pairs
        self._pool_tokens = pool_batches * batch_tokens
        self._clients: dict[str, deque[Piece]] = {}  # a dict keeps the order of the turns
        self._credit: dict[str, int] = {}
        self._planned: deque[list[Piece]] = deque()
        self.tokens = 0

    def add(self, ticket: Ticket) -> None:
        """Put the prompts of a ticket behind those of its client."""
        prompts = zip(ticket.prompts, ticket.lengths, strict=True)
        self._clients.setdefault(ticket.client, deque()).extend(
            [Piece(ticket, number, prompt, tokens) for number, (prompt, tokens) in enumerate(prompts)]
        )
        self.tokens += ticket.tokens

    def drop(self, ticket: Ticket) -> None:
        """Forget what still waits of a ticket."""
        kept = deque(piece for piece in self._clients.get(ticket.client, ()) if piece.ticket is not ticket)
        if kept:
            self._clients[ticket.client] = kept
        else:
            self._clients.pop(ticket.client, None)
            self._credit.pop(ticket.client, None)
        self._planned = _without(self._planned, ticket)
        self.tokens = sum(map(_tokens, (*self._clients.values(), *self._planned)))

    def next(self) -> list[Piece]:
        """The next batch, empty when nothing waits; what has waited longest is in it."""
        if len(self._planned) <= 1 and self._clients:
            # A batch left over is planned again with what came since, so that it does not run half empty.
            pool = [piece for batch in self._planned for piece in batch] + self._take()
            batches = plan([piece.tokens for piece in pool], budget=self.batch_tokens, max_pairs=self.max_pairs)
            self._planned = deque([pool[index] for index in batch] for batch in sorted(batches, key=min))
        if not self._planned:
            return []
        batch = self._planned.popleft()
        self.tokens -= _tokens(batch)
        return batch

    def put_back(self, batch: list[Piece]) -> None:
        """Undo `next`, leaving out what was cancelled meanwhile."""
        kept = [piece for piece in batch if not piece.ticket.done()]
        if kept:
            self._planned.appendleft(kept)
            self.tokens += _tokens(kept)

    def clear(self) -> list[Ticket]:
        """Forget everything; returns whose it was."""
        waiting = (*self._clients.values(), *self._planned)
        tickets = {id(piece.ticket): piece.ticket for batch in waiting for piece in batch}
        for ticket in tickets.values():
            self.drop(ticket)
        return list(tickets.values())

    def _take(self) -> list[Piece]:
        taken: list[Piece] = []
        room = self._pool_tokens - sum(map(_tokens, self._planned))
        while self._clients and room > 0:
            client, pieces = next(iter(self._clients.items()))
            credit = self._credit.get(client, 0) + self.batch_tokens
            while pieces and room > 0 and pieces[0].tokens <= credit:
                piece = pieces.popleft()
                credit -= piece.tokens
                room -= piece.tokens
                taken.append(piece)
            del self._clients[client]
            self._credit.pop(client, None)
            if pieces:  # behind the others, with what it could not spend
                self._clients[client], self._credit[client] = pieces, credit
        return taken


def _tokens(pieces: Iterable[Piece]) -> int:
    return sum([piece.tokens for piece in pieces])


def _without(batches: Iterable[list[Piece]], ticket: Ticket) -> deque[list[Piece]]:
    left = ([piece for piece in batch if piece.ticket is not ticket] for batch in batches)
    return deque(batch for batch in left if batch)


class WaitingRoom:
    """Two lanes: nothing of the second goes while something of the first waits."""

    def __init__(self, *, batch_tokens: int, max_pairs: int) -> None:
        # Urgent prompts are planned batch by batch, so that a long text does not hold up a short one.
        self.urgent = Lane(batch_tokens=batch_tokens, max_pairs=max_pairs, pool_batches=1)
        self.jobs = Lane(batch_tokens=batch_tokens, max_pairs=max_pairs, pool_batches=POOL_BATCHES)

    @property
    def tokens(self) -> int:
        """All that wait."""
        return self.urgent.tokens + self.jobs.tokens

    def lane(self, *, urgent: bool) -> Lane:
        """The lane of that urgency."""
        return self.urgent if urgent else self.jobs

    def next(self) -> list[Piece]:
        """The next batch, empty when nothing waits."""
        return self.urgent.next() or self.jobs.next()

    def clear(self) -> list[Ticket]:
        """Forget everything; returns whose it was."""
        return self.urgent.clear() + self.jobs.clear()

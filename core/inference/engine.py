"""The loop: documents become prompts, prompts wait for the device, answers become the next prompts or a result."""

from __future__ import annotations

import itertools
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice

from core.errors import Cancelled, GpuMemoryError, InputError, RexError
from core.inference.decoding import Fired
from core.inference.documents import DocumentRun, Item, link_limits, read_document, temperature, unread
from core.inference.owner import LocalOwner, OwnerInfo, hold
from core.inference.prompts import PieceEncoder, Prompt
from core.inference.queueing import POOL_BATCHES, Ticket
from core.inference.recursion import Limits, check_roots
from core.inference.scheduler import Scheduler
from core.inference.shared_reader import POLL_S, Errand, SharedReader, never
from core.model.checkpoint import Checkpoint, CheckpointFiles
from core.schemas.schema import Schema
from core.tasks import EXTRACT
from core.telemetry.measures import measured
from core.types import AnnotatedDocument, Reading

COHORTS = 3
"""Groups of documents on their way: one on the device, one waiting for it, one with the host."""

COHORT_BATCHES = POOL_BATCHES
"""Batches that a cohort fills: as many as the scheduler plans together, so that one ends while the next runs."""

SHORT_CHARACTERS = 512
"""Up to here a document that is urgent and alone is read by the thread of all such; a long one would hold it up."""

_calls = itertools.count(1)


@dataclass(slots=True)
class Call:
    """Who asks, and whether they still want to know; only the first prompts of an urgent call may be refused."""

    client: str
    urgent: bool
    cancelled: Callable[[], bool]
    admitted: bool = False

    def check(self) -> None:
        """Raise Cancelled once nobody wants to know."""
        if self.cancelled():
            raise Cancelled("已取消")


@dataclass(frozen=True, slots=True)
class Waiting:
    """Prompts on their way to the device; reading it waits for what fired in each."""

    ticket: Ticket
    call: Call

    def __iter__(self) -> Iterator[Fired]:
        self.call.check()
        while self.call.cancelled is not never and not self.ticket.wait(POLL_S):
            self.call.check()
        return iter(self.ticket.result())


@dataclass(frozen=True, slots=True)
class Member:
    """A document being read: the prompts that it needs answered next, those of its `step`-th level."""

    index: int
    item: Item
    run: DocumentRun
    needed: list[Prompt]
    step: int = 0


@dataclass(slots=True)
class Cohort:
    """Documents whose prompts travel together."""

    members: list[Member] = field(default_factory=list)
    waiting: Iterable[Fired] = ()
    sent_at: float = 0.0

    def reading(self) -> Reading | None:
        """How far it is with the level that it waits for."""
        members, waiting = self.members, self.waiting
        if not members or not isinstance(waiting, Waiting):
            return None
        step, ticket = max(member.step for member in members), waiting.ticket
        return Reading(len(members), step, ticket.answered, len(ticket.prompts), time.monotonic() - self.sent_at)

    @property
    def tokens(self) -> int:
        """Of all that they need."""
        return sum(len(prompt) for member in self.members for prompt in member.needed)

    def cancel(self) -> None:
        """Take the prompts out of the queue."""
        if isinstance(self.waiting, Waiting):
            self.waiting.ticket.cancel()


class Engine:
    """Reads documents with a network that somebody else owns; safe to share between threads.

    Without a scheduler of the application it makes its own, for a checkpoint that holds its weights.
    """

    def __init__(
        self,
        checkpoint: Checkpoint | CheckpointFiles,
        *,
        limits: Limits | None = None,
        batch_tokens: int = 0,
        scheduler: Scheduler | None = None,
    ) -> None:
        self.checkpoint = checkpoint
        self.limits = limits or Limits(max_groups=checkpoint.config.groups_per_hint)
        self.scheduler = scheduler or _own_scheduler(checkpoint, batch_tokens)
        if scheduler is None:
            weakref.finalize(self, self.scheduler.close)
        self._shared = SharedReader(self.scheduler)
        self.scheduler.coming = self._shared.busy
        weakref.finalize(self, self._shared.close)
        self.pieces = PieceEncoder(checkpoint.tokenizer)
        self._waited_for: dict[str, Cohort | Errand] = {}
        self._answering = 0
        self._answered = threading.Condition()

    def drained(self, timeout_s: float) -> bool:
        """Wait until nobody is being answered; whether that came before the time was over."""
        with self._answered:
            return self._answered.wait_for(lambda: not self._answering, timeout_s)

    def _count(self, change: int) -> None:
        with self._answered:
            self._answering += change
            self._answered.notify_all()

    @property
    def batch_tokens(self) -> int:
        """Tokens of a batch, padding included."""
        return self.scheduler.batch_tokens

    @property
    def info(self) -> OwnerInfo:
        """Device, number type and size of the network; loads it when it never was."""
        return self.scheduler.owner.info or self.scheduler.load()

    def reading(self, client: str) -> Reading | None:
        """How far the documents are that a client waits for now; None while it waits for none."""
        waited_for = self._waited_for.get(client)
        return None if waited_for is None else waited_for.reading()

    def check(self, schema: Schema) -> None:
        """Raise SchemaError when a root type is too long to be asked."""
        check_roots(schema, self.pieces, self.limits)

    def close(self) -> None:
        """Stop the scheduler and let the network go."""
        self.scheduler.close()
        self._shared.close()

    @measured
    def annotate(
        self,
        items: Iterable[Item],
        *,
        threshold: float | None = None,
        floor: float | None = None,
        cancelled: Callable[[], bool] = never,
        urgent: bool = False,
        client: str = "",
    ) -> Iterator[tuple[int, AnnotatedDocument]]:
        """Annotate documents, each with its own schema and task; yields (index in `items`, result) as they finish.

        A document that cannot be read yields a result with `error`; the others go on. Calls of one `client` share
        its turn; an `urgent` call goes before all that are not. Raises Cancelled soon after `cancelled()` is true,
        BusyError when too much urgent work waits already, and whatever stops the device.

        With a `floor`, what exceeds it but not the threshold is in the results as candidates; the findings stay the
        same.
        """
        limits = _with_thresholds(self.limits, threshold, floor)
        call = Call(client or f"call-{next(_calls)}", urgent, cancelled)
        if urgent and isinstance(items, Sequence) and len(items) == 1:
            (item,) = items
            if len(item.document.text) <= SHORT_CHARACTERS:
                yield 0, self._alone(item, limits, call)
                return
        coming = enumerate(items)
        flying: deque[Cohort] = deque()
        self._count(1)
        try:
            while True:
                while len(flying) < COHORTS:
                    cohort = Cohort()
                    yield from self._fill(cohort, coming, limits)
                    if not cohort.members:
                        break
                    self._send(cohort, limits, call)
                    flying.append(cohort)
                if not flying:
                    return
                cohort = flying.popleft()
                self._waited_for[call.client] = cohort
                try:
                    fired = iter(cohort.waiting)
                except GpuMemoryError as error:
                    if len(cohort.members) == 1:
                        yield _failed(cohort.members[0], error)
                        continue
                    for member in cohort.members:  # one of them was too much: which one shows when they go alone
                        flying.append(Cohort([member]))
                        self._send(flying[-1], limits, call)
                    continue
                members, cohort.members = cohort.members, []
                for member in members:
                    yield from self._advance(cohort, member, list(islice(fired, len(member.needed))))
                yield from self._fill(cohort, coming, limits)
                if cohort.members:
                    self._send(cohort, limits, call)
                    flying.append(cohort)
        finally:
            self._count(-1)
            self._waited_for.pop(call.client, None)
            for cohort in flying:
                cohort.cancel()

    def _alone(self, item: Item, limits: Limits, call: Call) -> AnnotatedDocument:
        """The result of one document, read by the thread that reads for all who have just one."""
        errand = Errand(item, self._begin(item, limits), threshold=self._bar(item, limits), client=call.client)
        self._count(1)
        self._waited_for[call.client] = errand
        try:
            return self._shared.read(errand, cancelled=call.cancelled)
        finally:
            self._count(-1)
            self._waited_for.pop(call.client, None)

    def _fill(
        self, cohort: Cohort, coming: Iterator[tuple[int, Item]], limits: Limits
    ) -> Iterator[tuple[int, AnnotatedDocument]]:
        """Begin documents until the cohort has its size; yields those that end at once, as blank ones do."""
        tokens = cohort.tokens
        while tokens < COHORT_BATCHES * self.batch_tokens and (following := next(coming, None)) is not None:
            index, item = following
            begun = len(cohort.members)
            yield from self._advance(cohort, Member(index, item, self._begin(item, limits), []), None)
            tokens += sum(len(prompt) for member in cohort.members[begun:] for prompt in member.needed)

    def _begin(self, item: Item, limits: Limits) -> DocumentRun:
        return read_document(item, self.pieces, limits=limits, temperatures=self.checkpoint.config.temperatures)

    def _advance(
        self, cohort: Cohort, member: Member, fired: list[Fired] | None
    ) -> Iterator[tuple[int, AnnotatedDocument]]:
        """Take one document to its next prompts or to its end."""
        try:
            needed = member.run.send(fired)  # type: ignore[arg-type]
            cohort.members.append(Member(member.index, member.item, member.run, needed, member.step + 1))
        except StopIteration as stop:
            yield member.index, stop.value
        except RexError as error:
            yield _failed(member, error)

    def _send(self, cohort: Cohort, limits: Limits, call: Call) -> None:
        prompts = [prompt for member in cohort.members for prompt in member.needed]
        # Only extraction is decided while decoding; classes are compared with the limits of their request.
        thresholds: list[float] = []
        for member in cohort.members:
            thresholds += [self._bar(member.item, limits)] * len(member.needed)
        cohort.sent_at = time.monotonic()
        cohort.waiting = self._forward(prompts, thresholds, call)

    def _bar(self, item: Item, limits: Limits) -> float:
        """The probability that the links of a document must exceed."""
        return link_limits(limits, temperature(item.task, EXTRACT, self.checkpoint.config.temperatures)).bar

    def _forward(self, prompts: Sequence[Prompt], thresholds: Sequence[float], call: Call) -> Iterable[Fired]:
        """What fires in each prompt above its threshold, in order; reading the answer waits for the device."""
        call.check()
        ticket = self.scheduler.submit(
            prompts,
            thresholds,
            client=call.client,
            urgent=call.urgent,
            wait=call.admitted or not call.urgent,
            cancelled=call.cancelled,
        )
        call.admitted = True
        return Waiting(ticket, call)


def _own_scheduler(checkpoint: Checkpoint | CheckpointFiles, batch_tokens: int) -> Scheduler:
    if not isinstance(checkpoint, Checkpoint):
        raise ValueError("files without weights need a scheduler whose owner holds them")
    scheduler = Scheduler(LocalOwner(hold(checkpoint)), pad_id=checkpoint.tokenizer.pad_id, batch_tokens=batch_tokens)
    scheduler.load()
    return scheduler


def _failed(member: Member, error: RexError) -> tuple[int, AnnotatedDocument]:
    return member.index, unread(member.item, error)


@lru_cache(maxsize=64)
def _with_thresholds(limits: Limits, threshold: float | None, floor: float | None) -> Limits:
    for name, value in (("阈值", threshold), ("候选的下限", floor)):
        if value is not None and not 0.0 <= value < 1.0:
            raise InputError(f"{name} {value} 无效：请取 0 到 1 之间（不含 1）的数")
    return replace(limits, threshold=limits.threshold if threshold is None else threshold, floor=floor)

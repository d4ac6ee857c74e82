"""Works off the queue in background threads of this process, and says that it lives."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Engine

from core.errors import RexError
from core.gpu.watch import Watch
from core.jobs.lease import ClockWatch, is_gone, make_owner
from core.jobs.worker import Reader, work
from core.storage import job_memory, job_queries, job_store, queries
from core.storage.job_memory import JobMemory
from core.telemetry.logs import log, told_with

POLL_S = 1.0
"""How often the queue is looked at, and how often the process says that it lives."""

JOBS_AT_ONCE = 4
"""Jobs taken from the queue that run side by side; their batches take turns."""


Record = Callable[[str, str], None]
Open = Callable[[bool], Watch]
"""Begins to follow the memory of a stretch; true where that may wait for the batch in flight to be exact."""


@dataclass(slots=True)
class Stretch:
    """Jobs being worked on by one thread under one token."""

    job_ids: tuple[int, ...]
    owner: str
    urgent: bool
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None


class JobRunner:
    """The jobs of this process; `source` names the checkpoint that it answers with, `record(kind, text)` is told when
    long jobs begin and end and of errors that no job can show, `watch` follows what they take of the machine.

    Nothing is taken from the queue before `start`; `take` works on given jobs at once.
    """

    def __init__(
        self,
        database: Engine,
        *,
        source: str,
        reader: Reader,
        record: Record = lambda *_: None,
        watch: Open | None = None,
    ) -> None:
        self._database, self.source, self._reader, self._record = database, source, reader, record
        self.trouble = ""  # why the database lets nothing begin or go on, as it was said last
        self._open = watch
        self._stretches: dict[str, Stretch] = {}
        self._owed: list[Stretch] = []
        self._clock = ClockWatch()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closed = threading.Event()
        self._claims = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Work off the queue from now on, beginning with what a killed process left; does nothing when it does."""
        self._claims = True
        self._keep_watch()

    def take(self, job_ids: Sequence[int]) -> list[int]:
        """Work on those of these jobs that wait; returns them. The others are somebody else's or have ended."""
        self._release_lost()
        owner = make_owner()
        taken = [one for one in job_ids if job_store.claim(self._database, one, owner, source=self.source)]
        if taken:
            self.begin(taken, owner)
        return taken

    def begin(self, job_ids: Sequence[int], owner: str, *, urgent: bool = False) -> None:
        """Work on jobs that `owner`, a token of this process, holds already; together, in one thread."""
        stretch = Stretch(tuple(job_ids), owner, urgent)
        stretch.thread = threading.Thread(
            target=self._run_told, args=(stretch,), name=f"job-{'-'.join(map(str, job_ids))}", daemon=True
        )
        with self._lock:  # together: whoever finds the stretch may join its thread
            self._stretches[owner] = stretch
            stretch.thread.start()
        self._keep_watch()

    def look(self) -> None:
        """Look at the queue now: something has changed."""
        self._wake.set()

    def turn_to(self, source: str) -> None:
        """Answer with another checkpoint: jobs from the queue go back into it, and those that ask for it are taken."""
        self.source = source
        with self._lock:
            for stretch in self._stretches.values():
                if not stretch.urgent:
                    stretch.stop.set()
        self._wake.set()

    def holds(self, job_id: int) -> bool:
        """Whether this process works on the job."""
        with self._lock:
            return any(job_id in one.job_ids for one in self._stretches.values())

    def idle(self) -> bool:
        """Whether no thread of this process works on a job."""
        with self._lock:
            return not self._stretches

    def join(self, job_ids: Collection[int], timeout_s: float) -> None:
        """Wait until no thread of this process works on these jobs, or the time is over; without one, just wait."""
        with self._lock:
            threads = [one.thread for one in self._stretches.values() if set(one.job_ids) & set(job_ids)]
        if not threads:
            self._closed.wait(timeout_s)
        deadline = time.monotonic() + timeout_s
        for thread in threads:
            if thread is not None:
                thread.join(max(0.0, deadline - time.monotonic()))

    def close(self, timeout_s: float = 10.0) -> None:
        """Stop; what was being worked on goes back into the queue."""
        self._closed.set()
        self._wake.set()
        with self._lock:
            stretches = list(self._stretches.values())
        for one in stretches:
            one.stop.set()
        for thread in [self._thread, *(one.thread for one in stretches)]:
            if thread is not None:
                thread.join(timeout_s)

    def _run_told(self, stretch: Stretch) -> None:
        with told_with(jobs=list(stretch.job_ids), request=stretch.owner.rpartition("/")[2]):
            log("jobs.begin", urgent=stretch.urgent)
            began = time.perf_counter()
            self._run(stretch)
            log("jobs.end", urgent=stretch.urgent, seconds=round(time.perf_counter() - began, 3))

    def _run(self, stretch: Stretch) -> None:
        watch = None
        try:
            jobs = [queries.get_run(self._database, one) for one in stretch.job_ids]
            watch = None if self._open is None else self._open(not stretch.urgent)
            self._tell(stretch, "job")
            work(
                self._database,
                jobs,
                stretch.owner,
                reader=self._reader,
                urgent=stretch.urgent,
                stopped=lambda: stretch.stop.is_set() or self._closed.is_set(),
                measured=lambda: self._measure(stretch, watch),
            )
            self._tell(stretch, "job_end")
        except RexError as error:  # the database could not even be told
            self._record("error", str(error))
            with self._lock:
                self._owed.append(stretch)
        finally:
            self._part(stretch, watch)
            with self._lock:
                del self._stretches[stretch.owner]
            self._wake.set()

    def _tell(self, stretch: Stretch, event: str) -> None:
        """Mark the beginning or end of jobs that nobody sits and waits for."""
        for job_id in () if stretch.urgent else stretch.job_ids:
            job = queries.get_run(self._database, job_id)
            state = f"，{job_store.STATES[job.state]}" if event == "job_end" else ""
            self._record(event, f"作业 {job_id}（{job.task}）：{job.done} / {job.total} 篇{state}")

    def _measure(self, stretch: Stretch, watch: Watch | None) -> None:
        """Keep what the stretch took, once."""
        if watch is not None and watch.open:
            taken = watch.take()
            watch.close()
            memory = JobMemory(taken.gpu_bytes, taken.host_bytes, taken.energy_j)
            job_memory.keep(self._database, stretch.job_ids, memory)

    def _part(self, stretch: Stretch, watch: Watch | None) -> None:
        """The end of the watch; what was stopped or failed is measured too."""
        try:
            self._measure(stretch, watch)
        except RexError as error:
            self._record("error", str(error))

    def _keep_watch(self) -> None:
        with self._lock:
            if self._thread is None and not self._closed.is_set():
                self._thread = threading.Thread(target=self._watch, name="job-runner", daemon=True)
                self._thread.start()
        self._wake.set()

    def _watch(self) -> None:
        while not self._closed.is_set():
            try:
                self._beat()
                self._settle()
                if self._claims:
                    self._claim()
                self.trouble = ""
            except RexError as error:
                self.trouble = str(error)
                self._record("error", str(error))
                self._wake.clear()  # not at once again: the database may need a moment
            self._wake.wait(POLL_S)
            self._wake.clear()

    def _beat(self) -> None:
        """Say that the jobs here live, and stop work on those that were paused, cancelled or taken away."""
        with self._lock:
            stretches = dict(self._stretches)
        if stretches:
            alive = job_store.heartbeat(self._database, list(stretches))
            for owner, stretch in stretches.items():
                if owner not in alive:
                    stretch.stop.set()

    def _settle(self) -> None:
        """Tell the database, now that it answers, that the jobs of stretches that it threw out are free."""
        while self._owed:
            stretch = self._owed[0]
            for job_id in stretch.job_ids:
                job_store.release(self._database, job_id, stretch.owner)
            with self._lock:
                self._owed.pop(0)
            if not self._claims:  # these were given to this process, and nobody else may be there
                self.take(stretch.job_ids)

    def _release_lost(self) -> None:
        with self._lock:
            steady = self._clock.is_steady()
        if steady:
            release_lost(self._database)

    def _claim(self) -> None:
        self._release_lost()
        waiting = job_queries.queued(self._database, self.source)
        if not waiting or not self._reader.ready():
            return
        for job_id in waiting:
            with self._lock:
                busy = sum(not one.urgent for one in self._stretches.values())
            if busy >= JOBS_AT_ONCE or self._closed.is_set():
                return
            owner = make_owner()
            if job_store.claim(self._database, job_id, owner, source=self.source):
                self.begin([job_id], owner)


def release_lost(database: Engine) -> list[int]:
    """Put the jobs of processes that are gone back into the queue; returns their numbers."""
    return [
        one.job_id
        for one in job_queries.holders(database)
        if is_gone(one.owner, one.heartbeat_at) and job_store.lose(database, one.job_id, one.owner)
    ]

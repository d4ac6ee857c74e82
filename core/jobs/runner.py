"""Runs callables in background threads and keeps what the screens want to know about them."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from core.errors import Cancelled, RexError

RUNNING, DONE, FAILED, CANCELLED = "running", "done", "failed", "cancelled"
KEPT_JOBS = 200


class Job:
    """One piece of background work; all attributes may be read from any thread.

    `results` grows while the job runs and keeps the order of the input; `run_ids` are the stored runs.
    """

    def __init__(self, total: int) -> None:
        self.id = uuid.uuid4().hex[:12]
        self.state = RUNNING
        self.total = total
        self._results: dict[int, Any] = {}
        self.error: str | None = None
        self.run_ids: tuple[int, ...] = ()
        self._started = time.monotonic()
        self._ended: float | None = None
        self._cancel = threading.Event()
        self._finished = threading.Event()

    @property
    def results(self) -> list[Any]:
        """What is finished so far."""
        return [result for _, result in sorted(self._results.copy().items())]

    @property
    def done(self) -> int:
        """Items finished so far."""
        return len(self._results)

    @property
    def elapsed_s(self) -> float:
        """Seconds from start to now or to the end."""
        return (self._ended or time.monotonic()) - self._started

    @property
    def rate(self) -> float:
        """Items per second."""
        return self.done / self.elapsed_s if self.elapsed_s > 0 else 0.0

    @property
    def eta_s(self) -> float | None:
        """Seconds left at the present rate; None before the first item."""
        return (self.total - self.done) / self.rate if self.done else None

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked the job to stop."""
        return self._cancel.is_set()

    def cancel(self) -> None:
        """Ask the job to stop at its next step; what is finished stays."""
        self._cancel.set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Block until the job ends; False when the time ran out first."""
        return self._finished.wait(timeout_s)

    def add(self, index: int, result: Any) -> None:
        """Keep the result of the item at `index` of the input."""
        self._results[index] = result

    def finish(self, state: str, error: str | None = None) -> None:
        """Record how the job ended."""
        self.state, self.error, self._ended = state, error, time.monotonic()
        self._finished.set()


class JobRunner:
    """Starts jobs and finds them again by id; the oldest finished ones are forgotten."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()

    def start(
        self,
        total: int,
        work: Callable[[Job], Iterator[tuple[int, Any]]],
        *,
        closed: Callable[[Job, str, str | None], None],
    ) -> Job:
        """Run `work(job)` in a thread, keeping the (index, result) pairs it yields; then call
        `closed(job, state, error)`, before anybody sees that the job has ended.
        """
        job = Job(total)
        with self._lock:
            self._jobs[job.id] = job
            for old in [one for one in self._jobs.values() if one.state != RUNNING][:-KEPT_JOBS]:
                del self._jobs[old.id]
        threading.Thread(target=_run, args=(job, work, closed), name=f"job-{job.id}", daemon=True).start()
        return job

    def get(self, job_id: str) -> Job | None:
        """The job of that id, None when it is unknown or forgotten."""
        with self._lock:
            return self._jobs.get(job_id)

    def running(self) -> list[Job]:
        """Jobs that have not ended."""
        with self._lock:
            return [job for job in self._jobs.values() if job.state == RUNNING]

    def close(self, timeout_s: float = 10.0) -> None:
        """Ask all jobs to stop and wait for them."""
        jobs = self.running()
        for job in jobs:
            job.cancel()
        for job in jobs:
            job.wait(timeout_s)


def _run(
    job: Job, work: Callable[[Job], Iterator[tuple[int, Any]]], closed: Callable[[Job, str, str | None], None]
) -> None:
    state, error = DONE, None
    try:
        for index, result in work(job):
            job.add(index, result)
    except Cancelled:
        state = CANCELLED
    except RexError as problem:
        state, error = FAILED, str(problem)
    except Exception as problem:  # the thread has nobody above it: the user must still learn what happened
        state, error = FAILED, f"{type(problem).__name__}: {problem}"
    try:
        closed(job, state, error)
    except Exception as problem:
        state, error = FAILED, f"{type(problem).__name__}: {problem}"
    finally:
        job.finish(state, error)

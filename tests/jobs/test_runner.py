"""Background jobs: progress, cancelling, failing, forgetting."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from core.errors import Cancelled, InputError
from core.jobs.runner import CANCELLED, DONE, FAILED, KEPT_JOBS, RUNNING, Job, JobRunner

WAIT_S = 20


def _nothing(job: Job, state: str, error: str | None) -> None:
    del job, state, error


def _start(runner: JobRunner, work: object, *, total: int = 3, closed: object = _nothing) -> Job:
    return runner.start(total, work, closed=closed)  # type: ignore[arg-type]


def test_results_keep_the_order_of_the_input_and_progress_is_counted() -> None:
    seen: list[tuple[int, list[str]]] = []

    def work(job: Job) -> Iterator[tuple[int, str]]:
        for index, result in ((2, "丙"), (0, "甲"), (1, "乙")):
            yield index, result
            seen.append((job.done, job.results))

    job = _start(JobRunner(), work)
    assert job.wait(WAIT_S)
    assert job.state == DONE
    assert job.error is None
    assert seen == [(1, ["丙"]), (2, ["甲", "丙"]), (3, ["甲", "乙", "丙"])]
    assert job.results == ["甲", "乙", "丙"]
    assert job.done == job.total == 3
    assert job.eta_s == pytest.approx(0.0)
    assert job.rate > 0


def test_a_running_job_has_no_estimate_before_its_first_item() -> None:
    release = threading.Event()

    def work(job: Job) -> Iterator[tuple[int, str]]:
        release.wait(WAIT_S)
        yield 0, "甲"

    runner = JobRunner()
    job = _start(runner, work)
    assert job.state == RUNNING
    assert job.eta_s is None
    assert runner.running() == [job]
    assert not job.wait(0.01)
    release.set()
    assert job.wait(WAIT_S)
    assert runner.running() == []
    assert job.eta_s is not None
    elapsed = job.elapsed_s
    assert job.elapsed_s == elapsed  # the clock stopped with the job


def test_cancelling_keeps_the_finished_results() -> None:
    first = threading.Event()

    def work(job: Job) -> Iterator[tuple[int, str]]:
        yield 0, "甲"
        first.set()
        while not job.cancelled:
            pass
        raise Cancelled("已取消")

    job = _start(JobRunner(), work)
    assert first.wait(WAIT_S)
    job.cancel()
    assert job.wait(WAIT_S)
    assert (job.state, job.error, job.results) == (CANCELLED, None, ["甲"])


@pytest.mark.parametrize(
    ("problem", "said"), [(InputError("第 3 行为空"), "第 3 行为空"), (KeyError("x"), "KeyError: 'x'")]
)
def test_a_failure_keeps_its_message_and_the_finished_results(problem: Exception, said: str) -> None:
    def work(job: Job) -> Iterator[tuple[int, str]]:
        yield 0, "甲"
        raise problem

    job = _start(JobRunner(), work)
    assert job.wait(WAIT_S)
    assert (job.state, job.error, job.results) == (FAILED, said, ["甲"])


def test_closing_sees_how_the_job_ended() -> None:
    seen: list[tuple[str, str | None]] = []

    def work(job: Job) -> Iterator[tuple[int, str]]:
        raise InputError("坏")
        yield 0, ""

    job = _start(JobRunner(), work, closed=lambda _, *ended: seen.append(ended))
    assert job.wait(WAIT_S)
    assert seen == [(FAILED, "坏")]


def test_a_failure_while_closing_is_not_lost() -> None:
    def work(job: Job) -> Iterator[tuple[int, str]]:
        yield 0, "甲"

    def closed(job: Job, state: str, error: str | None) -> None:
        raise OSError("磁盘已满")

    job = _start(JobRunner(), work, closed=closed)
    assert job.wait(WAIT_S)
    assert (job.state, job.error) == (FAILED, "OSError: 磁盘已满")


def test_closing_the_runner_cancels_what_runs() -> None:
    def work(job: Job) -> Iterator[tuple[int, str]]:
        while not job.cancelled:
            pass
        raise Cancelled("已取消")
        yield 0, ""

    runner = JobRunner()
    job = _start(runner, work)
    runner.close(WAIT_S)
    assert job.state == CANCELLED


def test_the_oldest_finished_jobs_are_forgotten_and_running_ones_never() -> None:
    release = threading.Event()

    def wait(job: Job) -> Iterator[tuple[int, str]]:
        release.wait(WAIT_S)
        yield 0, ""

    def quick(job: Job) -> Iterator[tuple[int, str]]:
        yield 0, ""

    runner = JobRunner()
    longest = _start(runner, wait)
    jobs = []
    for _ in range(KEPT_JOBS + 5):
        jobs.append(_start(runner, quick))
        assert jobs[-1].wait(WAIT_S)
    _start(runner, quick).wait(WAIT_S)
    assert runner.get(jobs[0].id) is None
    assert runner.get(jobs[-1].id) is jobs[-1]
    assert runner.get(longest.id) is longest
    assert runner.get("unknown") is None
    release.set()
    assert longest.wait(WAIT_S)

"""Closed and open loops: who waits for whom, and what is lost."""

from __future__ import annotations

import threading
import time

import pytest

from core.benchmark.load import closed_loop, one_by_one, open_loop, telling


def test_a_closed_loop_has_as_many_requests_in_flight_as_clients():
    lock, flying, most = threading.Lock(), [0], [0]

    def ask(number: int) -> None:
        with lock:
            flying[0] += 1
            most[0] = max(most[0], flying[0])
        time.sleep(0.005)
        with lock:
            flying[0] -= 1

    load = closed_loop(ask, 40, clients=4)
    assert (len(load.latencies_s), load.failures, most[0]) == (40, (), 4)
    assert load.per_s == pytest.approx(40 / load.wall_s)


def test_each_request_is_sent_once_and_a_failed_one_is_told():
    sent: list[int] = []

    def ask(number: int) -> None:
        sent.append(number)
        if number % 5 == 0:
            raise ValueError(f"no {number}")

    load = closed_loop(ask, 20, clients=3)
    assert sorted(sent) == list(range(20))
    assert len(load.latencies_s) == 16
    assert sorted(load.failures) == sorted(f"ValueError: no {number}" for number in (0, 5, 10, 15))


def test_one_by_one_never_overlaps():
    load = one_by_one(lambda number: time.sleep(0.002), 5)
    assert load.wall_s >= sum(load.latencies_s) * 0.9
    assert load.quantile_ms(0.5) >= 2


def test_the_latency_of_an_open_loop_counts_from_the_scheduled_time():
    # One caller, 20 ms of work each, all due at once: the last waits for the four before it.
    load = open_loop(lambda number: time.sleep(0.02), [0.0] * 5, threads=1)
    assert max(load.latencies_s) >= 0.1
    assert min(load.latencies_s) < 0.06


def test_an_open_loop_keeps_its_times():
    at: list[float] = []
    begun = time.perf_counter()
    open_loop(lambda number: at.append(time.perf_counter() - begun), [0.0, 0.05, 0.1])
    assert at[1] >= 0.05 and at[2] >= 0.1


def test_progress_is_told_of_requests_that_failed_too():
    heard: list[int] = []

    def ask(number: int) -> None:
        time.sleep(0.002)
        if number % 2:
            raise ValueError

    load = closed_loop(telling(ask, heard.append, every_s=0.01), 60, clients=2)
    assert len(load.failures) == 30
    assert len(heard) >= 2 and heard == sorted(set(heard)) and heard[-1] <= 60

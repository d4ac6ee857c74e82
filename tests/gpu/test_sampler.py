"""The sampler's thread: it pauses, it never holds up a screen, and it keeps what was the most."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from core.errors import Cancelled
from core.gpu import peaks
from core.gpu.monitor import NO_ANSWER, GpuMonitor
from core.gpu.watch import held_bytes
from scripts.scripted_cards import GIB, ScriptedWorker, process, torch_on


def until(true: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
    return true()


def test_the_sampler_pauses_when_no_screen_is_open_and_goes_on_with_the_next(scripted):
    monitor = GpuMonitor(0.02, backend=scripted(), pause_after_s=0.1)
    monitor.snapshot("somebody")
    assert until(lambda: monitor.status().paused) and not monitor.status().stalled
    kept = len(monitor.history())
    time.sleep(0.1)
    assert len(monitor.history()) == kept
    before = monitor.history()[-1].time_s
    assert monitor.snapshot("somebody").time_s > before, "the first reading after a pause is a new one"
    assert not monitor.status().paused
    monitor.close()


def test_a_job_keeps_the_sampler_awake(scripted):
    monitor = GpuMonitor(0.02, backend=scripted(), pause_after_s=0.05)
    monitor.snapshot()
    watch = monitor.watch()
    time.sleep(0.2)
    assert not monitor.status().paused
    watch.close()
    assert until(lambda: monitor.status().paused)
    monitor.close()


def test_open_screens_are_counted_once_each(scripted):
    monitor = GpuMonitor(backend=scripted())
    for name in ("a", "b", "a", ""):
        monitor.snapshot(name)
    assert monitor.status().sessions == 2
    monitor.close()


def test_a_driver_that_hangs_holds_up_no_screen_and_the_age_of_the_reading_is_told(scripted):
    hang, go_on = threading.Event(), threading.Event()

    def slow(handle: str) -> object:
        if hang.is_set():
            go_on.wait(30)
        return None

    monitor = GpuMonitor(0.02, backend=scripted(nvmlDeviceGetPerformanceState=slow))
    first = monitor.snapshot("a")
    hang.set()
    assert until(lambda: monitor.status().stalled)
    started = time.monotonic()
    assert monitor.snapshot("a").cards[0].name == first.cards[0].name and monitor.history()
    assert monitor.refresh(0.05).cards and time.monotonic() - started < 2
    assert monitor.status().age_s > 0.1
    go_on.set()
    assert until(lambda: not monitor.status().stalled)
    monitor.close()


def test_a_driver_that_never_answers_leaves_the_host_and_the_reason(scripted):
    go_on = threading.Event()
    monitor = GpuMonitor(backend=scripted(nvmlInit=lambda: go_on.wait(30) and None))
    sample = monitor.refresh(0.1)
    assert sample.reason == NO_ANSWER and sample.host.rss_bytes > 0 and sample.cards == ()
    go_on.set()
    monitor.close()


def test_the_most_is_kept_since_the_start_and_since_a_reset(scripted):
    held = {"abc-card-0": torch_on(0, 2, 4)}
    listed = [process(77, 5), process(78, 1)]
    monitor = GpuMonitor(backend=scripted(nvmlDeviceGetComputeRunningProcesses=listed))
    ended: list[int] = []

    def new_window() -> dict[str, object]:
        ended.append(1)
        before = dict(held)
        held["abc-card-0"] = torch_on(0, 1, 1)
        return before

    monitor.follow(ScriptedWorker(lambda: held, pid=77), new_window=new_window)
    monitor.sample()
    monitor.reset_peaks()
    listed[0].usedGpuMemory = 2 * GIB
    monitor.sample()
    ever, recent = monitor.peaks()
    (uuid,) = ever.cards
    assert ended == [1]
    assert (ever.cards[uuid].reserved_bytes, recent.cards[uuid].reserved_bytes) == (4 * GIB, GIB)
    assert (ever.cards[uuid].held_bytes, recent.cards[uuid].held_bytes) == (5 * GIB, 2 * GIB)
    assert recent.since_s > ever.since_s and ever.host_bytes >= recent.host_bytes > 0
    assert [event.kind for event in monitor.events()] == ["peak_reset"]
    monitor.close()


def test_a_peak_between_two_readings_belongs_to_the_job_that_had_it(scripted):
    held = {"abc-card-0": torch_on(0, 1, 1)}
    energy = [1_000_000]
    driver = scripted(
        nvmlDeviceGetComputeRunningProcesses=[process(77, 1.5)],
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: energy[0],
    )
    monitor = GpuMonitor(60.0, backend=driver)
    monitor.follow(ScriptedWorker(lambda: held, pid=77), new_window=lambda: {"abc-card-0": torch_on(0, 3, 9)})
    monitor.snapshot()
    watch = monitor.watch(exact=True)  # the nine of the window before it are not its own
    assert watch.take().gpu_bytes == round(9.5 * GIB), "the window that ends with the job is"
    energy[0] += 5_000
    assert watch.take().energy_j == 5.0 and watch.take().energy_j == 0.0
    assert watch.take().host_bytes > 0
    watch.close()
    monitor.close()


def test_a_job_on_the_cpu_has_its_host_memory_and_no_card(scripted):
    monitor = GpuMonitor(60.0, backend=scripted())
    monitor.snapshot()
    watch = monitor.watch()
    block = bytearray(64 * 1024**2)
    block[::4096] = b"x" * len(block[::4096])
    del block
    taken = watch.take()
    assert taken.gpu_bytes is None and taken.energy_j is None
    assert taken.host_bytes >= monitor.snapshot().host.rss_bytes
    watch.close()
    monitor.close()


def test_a_model_that_is_being_let_go_does_not_fail_the_job(scripted):
    def closing() -> dict[str, object]:
        raise Cancelled("已取消")

    monitor = GpuMonitor(60.0, backend=scripted(nvmlDeviceGetComputeRunningProcesses=[process(77, 1.5)]))
    monitor.follow(ScriptedWorker(lambda: {"abc-card-0": torch_on(0, 1, 1)}, pid=77), new_window=closing)
    monitor.snapshot()
    watch = monitor.watch(exact=True)
    assert watch.take().gpu_bytes == round(1.5 * GIB)
    watch.close()
    monitor.close()


def test_counters_that_the_governor_resets_still_count_for_the_window():
    peaks.forget()
    peaks.note(0, 5, 9)
    assert peaks.of(0, 7, 8) == (7, 9) and peaks.of(1, 1, 2) == (1, 2)
    peaks.forget()
    assert peaks.of(0, 7, 8) == (7, 8)


@pytest.mark.parametrize(("own", "expected"), [(3, 6.5), (None, 6.0)])
def test_what_we_held_at_most_is_the_peak_with_the_context(scripted, own, expected):
    worker = [process(77, own)] if own else []
    monitor = GpuMonitor(backend=scripted(nvmlDeviceGetComputeRunningProcesses=worker))
    reading = torch_on(0, 1, 6)
    now = {"abc-card-0": type(reading)(0, GIB, round(2.5 * GIB), GIB, 6 * GIB, 0, 0, 0)}
    monitor.follow(ScriptedWorker(lambda: now, pid=77))
    (card,) = monitor.sample().cards
    assert held_bytes(card) == round(expected * GIB)
    monitor.close()

"""The sampler: one reading, its history, its marks, and machines without a card."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from core.gpu.driver_session import NO_CARD
from core.gpu.monitor import GpuMonitor
from core.gpu.nvml import LIBRARY_MISSING, NvmlDriver, NvmlFailure
from core.gpu.records import TorchMemory


def test_a_snapshot_holds_the_cards_and_the_host(scripted):
    monitor = GpuMonitor(backend=scripted())
    sample = monitor.snapshot()
    monitor.close()
    assert sample.reason is None and sample.cards[0].name == "NVIDIA H200"
    assert 0 < sample.host.rss_bytes < sample.host.total_bytes
    assert sample.host.threads >= 1


@pytest.mark.parametrize(
    ("code", "words"),
    [(12, "没有找到 NVIDIA 驱动"), (9, "驱动没有加载"), (18, "重启机器"), (LIBRARY_MISSING, "nvidia-ml-py")],
)
def test_without_a_driver_the_reason_is_told_and_the_host_is_still_read(scripted, code, words):
    sample = GpuMonitor(backend=scripted(nvmlInit=NvmlFailure(code))).sample()
    assert sample.cards == () and words in sample.reason and sample.host.rss_bytes > 0


def test_a_driver_without_cards_says_so(scripted):
    assert GpuMonitor(backend=scripted(nvmlDeviceGetCount=0)).sample().reason == NO_CARD


def test_a_driver_that_comes_back_is_used_again(scripted):
    driver = scripted(nvmlInit=NvmlFailure(9))
    monitor = GpuMonitor(backend=driver)
    assert monitor.sample().cards == ()
    driver.answers["nvmlInit"] = None
    assert len(monitor.sample().cards) == 1


def test_an_unforeseen_fault_becomes_a_reason_instead_of_a_dead_sampler(scripted):
    def surprise() -> int:
        raise ValueError("奇怪的回答")

    sample = GpuMonitor(backend=scripted(nvmlDeviceGetCount=surprise)).sample()
    assert "奇怪的回答" in sample.reason


def test_the_history_keeps_only_its_span_and_no_process_lists(scripted):
    monitor = GpuMonitor(1.0, 5.0, backend=scripted())
    taken = [monitor.sample().time_s for _ in range(8)]
    history = monitor.history()
    assert [sample.time_s for sample in history] == taken[-5:]
    assert all(card.processes is None for sample in history for card in sample.cards)


def test_the_sampler_starts_with_the_first_question_and_stops_on_close(scripted):
    monitor = GpuMonitor(0.02, backend=scripted())
    before = threading.active_count()
    monitor.snapshot()
    assert threading.active_count() == before + 1
    deadline = time.monotonic() + 5
    while len(monitor.history()) < 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(monitor.history()) >= 4
    monitor.close()
    assert threading.active_count() == before
    kept = len(monitor.history())
    time.sleep(0.1)
    assert len(monitor.history()) == kept


def test_many_readers_share_one_sampler(scripted):
    monitor = GpuMonitor(0.05, backend=scripted())
    readers = [threading.Thread(target=monitor.snapshot) for _ in range(8)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert sum(thread.name == "gpu-monitor" for thread in threading.enumerate()) == 1
    monitor.close()


def test_close_lets_the_driver_go_once(scripted):
    driver = scripted()
    monitor = GpuMonitor(backend=driver)
    monitor.snapshot()
    monitor.close()
    monitor.close()
    assert driver.asked.count("nvmlInit") == driver.asked.count("nvmlShutdown") == 1


def test_marks_are_kept_in_order():
    monitor = GpuMonitor()
    monitor.mark("model", "已加载")
    monitor.mark("flush")
    assert [(event.kind, event.text) for event in monitor.events()] == [("model", "已加载"), ("flush", "")]


def test_what_the_process_of_the_model_holds_counts_as_ours(scripted):
    gib = 1024**3
    torch = TorchMemory(0, gib, 2 * gib, gib, 2 * gib, 0, 0, 0)
    worker = SimpleNamespace(info=None, cards=lambda: {})
    listed = [SimpleNamespace(pid=4_000_001, usedGpuMemory=15 * gib), SimpleNamespace(pid=77, usedGpuMemory=3 * gib)]
    monitor = GpuMonitor(backend=scripted(nvmlDeviceGetComputeRunningProcesses=listed))
    monitor.follow(worker)
    (card,) = monitor.sample().cards
    assert (card.own_source, card.own_bytes, card.torch) == ("none", 0, None)

    worker.info, worker.cards = SimpleNamespace(pid=77), lambda: {"abc-card-0": torch}
    (card,) = monitor.sample().cards
    assert (card.own_source, card.own_bytes, card.torch) == ("pid", 3 * gib, torch)
    assert [process.pid for process in card.processes if process.own] == [77]

    worker.cards = lambda: None  # a fault: CUDA does not say
    (card,) = monitor.sample().cards
    assert card.torch is None and card.own_bytes == 3 * gib
    monitor.close()


def test_the_monitor_neither_imports_torch_nor_starts_cuda():
    script = "import sys; from core.gpu.monitor import GpuMonitor; GpuMonitor().sample(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.gpu
def test_a_real_card_is_read_and_a_flush_gives_the_cache_back():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    from core.gpu.flush import flush

    monitor = GpuMonitor(backend=NvmlDriver())
    block = torch.empty(512 * 1024**2, dtype=torch.uint8, device="cuda")
    torch.cuda.synchronize()
    held = next(card for card in monitor.sample().cards if card.torch)
    assert held.torch.allocated_bytes >= block.numel() and held.used_bytes >= block.numel()
    del block
    cached = next(card for card in monitor.sample().cards if card.torch)
    assert cached.torch.allocated_bytes < held.torch.allocated_bytes
    assert cached.torch.reserved_bytes == held.torch.reserved_bytes
    report = flush()
    assert report.on_gpu and report.freed_reserved_bytes >= 512 * 1024**2
    assert report.freed_card_bytes >= 500 * 1024**2
    after = next(card for card in monitor.sample().cards if card.torch)
    assert after.torch.reserved_bytes < cached.torch.reserved_bytes
    monitor.close()

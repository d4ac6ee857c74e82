"""The governor's readings of a CUDA device: the arithmetic on any machine, the device itself where there is one."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
import torch

from core.config import Settings
from core.errors import GpuMemoryError
from core.gpu import torch_meter
from core.gpu.governor import Governor
from core.gpu.nvml import NvmlFailure
from core.gpu.records import TorchMemory
from core.gpu.tenant import move_in, physical_cores
from core.gpu.torch_meter import USUAL_CONTEXT_BYTES, TorchMeter

GIB = 2**30


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch, scripted) -> SimpleNamespace:
    """PyTorch with one card of 80 GiB, of which its allocator holds 1 and has handed out half."""
    figures = {"reserved_bytes": {"all": {"current": GIB, "peak": 2 * GIB}}}
    figures["allocated_bytes"] = {"all": {"current": GIB // 2, "peak": GIB}}
    facts = SimpleNamespace(name="NVIDIA A10", total_memory=80 * GIB, major=8, minor=6)
    made = SimpleNamespace(shares=[], settings=[], driver=scripted(), free=59 * GIB)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: facts)
    monkeypatch.setattr(torch.cuda, "memory_stats_as_nested_dict", lambda index: figures)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: (made.free, 80 * GIB))
    monkeypatch.setattr(
        torch.cuda, "set_per_process_memory_fraction", lambda share, index: made.shares.append((share, index))
    )
    monkeypatch.setattr(torch._C, "_accelerator_setAllocatorSettings", made.settings.append, raising=False)
    held = TorchMemory(0, GIB // 2, GIB, GIB, 2 * GIB, 0, 0, 0)
    monkeypatch.setattr(torch_meter, "torch_memory", lambda: {"abc-card-0": held})
    monkeypatch.delenv("PYTORCH_ALLOC_CONF", raising=False)
    monkeypatch.delenv("PYTORCH_CUDA_ALLOC_CONF", raising=False)
    return made


def listed(*pids: int) -> list[SimpleNamespace]:
    return [SimpleNamespace(pid=pid, usedGpuMemory=3 * GIB) for pid in pids]


def meter(card: SimpleNamespace, **options: str) -> TorchMeter:
    return TorchMeter(torch.device("cuda", 0), driver=card.driver, **options)


def test_usage_is_the_allocator_s(card):
    usage = meter(card).usage()
    assert (usage.allocated_bytes, usage.reserved_bytes, usage.peak_bytes) == (GIB // 2, GIB, 2 * GIB)
    assert usage.cached_bytes == GIB // 2


def test_the_context_is_what_the_driver_counts_beyond_the_allocator(card):
    card.driver.answers["nvmlDeviceGetComputeRunningProcesses"] = listed(os.getpid(), 4_000_001)
    one = meter(card)
    assert one.outside_bytes() == 2 * GIB
    assert "17.00 GiB" in one.others() and "python3 3.00 GiB" in one.others()


def test_where_the_driver_hides_processes_the_usual_context_is_assumed(card):
    card.driver.answers["nvmlDeviceGetComputeRunningProcesses"] = listed(4_000_001, 4_000_002)
    assert meter(card).outside_bytes() == USUAL_CONTEXT_BYTES
    card.free = 80 * GIB - GIB - 1000
    assert meter(card).outside_bytes() == 1000
    card.driver.answers["nvmlInit"] = NvmlFailure(12)
    assert meter(card).outside_bytes() == 1000 and meter(card).others() == ""


def test_the_limit_is_a_share_of_the_card_and_never_more_than_all_of_it(card):
    one = meter(card)
    for size in (8 * GIB, 100 * GIB, 0):
        one.limit(size)
    assert card.shares == [(0.1, 0), (1.0, 0), (0.0, 0)]


def test_the_allocator_is_set_unless_the_user_has_set_it(card, monkeypatch):
    meter(card, allocator="expandable_segments:True")
    assert card.settings == ["expandable_segments:True"]
    monkeypatch.setenv("PYTORCH_CUDA_ALLOC_CONF", "max_split_size_mb:64")
    meter(card, allocator="expandable_segments:True")
    meter(card)
    assert card.settings == ["expandable_segments:True"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_out_of_memory_is_told_from_other_failures(card, error, expected):
    assert meter(card).is_out_of_memory(error) is expected


def test_moving_in_on_a_card_bounds_it_by_the_written_budget(card):
    settings = Settings(_env_file=None, memory_budget="24GiB", profile="A10")  # type: ignore[call-arg]
    tenant = move_in(settings, torch.device("cuda", 0), record=lambda kind, text: None)
    assert tenant.profile.name == "A10" and tenant.governor.budget_bytes == 24 * GIB
    assert card.shares[-1][0] == pytest.approx(tenant.governor.limit_bytes / (80 * GIB))


def test_moving_in_on_the_cpu_bounds_nothing():
    tenant = move_in(Settings(_env_file=None), torch.device("cpu"), record=lambda kind, text: None)  # type: ignore[call-arg]
    assert tenant.card is None and tenant.profile.name == "CPU" and tenant.status().memory.budget_bytes == 0
    assert 1 <= tenant.profile.cpu_threads == physical_cores() <= (os.cpu_count() or 1)


@pytest.fixture
def cuda() -> torch.device:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return torch.device("cuda", torch.cuda.current_device())


def governed(device: torch.device, budget: int) -> tuple[Governor, list[tuple[str, str]]]:
    events: list[tuple[str, str]] = []
    governor = Governor(TorchMeter(device), budget_bytes=budget, record=lambda *event: events.append(event))
    return governor, events


@pytest.mark.gpu
def test_a_real_card_never_gives_more_than_the_budget(cuda):
    governor, _ = governed(cuda, 2 * GIB)
    held = governor.load(lambda: torch.zeros(256 * 2**20, dtype=torch.uint8, device=cuda))
    with pytest.raises(torch.OutOfMemoryError):
        torch.zeros(2 * GIB, dtype=torch.uint8, device=cuda)
    status = governor.status()
    assert held.numel() <= status.allocated_bytes and status.used_bytes <= 2 * GIB
    assert 0 < status.outside_bytes < 2 * GIB
    governor.meter.limit(torch.cuda.get_device_properties(cuda).total_memory)


@pytest.mark.gpu
def test_on_a_real_card_out_of_memory_ends_in_the_error_for_users_and_the_card_goes_on(cuda):
    governor, events = governed(cuda, 2 * GIB)

    class Hungry:
        rows, width = 1, 512

        def part(self, start: int, stop: int) -> Hungry:
            return self

    with pytest.raises(GpuMemoryError, match="512 词元"):
        governor.run(Hungry(), lambda work: torch.zeros(3 * GIB, dtype=torch.uint8, device=cuda))
    assert governor.run(Hungry(), lambda work: torch.ones(8, device=cuda).sum().item()) == 8
    assert [kind for kind, _ in events if kind == "oom"]
    governor.meter.limit(torch.cuda.get_device_properties(cuda).total_memory)


@pytest.mark.gpu
def test_on_a_real_card_calibration_covers_what_a_batch_takes(cuda):
    governor, _ = governed(cuda, 4 * GIB)

    def probe(rows: int, width: int) -> None:
        scores = torch.rand(rows, 12, width, width, device=cuda)
        torch.softmax(scores, dim=-1).sum().item()

    governor.calibrate(probe)
    governor.meter.reset_peak()
    before = governor.meter.usage().allocated_bytes
    probe(6, 384)
    assert governor.meter.usage().peak_bytes - before <= governor.cost.predict(6, 384)
    assert governor.status().reserved_bytes <= governor.limit_bytes
    governor.meter.limit(torch.cuda.get_device_properties(cuda).total_memory)

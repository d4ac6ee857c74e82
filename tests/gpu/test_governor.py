"""The governor over a scripted device that allocates, caches and runs out as PyTorch does."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import GpuMemoryError
from core.gpu.cost import Cost
from core.gpu.governor import DOUBTED_EVERY_S, FULL, OUTSIDE_EVERY_S, TRIM_EVERY_S, Governor
from core.gpu.meter import NoMeter, Usage
from core.inference.packing import Packed, Raw

MIB, GIB = 2**20, 2**30
TRUE = Cost(base=8 * MIB, token=60_000, cell=300)


class NoMemory(RuntimeError):
    """What the scripted device raises."""


class ScriptedDevice:
    """A card of `total`, of which `others` is taken; weights of `held` are allocated and never given back."""

    def __init__(self, *, total: int = 16 * GIB, others: int = 0, outside: int = 400 * MIB, cost: Cost = TRUE) -> None:
        self.total, self.taken, self.outside, self.cost = total, others, outside, cost
        self.allocated = self.reserved = self.peak = self.peak_allocated = 0
        self.bound = total
        self.failures: list[int] = []  # numbers of the allocations that fail for no reason
        self.allocations = 0
        self.most_held = 0

    def load(self, size: int) -> str:
        self._grow(size)
        self.allocated += size
        return "model"

    def batch(self, rows: int, width: int) -> None:
        """Allocate, compute, free; the cache keeps the memory."""
        self._grow(self.cost.predict(rows, width))

    def _grow(self, size: int) -> None:
        self.allocations += 1
        if self.allocations in self.failures:
            raise NoMemory("out of memory, by accident")
        wanted = max(self.reserved, self.allocated + size)
        if wanted > self.bound or self.taken + self.outside + wanted > self.total:
            self.reserved = self.allocated  # the allocator frees its cache before it gives up
            wanted = self.allocated + size
            if wanted > self.bound or self.taken + self.outside + wanted > self.total:
                raise NoMemory("out of memory")
        self.reserved = wanted
        self.peak = max(self.peak, wanted)
        self.peak_allocated = max(self.peak_allocated, self.allocated + size)
        self.most_held = max(self.most_held, wanted + self.outside)

    def usage(self) -> Usage:
        return Usage(self.allocated, self.reserved, self.peak, self.peak_allocated)

    def reset_peak(self) -> None:
        self.peak, self.peak_allocated = self.reserved, self.allocated

    def free_card_bytes(self) -> int:
        return max(0, self.total - self.taken - self.outside - self.reserved)

    def outside_bytes(self) -> int:
        return self.outside

    def limit(self, size_bytes: int) -> None:
        self.bound = size_bytes

    def empty_cache(self) -> None:
        self.reserved = self.allocated

    def is_out_of_memory(self, error: BaseException) -> bool:
        return isinstance(error, NoMemory)

    def others(self) -> str:
        return f"{self.taken // GIB} GiB（python3）" if self.taken else ""


@dataclass
class Bench:
    """A device, its governor, what was recorded, and a clock that moves by hand."""

    device: ScriptedDevice
    budget: int
    events: list[tuple[str, str]] = field(default_factory=list)
    now: float = 0.0
    ran: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.governor = Governor(
            self.device,
            budget_bytes=self.budget,
            record=lambda *event: self.events.append(event),
            clock=lambda: self.now,
        )

    def ready(self, weights: int = 200 * MIB) -> Bench:
        self.governor.load(lambda: self.device.load(weights))
        self.governor.calibrate(self.device.batch)
        return self

    def forward(self, packed: Packed) -> Raw:
        self.device.batch(packed.rows, packed.width)
        self.ran.append((packed.rows, packed.width))
        return echo(packed)

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.events]


def batch(lengths: list[int]) -> Packed:
    """Rows whose first id is their number, so that answers show whose they are."""
    width = max(lengths)
    ids = np.zeros((4, len(lengths), width), np.int32)
    ids[0, :, 0] = np.arange(len(lengths))
    marks = np.stack((np.arange(len(lengths)), np.ones(len(lengths))), axis=1).astype(np.int32)
    facts = np.array(lengths, np.int32)
    starts, classes = np.zeros(len(lengths), np.int32), np.full(len(lengths), -1, np.int32)
    return Packed(ids, facts, starts, classes, marks, np.zeros(len(lengths), np.float32), width - 1)


def echo(packed: Packed) -> Raw:
    """One cell a row, whose value is the row's number in the whole batch."""
    rows = np.arange(packed.rows)
    cells = np.stack((rows, np.zeros_like(rows), packed.lengths - 1), axis=1).astype(np.int32)
    return Raw(cells, packed.ids[0, :, 0].astype(np.float32), np.zeros((0, 3), np.float32))


def check(raw: Raw, lengths: list[int]) -> None:
    assert raw.values.tolist() == list(range(len(lengths)))
    assert raw.cells[:, 0].tolist() == list(range(len(lengths)))
    assert (raw.cells[:, 2] + 1).tolist() == lengths


def test_a_batch_that_fits_runs_as_it_is():
    bench = Bench(ScriptedDevice(), 4 * GIB).ready()
    check(bench.governor.run(batch([128] * 16), bench.forward), [128] * 16)
    assert bench.ran == [(16, 128)] and bench.governor.splits == bench.governor.ooms == 0


def test_calibration_finds_the_cost_of_the_device():
    governor = Bench(ScriptedDevice(), 4 * GIB).ready().governor
    assert governor.calibrated
    for rows, width in ((16, 128), (3, 300), (8, 512)):
        assert TRUE.predict(rows, width) <= governor.cost.predict(rows, width) <= 1.2 * TRUE.predict(rows, width)


def test_a_batch_beyond_the_budget_is_divided_and_keeps_its_order():
    bench = Bench(ScriptedDevice(), 1 * GIB).ready()
    lengths = [512] * 40
    check(bench.governor.run(batch(lengths), bench.forward), lengths)
    assert len(bench.ran) > 1 and bench.governor.ooms == 0
    assert bench.device.most_held <= 1 * GIB


def test_memory_of_other_processes_is_respected():
    device = ScriptedDevice(total=16 * GIB)
    bench = Bench(device, 8 * GIB).ready()
    before = bench.governor.largest_rows(512)
    device.taken = int(14.5 * GIB)
    assert bench.governor.largest_rows(512) < before
    check(bench.governor.run(batch([512] * 64), bench.forward), [512] * 64)
    assert bench.governor.ooms == 0


@settings(max_examples=60, deadline=None)
@given(
    st.integers(700, 4000).map(lambda mib: mib * MIB),
    st.lists(st.lists(st.integers(8, 512), min_size=1, max_size=60), min_size=1, max_size=8),
    st.lists(st.integers(0, 15 * GIB), min_size=1, max_size=8),
    st.sets(st.integers(12, 80), max_size=10),
)
def test_the_budget_is_never_exceeded_and_every_batch_ends_in_answers_or_one_error(budget, batches, others, failures):
    device = ScriptedDevice()
    bench = Bench(device, budget).ready()
    device.failures = sorted(failures)
    for number, lengths in enumerate(batches):
        device.taken = others[number % len(others)]
        bench.now += 1.0
        try:
            raw = bench.governor.run(batch(lengths), bench.forward)
        except GpuMemoryError as error:
            assert 0 <= error.row < len(lengths) and "REX_MEMORY_BUDGET" in str(error)
            continue
        check(raw, lengths)
    assert device.most_held <= budget


@settings(max_examples=60, deadline=None)
@given(
    st.floats(1.0, 8.0),
    st.lists(st.integers(8, 512), min_size=1, max_size=80),
)
def test_a_cost_far_above_the_prediction_is_survived(times, lengths):
    device = ScriptedDevice()
    bench = Bench(device, 2 * GIB).ready()
    device.cost = Cost(TRUE.base * times, TRUE.token * times, TRUE.cell * times)
    for _ in range(3):
        check(bench.governor.run(batch(lengths), bench.forward), lengths)
    assert device.most_held <= 2 * GIB


def test_one_lesson_is_enough_when_batches_cost_more_than_predicted():
    device = ScriptedDevice()
    bench = Bench(device, 2 * GIB).ready()
    device.cost = Cost(TRUE.base, TRUE.token * 4, TRUE.cell * 4)
    lengths = [256] * 64
    bench.governor.run(batch(lengths), bench.forward)
    first = bench.governor.ooms
    assert 0 < first <= 3 and bench.kinds().count("oom") == first
    for _ in range(50):
        bench.governor.run(batch(lengths), bench.forward)
    assert bench.governor.ooms <= first + 1


def test_accidents_do_not_leave_small_batches_behind():
    device = ScriptedDevice()
    bench = Bench(device, 4 * GIB).ready()
    before = bench.governor.largest_rows(256)
    for number in range(200):
        if number % 20 == 0:
            device.failures = [device.allocations + 1]
        check(bench.governor.run(batch([256] * 8), bench.forward), [256] * 8)
        assert bench.governor.largest_rows(256) >= before // 2 - 1
    assert bench.governor.ooms == 10 and bench.governor.largest_rows(256) == before


def test_a_window_that_cannot_fit_ends_in_an_error_that_names_what_to_do():
    device = ScriptedDevice(others=3 * GIB)
    bench = Bench(device, 1 * GIB).ready()
    device.cost = Cost(0, 0, 1e5)
    with pytest.raises(GpuMemoryError) as caught:
        bench.governor.run(batch([16, 16, 512, 16]), bench.forward)
    words = str(caught.value)
    for part in ("512 词元", "预算 1.00 GiB", "3 GiB（python3）", "REX_MEMORY_BUDGET", "REX_MAX_LENGTH"):
        assert part in words
    assert caught.value.row == 2
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == words and again.row == 2
    check(bench.governor.run(batch([16] * 4), bench.forward), [16] * 4)


def test_a_model_that_does_not_fit_is_refused_in_words():
    bench = Bench(ScriptedDevice(), 500 * MIB)
    with pytest.raises(GpuMemoryError, match="模型放不进显存.*REX_MEMORY_BUDGET"):
        bench.ready(weights=400 * MIB)


def test_other_errors_pass_through_untouched():
    bench = Bench(ScriptedDevice(), 4 * GIB).ready()

    def broken(packed: Packed) -> Raw:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        bench.governor.run(batch([16]), broken)


def test_cache_far_above_recent_need_is_given_back_but_not_at_every_batch():
    bench = Bench(ScriptedDevice(), 8 * GIB).ready()
    bench.governor.run(batch([512] * 40), bench.forward)
    held = bench.device.reserved
    for _ in range(200):
        bench.now += 0.1
        bench.governor.run(batch([32]), bench.forward)
    assert bench.device.reserved < held
    assert bench.kinds().count("trim") == bench.governor.trims == 1


def test_an_idle_device_keeps_only_the_weights():
    bench = Bench(ScriptedDevice(), 4 * GIB).ready()
    bench.governor.run(batch([512] * 8), bench.forward)
    bench.governor.trim()
    assert bench.device.reserved == bench.device.allocated
    assert bench.events[-1][0] == "trim" and "空闲" in bench.events[-1][1]
    bench.governor.trim()
    assert bench.governor.trims == 1


def test_a_card_that_runs_low_gets_the_cache_back():
    bench = Bench(ScriptedDevice(), 8 * GIB).ready()
    bench.governor.run(batch([512] * 20), bench.forward)
    bench.device.taken = bench.device.free_card_bytes() - 100 * MIB
    bench.now += 2 * TRIM_EVERY_S
    bench.governor.run(batch([512]), bench.forward)
    assert any("空闲显存不足" in text for kind, text in bench.events if kind == "trim")


def test_a_context_that_grows_is_taken_off_the_limit():
    bench = Bench(ScriptedDevice(), 4 * GIB).ready()
    before = bench.governor.limit_bytes
    bench.device.outside += 300 * MIB
    bench.now += 2 * OUTSIDE_EVERY_S
    bench.governor.run(batch([128]), bench.forward)
    assert bench.governor.limit_bytes == before - 300 * MIB == bench.device.bound
    assert "shrink" in bench.kinds()


def test_a_context_measured_too_large_for_a_moment_does_not_split_batches_for_good():
    bench = Bench(ScriptedDevice(), 2 * GIB).ready()
    usual = bench.governor.largest_rows(512)
    bench.device.outside += GIB  # memory that the driver still counts although it is gone
    bench.now += 2 * OUTSIDE_EVERY_S
    bench.governor.run(batch([512]), bench.forward)
    bench.device.outside -= GIB
    assert usual >= 8 and bench.governor.largest_rows(512) < usual / 3
    for _ in range(4):
        bench.now += 2 * DOUBTED_EVERY_S
        bench.governor.run(batch([512] * usual), bench.forward)
    assert bench.ran[-1][0] == usual


def test_a_window_is_not_refused_for_a_context_that_was_measured_too_large():
    bench = Bench(ScriptedDevice(), 2 * GIB).ready()
    bench.device.outside += 1500 * MIB
    bench.now += 2 * OUTSIDE_EVERY_S
    bench.governor.trim()
    bench.governor._watch(after_s=0.0)
    bench.device.outside -= 1500 * MIB
    assert bench.governor.run(batch([512]), bench.forward) is not None
    assert bench.ran[-1] == (1, 512)


def test_batches_are_planned_below_the_limit_so_that_fragments_have_room():
    bench = Bench(ScriptedDevice(), 2 * GIB).ready()
    rows = bench.governor.largest_rows(512)
    assert bench.device.allocated + bench.governor.cost.predict(rows, 512) <= FULL * bench.governor.limit_bytes


def test_the_status_adds_up_and_can_be_sent_to_another_process():
    bench = Bench(ScriptedDevice(), 4 * GIB).ready()
    bench.governor.run(batch([128] * 4), bench.forward)
    status = pickle.loads(pickle.dumps(bench.governor.status()))
    assert status.used_bytes == status.outside_bytes + status.reserved_bytes <= status.peak_bytes <= status.budget_bytes
    assert status.limit_bytes + status.outside_bytes == status.budget_bytes and status.calibrated


def test_on_the_cpu_nothing_bounds_a_batch_but_one_too_large_is_halved():
    events: list[tuple[str, str]] = []
    governor = Governor(NoMeter(), budget_bytes=0, record=lambda *event: events.append(event))
    sizes: list[int] = []

    def forward(packed: Packed) -> Raw:
        sizes.append(packed.rows)
        if packed.rows > 10:
            raise MemoryError
        return echo(packed)

    check(governor.run(batch([8] * 32), forward), [8] * 32)
    assert sizes == [32, 16, 8, 8, 16, 8, 8]
    assert [kind for kind, _ in events] == ["oom", "oom", "oom"]
    with pytest.raises(GpuMemoryError, match="内存不足.*REX_MAX_LENGTH"):
        governor.run(batch([8]), lambda packed: (_ for _ in ()).throw(MemoryError()))
    assert governor.calibrate(lambda rows, width: pytest.fail("measured on the CPU")) == governor.cost

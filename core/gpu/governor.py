"""Keeps one process inside its budget of GPU memory: predict, split, and on out-of-memory shrink and try again.

What is bounded is all that the process holds: the allocator (weights, batches, cache) and what lies outside it
(context, kernels), which is measured and taken off the allocator's limit. Used by the thread that owns the device.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from core.errors import GpuMemoryError
from core.gpu.cost import SAFETY, UNMEASURED, Cost, Sample, fit
from core.gpu.meter import Meter, Usage, gib

PROBES = ((1, 64), (4, 64), (2, 128), (8, 128), (1, 256), (4, 256), (1, 512), (2, 512), (4, 512))
"""Rows and widths that calibration runs: small enough for a small card, different enough to tell the terms apart."""

FULL = 0.95
"""Share of the limit that batches are planned for; above it, held but unused memory is given back."""
LOW_CARD_BYTES = 256 * 2**20
"""Free memory of the whole card under which the cache is given back to whoever needs it."""
SLACK_BYTES = 256 * 2**20
"""Cache that is never worth a trim, and that must have gathered for one."""
TRIM_EVERY_S = 5.0
OUTSIDE_EVERY_S = 30.0
DOUBTED_EVERY_S = 2.0
"""How often context and kernels are measured while batches must be split: a reading may have been too high."""

Result = TypeVar("Result")
Record = Callable[[str, str], None]


class Work(Protocol):
    """A batch that can be divided: `core.inference.packing.Packed`."""

    @property
    def rows(self) -> int:
        """Number of prompts."""

    @property
    def width(self) -> int:
        """Tokens of each, padding included."""

    def part(self, start: int, stop: int) -> Any:
        """Some of its prompts as a batch of their own."""


@dataclass(frozen=True, slots=True)
class GovernorStatus:
    """Figures for the screen; a budget of 0 means that nothing bounds the device."""

    budget_bytes: int
    limit_bytes: int
    outside_bytes: int
    allocated_bytes: int
    reserved_bytes: int
    peak_bytes: int
    calibrated: bool
    splits: int
    trims: int
    ooms: int

    @property
    def used_bytes(self) -> int:
        """All that the process holds on the card."""
        return self.outside_bytes + self.reserved_bytes


class Governor:
    """Owner of the budget; `record(kind, text)` is told of load, trim, shrink, oom, flush and unload."""

    def __init__(
        self, meter: Meter, *, budget_bytes: int, record: Record, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.meter = meter
        self.budget_bytes = budget_bytes
        self.record = record
        self.cost = UNMEASURED
        self.calibrated = False
        self.splits = self.trims = self.ooms = 0
        self._clock = clock
        self._factor = 1.0  # what out-of-memory errors have taught about the prediction
        self._need = 0.0  # what recent batches took; forgets slowly
        self._peak = 0
        self._trimmed_s = self._outside_s = clock()
        self._outside = self._read_last = 0
        self._bound()

    @property
    def limit_bytes(self) -> int:
        """What the allocator may hold: the budget without context and kernels; 0 without a budget."""
        return max(0, self.budget_bytes - self._outside)

    def load(self, build: Callable[[], Result]) -> Result:
        """Build the model inside the budget. Raises GpuMemoryError when it does not fit."""
        built = self._attempt(build)
        if built is None:
            self.meter.empty_cache()
            built = self._attempt(build)
        if built is None:
            raise GpuMemoryError(f"模型放不进显存：{self._situation()}。请调大 REX_MEMORY_BUDGET，或设 REX_DEVICE=cpu")
        self._bound()
        if self.budget_bytes:
            held = gib(self.meter.usage().allocated_bytes)
            self.record("load", f"模型权重 {held}，上下文 {gib(self._outside)}，预算 {gib(self.budget_bytes)}")
        return built[0]

    def calibrate(self, probe: Callable[[int, int], object], *, widest: int = 512) -> Cost:
        """Measure batches of `PROBES` up to `widest` tokens; `probe(rows, width)` runs one. Returns the cost found."""
        if not self.budget_bytes:
            return self.cost
        samples: list[Sample] = []
        shapes = [(rows, min(width, widest)) for rows, width in PROBES]
        self._attempt(lambda: probe(*shapes[0]))  # what is loaded once (kernels, workspaces) belongs to no batch
        for rows, width in dict.fromkeys(shapes):
            self.meter.empty_cache()
            self.meter.reset_peak()
            before = self.meter.usage().allocated_bytes
            if self._attempt(lambda rows=rows, width=width: probe(rows, width)) is None:  # type: ignore[misc]
                continue  # a budget this small learns from the others
            samples.append(Sample(rows, width, max(0, self.meter.usage().peak_bytes - before)))
        self.meter.empty_cache()
        self.meter.reset_peak()
        self._bound()
        if samples:
            self.cost = fit(samples)
            self.calibrated = True
        return self.cost

    def largest_rows(self, width: int, *, besides: int = 0) -> int:
        """How many prompts of `width` tokens may run together now, at least one, which is always tried.

        besides: bytes that are to stay free.
        """
        if not self.budget_bytes:
            return 2**31
        return max(1, self.cost.rows_within(int((self._room() - besides) / self._factor), width))

    def run(self, packed: Any, forward: Callable[[Any], Any]) -> Any:
        """What `forward` gives for the batch, in parts where it must be; the parts are put together in order.

        Raises GpuMemoryError when a single prompt does not fit; its `row` is the prompt's place in the batch.
        """
        waiting: list[Work] = [packed]
        done: list[Any] = []
        rows: list[int] = []
        while waiting:
            work = waiting.pop()
            fitting = self.largest_rows(work.width)
            if work.rows > fitting:
                self.splits += 1
                self._watch(after_s=DOUBTED_EVERY_S)
                waiting += _divided(work, -(-work.rows // fitting))
                continue
            before = self._begin()
            raw = self._attempt(lambda work=work: forward(work))  # type: ignore[misc]
            if raw is None:
                self._learn(work)
                if work.rows > 1:
                    waiting += _divided(work, 2)
                    continue
                raw = self._attempt(lambda work=work: forward(work))  # type: ignore[misc]
                if raw is None:
                    self.ooms += 1
                    self.meter.empty_cache()
                    raise GpuMemoryError(self._refusal(work), row=sum(rows))
            done.append(raw[0])
            rows.append(work.rows)
            self._after(work, before)
        return done[0] if len(done) == 1 else done[0].join(done, rows)

    def trim(self, reason: str = "空闲") -> None:
        """Give cached memory back, and record how much came back."""
        before = self.meter.usage()
        self._trimmed_s = self._clock()
        self._need = 0.0
        if before.cached_bytes <= 0:
            return
        self.meter.empty_cache()
        freed = before.reserved_bytes - self.meter.usage().reserved_bytes
        if freed > 0:
            self.trims += 1
            self.record("trim", f"{reason}：归还 {gib(freed)} 缓存")

    def status(self) -> GovernorStatus:
        """Figures for the screen; may be asked from any thread."""
        usage = self.meter.usage()
        return GovernorStatus(
            budget_bytes=self.budget_bytes,
            limit_bytes=self.limit_bytes,
            outside_bytes=self._outside,
            allocated_bytes=usage.allocated_bytes,
            reserved_bytes=usage.reserved_bytes,
            peak_bytes=max(self._peak, usage.reserved_bytes) + self._outside,
            calibrated=self.calibrated,
            splits=self.splits,
            trims=self.trims,
            ooms=self.ooms,
        )

    def _room(self) -> int:
        """Bytes that a batch may take: within the limit, and within what the card still has."""
        usage = self.meter.usage()
        card = self.meter.free_card_bytes() + usage.cached_bytes
        return max(0, min(int(FULL * self.limit_bytes) - usage.allocated_bytes, card))

    def _attempt(self, work: Callable[[], Result]) -> tuple[Result] | None:
        """The result in a tuple, or None when memory ran out; then nothing of the attempt is alive any more."""
        try:
            return (work(),)
        except Exception as error:
            if not self.meter.is_out_of_memory(error):
                raise
        return None

    def _learn(self, work: Work) -> None:
        """After out-of-memory: free everything, and predict more for batches from now on."""
        self.ooms += 1
        self.meter.empty_cache()
        if not self.budget_bytes:
            self.record("oom", f"{work.rows} × {work.width} 词元的批次内存不足，改为一半")
            return
        room = self._room()
        predicted = self.cost.predict(work.rows, work.width)
        # Where the room shrank (another process), the next prediction says so by itself.
        # At most double: the next batches are measured, and tell whether it was an accident.
        self._factor = min(max(self._factor, 1.1 * room / predicted), 2 * self._factor)
        self.record("oom", f"{work.rows} × {work.width} 词元的批次显存不足（可用 {gib(room)}），拆分后重试")
        self._watch(after_s=0.0)
        if work.rows == 1:
            self._watch(after_s=0.0)  # the last chance of its document: of a reading too high nothing is left

    def _begin(self) -> int | None:
        """Before a batch while predictions are in doubt: begin a new peak; what is handed out now, else None."""
        if self._factor == 1.0:
            return None
        usage = self.meter.usage()
        self._peak = max(self._peak, usage.peak_bytes)
        self.meter.reset_peak()
        return usage.allocated_bytes

    def _after(self, work: Work, before: int | None) -> None:
        """After a batch: correct a doubted prediction, and give back what is held far above recent need."""
        if not self.budget_bytes:
            return
        usage = self.meter.usage()
        self._peak = max(self._peak, usage.peak_bytes)
        predicted = self.cost.predict(work.rows, work.width)
        if before is not None:
            taken = SAFETY * (usage.peak_allocated_bytes - before)
            self._factor = max(1.0, taken / predicted, 0.9 * self._factor)
        self._need = max(predicted * self._factor, self._need * 0.95)
        self._watch(after_s=OUTSIDE_EVERY_S)
        if self._clock() - self._trimmed_s < TRIM_EVERY_S or usage.cached_bytes <= SLACK_BYTES:
            return
        if reason := self._reason(usage):
            self.trim(reason)

    def _reason(self, usage: Usage) -> str:
        """Why cached memory should go back now; empty when it may stay."""
        if usage.reserved_bytes > FULL * self.limit_bytes:
            return f"占用超过预算的 {FULL:.0%}"
        if self.meter.free_card_bytes() < LOW_CARD_BYTES:
            return "整张卡的空闲显存不足"
        return "峰值已过" if usage.cached_bytes > 2 * self._need + SLACK_BYTES else ""

    def _watch(self, *, after_s: float) -> None:
        """Context and kernels grow while new code paths run: measure them again and move the limit."""
        if self._clock() - self._outside_s < after_s:
            return
        before = self._outside
        self._bound()
        if self._outside > before:
            self.record("shrink", f"上下文增至 {gib(self._outside)}，缓存上限降为 {gib(self.limit_bytes)}")
            if self.meter.usage().reserved_bytes > self.limit_bytes:
                self.trim("上下文增长")

    def _bound(self) -> None:
        """Measure what lies outside the allocator, and bound the allocator by the rest of the budget.

        The larger of two readings counts: one that was too low does not break the budget, and one that was too high,
        of a moment when the driver still counted what was gone, does not starve the process for good.
        """
        self._outside_s = self._clock()
        if self.budget_bytes:
            measured = self.meter.outside_bytes()
            self._outside, self._read_last = max(self._read_last, measured), measured
            self.meter.limit(self.limit_bytes)

    def _situation(self) -> str:
        """Budget, what is left of it, and who else is on the card."""
        others = self.meter.others()
        words = f"预算 {gib(self.budget_bytes)}，剩余 {gib(self._room())}" if self.budget_bytes else "内存已用尽"
        return words + (f"，同一张卡上的其他进程占用 {others}" if others else "")

    def _refusal(self, work: Work) -> str:
        """The clear end of a request whose window does not fit."""
        if not self.budget_bytes:
            return f"内存不足：一个 {work.width} 词元的窗口也放不下。请调小 REX_MAX_LENGTH，或关闭其他程序"
        # It was tried: what was left did not do, whatever had been predicted.
        need = gib(max(self.cost.predict(1, work.width) * self._factor, self._room()))
        return (
            f"显存不足：一个 {work.width} 词元的窗口至少需要 {need}，{self._situation()}。"
            "请调大 REX_MEMORY_BUDGET、调小 REX_MAX_LENGTH，或关闭卡上的其他程序"
        )


def _divided(work: Work, count: int) -> Sequence[Any]:
    """The batch in `count` even parts, last first, as a stack wants them."""
    bounds = [number * work.rows // count for number in range(count + 1)]
    return [work.part(start, stop) for start, stop in zip(bounds, bounds[1:], strict=False)][::-1]

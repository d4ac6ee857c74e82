"""Card memory by the driver: after loading, and at most under a budget."""

from __future__ import annotations

from core.benchmark.bench import Bench
from core.benchmark.card import GIB, Sampler, card_bytes, held_bytes
from core.benchmark.figures import Measured, missing
from core.benchmark.load import closed_loop, telling
from core.benchmark.network import SCHEMA
from core.benchmark.system import System, serving
from core.benchmark.texts import of_length, of_mixed_lengths
from core.gpu.meter import gib

BUDGET_BYTES = 2 * GIB
CALLERS = 32
NO_DRIVER = "读不到驱动的显存数字（需要 nvidia-ml-py 或 nvidia-smi）"


def measure_loaded(bench: Bench) -> list[Measured]:
    """The base-size network in a process of its own, context included, before its first batch."""
    if bench.kind != "cuda":
        return missing("loaded", bench.kind, reason="只能在显卡上测")
    index = bench.device.index or 0
    before = card_bytes(index)
    with serving(bench, bench.base, worker="process", threshold=bench.threshold) as system:
        pid = system.info.pid
        loaded = held_bytes(index, pid=pid, before=before)
        system.annotate(system.items(of_length(bench.texts, 8, length=128), SCHEMA))
        answered = held_bytes(index, pid=pid, before=before)
        detail = {"loaded_bytes": loaded, "after_first_answers_bytes": answered} | system.describe()
    if loaded is None:
        return [Measured("loaded_gib", None, NO_DRIVER, detail)]
    return [Measured("loaded_gib", loaded / GIB, "", detail)]


def measure_budget(bench: Bench) -> list[Measured]:
    """5,000 documents of 10 to 20,000 characters from 32 callers within 2 GiB; the peak is read every 20 ms."""
    if bench.kind != "cuda":
        return missing("budget", bench.kind, reason="只能在显卡上测")
    index = bench.device.index or 0
    texts = of_mixed_lengths(bench.texts, bench.count(5_000, 64), shortest=10, longest=20_000)
    before = card_bytes(index)
    bar = bench.window_threshold
    with serving(bench, bench.base, worker="process", threshold=bar, budget_bytes=BUDGET_BYTES) as system:
        pid = system.info.pid
        with Sampler(lambda: held_bytes(index, pid=pid, before=before)) as sampler:
            ask = telling(
                system.asking(texts, SCHEMA),
                lambda done: bench.progress(
                    f"{done}/{len(texts)} 篇，峰值 {gib(sampler.peak or 0)}，{_memory(system)}"
                ),
            )
            load = closed_loop(ask, len(texts), clients=CALLERS)
        detail = {
            "documents": len(texts),
            "characters": sum(map(len, texts)),
            "callers": CALLERS,
            "documents_per_s": load.per_s,
            "wall_s": load.wall_s,
            "memory": _memory(system),
            "readings": len(sampler.readings),
            "first_failures": list(load.failures[:5]),
        } | system.describe()
        peak = sampler.peak
    return [
        Measured("budget_failures", len(load.failures), "", detail),
        Measured("budget_peak_gib", None if peak is None else peak / GIB, NO_DRIVER if peak is None else "", detail),
    ]


def _memory(system: System) -> str:
    """What bounds batches now, in words: a scenario that takes too long must say why."""
    status = system.engine.scheduler.owner.status()
    if status is None:
        return "推理进程不在"
    memory = status.memory
    return (
        f"上下文 {gib(memory.outside_bytes)}，已分配 {gib(memory.allocated_bytes)}，"
        f"拆分 {memory.splits}、归还 {memory.trims}、不足 {memory.ooms} 次"
    )

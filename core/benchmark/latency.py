"""How long a request takes: alone, arriving by the clock, and from many callers at once."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from core.benchmark.bench import Bench
from core.benchmark.figures import Measured
from core.benchmark.formulas import interval, poisson_schedule
from core.benchmark.load import Load, closed_loop, one_by_one, open_loop
from core.benchmark.network import SCHEMA
from core.benchmark.system import System, serving
from core.benchmark.texts import of_length, of_mixed_lengths

CLIENTS = (8, 16, 64, 256)
SHARE = 0.6


def measure(bench: Bench) -> list[Measured]:
    """Requests of 20 to 200 characters, eight types, one after the other on an idle server."""
    texts = of_mixed_lengths(bench.texts, bench.count(3_000, 8), shortest=20, longest=200)
    with serving(bench, bench.base, threshold=bench.threshold) as system:
        ask = system.asking(texts, SCHEMA)
        one_by_one(ask, bench.count(200, 2))
        load = one_by_one(ask, len(texts))
        detail = _facts(load) | system.describe()
    return [
        _quantile("latency_p50_ms", load, 0.5, detail),
        _quantile("latency_p99_ms", load, 0.99, detail),
    ]


def measure_load(bench: Bench) -> list[Measured]:
    """Texts of 128 characters at 60 % of the offline rate of the same run; closed loops beside it."""
    texts = of_length(bench.texts, bench.count(4_000, 16), length=128)
    with serving(bench, bench.base, threshold=bench.threshold) as system:
        rate = offline_rate(system, texts, repeats=bench.count(3, 1))
        ask = system.asking(texts, SCHEMA)
        seconds = bench.count(20, 1)
        schedule = poisson_schedule(SHARE * rate, max(int(SHARE * rate * seconds), 4))
        bench.progress(f"开环：每秒 {SHARE * rate:.1f} 个请求，共 {len(schedule)} 个")
        load = open_loop(ask, schedule)
        detail = {"offline_per_s": rate, "asked_per_s": SHARE * rate, **_facts(load)} | system.describe()
        closed = {}
        for clients in CLIENTS if not bench.quick else CLIENTS[:1]:
            bench.progress(f"闭环：{clients} 个客户端")
            closed[str(clients)] = _facts(closed_loop(ask, bench.count(max(2_000, 20 * clients), 16), clients=clients))
    return [_quantile("open_loop_p99_ms", load, 0.99, detail | {"closed_loop": closed})]


def offline_rate(system: System, texts: list[str], *, repeats: int) -> float:
    """Documents a second when all are there at once: the median of `repeats` passes after one that is not counted."""
    items = system.items(texts, SCHEMA)
    rates = []
    for _ in range(repeats + 1):
        begun = time.perf_counter()
        system.annotate(items)
        rates.append(len(items) / (time.perf_counter() - begun))
    return float(np.median(rates[1:]))


def _quantile(name: str, load: Load, share: float, detail: dict[str, Any]) -> Measured:
    value = load.quantile_ms(share)
    if value is None or load.failures:
        return Measured(name, None, f"{len(load.failures)} 个请求失败：{next(iter(load.failures), '')}", detail)
    spread = interval(load.latencies_s, lambda one: float(np.quantile(one, share)) * 1000, rounds=200)
    return Measured(name, value, "", detail | {"interval": spread})


def _facts(load: Load) -> dict[str, Any]:
    return {
        "requests": len(load.latencies_s),
        "failures": len(load.failures),
        "per_s": load.per_s,
        **{f"p{round(share * 100)}_ms": load.quantile_ms(share) for share in (0.5, 0.9, 0.99)},
    }

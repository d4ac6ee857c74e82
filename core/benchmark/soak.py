"""Long mixed work with accidents: what leaks, and what is lost."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any

from core.benchmark.bench import Bench
from core.benchmark.environment import rss_bytes
from core.benchmark.figures import Measured
from core.benchmark.formulas import drift_pct
from core.benchmark.load import Load, closed_loop
from core.benchmark.network import SCHEMA
from core.benchmark.system import System, serving
from core.benchmark.texts import of_mixed_lengths
from core.schemas.schema import Schema, parse_schema

QUESTIONS: tuple[tuple[str, Schema], ...] = (
    ("ner", SCHEMA),
    ("re", parse_schema({"人物": {"职务": None, "所属机构(组织机构)": None}})),
    ("classification", parse_schema({"体育": None, "财经": None, "科技": None})),
)
CALLERS = 32
STAGES = 50
KILL_STAGE = 4
OOM_SHARE = 0.2
"""Share of the requests that meet errors raised on purpose; for that the network is in this process."""
OOM_EVERY = 100
"""Passes between two of them."""


@dataclass
class Readings:
    """Memory at the end of each stage, in bytes, and what the lost requests met."""

    rss: list[float] = field(default_factory=list)
    reserved: list[float] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def measure(bench: Bench) -> list[Measured]:
    """50,000 requests of 10 to 2,000 characters; a flush and a reading of all memory ends each of 50 stages.

    Readings behind a flush are alike in what may be cached, so that what grows between them has leaked. The network
    is in a process of its own, which is killed in the fifth stage, within the warm-up that the drift leaves out: a
    new process begins with new memory. The last fifth of the stages has the network in this process and every
    hundredth pass run out of memory; its requests count as lost like all others, its memory is another process's.
    """
    longest = bench.count(2_000, 100)
    texts = of_mixed_lengths(bench.texts, bench.count(50_000, 60), shortest=10, longest=longest)
    stages = bench.count(STAGES, 15)
    first = round(stages * (1 - OOM_SHARE))
    parts = [texts[n * len(texts) // stages : (n + 1) * len(texts) // stages] for n in range(stages)]
    with serving(bench, bench.base, worker="process", threshold=bench.window_threshold) as system:
        readings = _stages(bench, system, parts[:first], kill=KILL_STAGE)
        detail: dict[str, Any] = {"killed_workers": 1} | system.describe()
    every = bench.count(OOM_EVERY, 2)
    with serving(bench, bench.base, threshold=bench.window_threshold, oom_every=every) as system:
        failing = _stages(bench, system, parts[first:], kill=None)
        detail |= {"with_ooms": {"requests": sum(map(len, parts[first:])), "every": every} | system.describe()}
    lost = readings.lost + failing.lost
    detail |= {
        "requests": len(texts),
        "stages": stages,
        "rss_bytes": readings.rss,
        "reserved_bytes": readings.reserved,
        "first_failures": lost[:5],
    }
    return [
        _drift("soak_reserved_drift_pct", readings.reserved, detail),
        _drift("soak_rss_drift_pct", readings.rss, detail),
        Measured("soak_lost", len(lost), "", detail),
    ]


def _stages(bench: Bench, system: System, parts: list[list[str]], *, kill: int | None) -> Readings:
    """Run stage after stage; in the one numbered `kill` the worker is killed."""
    readings = Readings()
    for stage, part in enumerate(parts):
        load = _stage(system, part, kill=stage == kill)
        readings.lost += load.failures
        after = system.flush()
        pids = {os.getpid(), system.info.pid}
        readings.rss.append(float(sum(rss_bytes(pid) or 0 for pid in pids)))
        if after.reserved_bytes is not None:
            readings.reserved.append(float(after.reserved_bytes))
        bench.progress(
            f"第 {stage + 1}/{len(parts)} 段：{len(part)} 个请求，{load.wall_s:.0f} 秒，丢失 {len(load.failures)}"
        )
    return readings


def _stage(system: System, texts: list[str], *, kill: bool) -> Load:
    """The requests of one stage; half-way through the worker is killed."""
    questions = list(islice(cycle(QUESTIONS), len(texts)))
    worker = system.info.pid

    def ask(number: int) -> None:
        if kill and number == len(texts) // 2:
            os.kill(worker, signal.SIGKILL)
        task, schema = questions[number]
        system.annotate(system.items([texts[number]], schema, task=task), urgent=number % 4 == 0)

    load = closed_loop(ask, len(texts), clients=CALLERS)
    if kill:  # when all were answered before the blow, this one finds the worker dead and starts a new one
        system.annotate(system.items(texts[:1], SCHEMA))
    return load


def _drift(name: str, series: list[float], detail: dict[str, Any]) -> Measured:
    value = drift_pct(series)
    return Measured(name, value, "" if value is not None else f"读数不够：{len(series)} 次", detail)

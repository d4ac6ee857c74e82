"""Documents a second end to end, beside the naive path in the same run."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from core.benchmark.bench import Bench
from core.benchmark.encoder import median
from core.benchmark.figures import Measured
from core.benchmark.formulas import interval
from core.benchmark.naive import load_naive
from core.benchmark.network import SCHEMA
from core.benchmark.system import serving
from core.benchmark.texts import of_length
from core.schemas.schema import parse_schema
from core.tasks import TASKS
from core.types import Annotation

LENGTH = 128
CPU_SCHEMA = parse_schema({"人物": None, "地理位置": None, "组织机构": None})


def measure(bench: Bench) -> list[Measured]:
    """Texts of 128 characters, eight types, the base-size network; float32 answers are compared with the naive ones."""
    rates, naive, detail = _both(bench, bench.base, threshold=bench.threshold)
    ratio, spread = _ratio(rates, naive)
    return [
        Measured("ratio_naive_128", ratio, "", detail | {"interval": spread}),
        Measured("docs_per_s_128", float(np.median(rates)), "", detail | {"interval": interval(rates, median)}),
    ]


def measure_cpu(bench: Bench) -> list[Measured]:
    """The embedded model, 200 texts of 128 characters, three types."""
    rates, naive, detail = _both(bench, bench.model, threshold=None)
    ratio, spread = _ratio(rates, naive)
    return [Measured("cpu_ratio", ratio, "", detail | {"interval": spread})]


def measure_windows(bench: Bench) -> list[Measured]:
    """Long texts that fill windows of 512 tokens; a window is counted once whatever it is asked."""
    texts = of_length(bench.texts, bench.count(100, 2), length=bench.count(20_000, 2_000))
    rates, windows = [], 0
    with serving(bench, bench.base, threshold=bench.window_threshold) as system:
        items = system.items(texts, SCHEMA)
        system.annotate(items[: max(len(items) // 10, 1)])
        for _ in range(bench.count(5, 1)):
            begun = time.perf_counter()
            windows = sum(result.windows for result in system.annotate(items))
            rates.append(windows / (time.perf_counter() - begun))
    detail = {"documents": len(texts), "windows": windows, "rates": rates, "interval": interval(rates, median)}
    return [Measured("windows_per_s_512", float(np.median(rates)), "", detail)]


def _both(bench: Bench, directory: Path, *, threshold: float | None) -> tuple[list[float], list[float], dict[str, Any]]:
    """Documents a second of the engine and of the naive path, taken in turn, and what stands behind them.

    The engine reads all texts five times; the naive path reads another part of them each time, for it is slow.
    """
    small = directory == bench.model
    rounds = bench.count(5, 1)
    texts = of_length(bench.texts, bench.count(200 if small else 10_000, 8), length=LENGTH)
    part = bench.count(40, 4)
    schema = CPU_SCHEMA if small else SCHEMA
    rates, slow, same = [], [], 0
    with serving(bench, directory, threshold=threshold) as system:
        limits = system.engine.limits
        limits = limits if threshold is None else replace(limits, threshold=threshold)
        naive = load_naive(directory, device=bench.device_name, limits=limits)
        items = system.items(texts, schema)
        system.annotate(items[: max(len(items) // 10, 1)])  # what is set up once is not timed
        naive.annotate(texts[-1], TASKS["ner"], schema=schema)
        for number in range(rounds):
            bench.progress(f"第 {number + 1}/{rounds} 遍")
            begun = time.perf_counter()
            found = system.annotate(items)
            rates.append(len(items) / (time.perf_counter() - begun))
            chosen = range(number * part, (number + 1) * part)
            begun = time.perf_counter()
            answers = [naive.annotate(texts[index], TASKS["ner"], schema=schema) for index in chosen]
            slow.append(part / (time.perf_counter() - begun))
            same += sum(
                _keys(answer) == _keys(found[index].annotations) for answer, index in zip(answers, chosen, strict=True)
            )
        detail = {
            "documents": len(items),
            "naive_documents": rounds * part,
            "types": len(schema.types),
            "rates": rates,
            "naive_rates": slow,
            "threshold": system.threshold,
            "equal_answers": same / (rounds * part),
            "annotations_per_document": float(np.mean([len(one.annotations) for one in found])),
        } | system.describe()
    return rates, slow, detail


def _keys(annotations: tuple[Annotation, ...]) -> set[tuple[str, int | None, int | None]]:
    return {(one.type, one.start, one.end) for one in annotations}


def _ratio(rates: list[float], naive: list[float]) -> tuple[float, tuple[float, float]]:
    pairs = [one / other for one, other in zip(rates, naive, strict=True)]
    return float(np.median(pairs)), interval(pairs, median)

"""`python -m core benchmark`: measure what the engine is judged by, or merge the runs into one table."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from core.benchmark import encoder, latency, memory, others, peak, precision, soak, startup, throughput
from core.benchmark.bench import Bench
from core.benchmark.environment import describe
from core.benchmark.figures import FIGURES, Measured, missing, of_scenario
from core.benchmark.network import EMBEDDED
from core.benchmark.report import add, lines, new_report, write_json
from core.benchmark.summary import summarise
from core.benchmark.texts import SAMPLES, read_texts
from core.config import Settings
from core.errors import InputError, RexError


def _storing() -> ModuleType:
    """The scenarios of the database: they alone need its packages, which a machine with the engine only lacks."""
    from core.benchmark import storing

    return storing


SCENARIOS: dict[str, Callable[[Bench], list[Measured]]] = {
    "throughput": throughput.measure,
    "windows": throughput.measure_windows,
    "encoder": encoder.measure,
    "others": others.measure,
    "latency": latency.measure,
    "load": latency.measure_load,
    "loaded": memory.measure_loaded,
    "budget": memory.measure_budget,
    "peak": peak.measure,
    "soak": soak.measure,
    "start": startup.measure,
    "precision": precision.measure,
    "cpu": throughput.measure_cpu,
    "import": lambda bench: _storing().measure_import(bench),
    "queries": lambda bench: _storing().measure_queries(bench),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; a RexError ends it with the message."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(words)
    try:
        if options.summary:
            summary = summarise()
            report: dict[str, Any] = {"figures": summary}
        else:
            report = _run(options, command=shlex.join(["python", "-m", "core", "benchmark", *words]))
    except RexError as error:
        raise SystemExit(f"错误：{error}") from error
    shown = json.dumps(report, ensure_ascii=False, indent=1) if options.json else "\n".join(lines(_marked(report)))
    sys.stdout.write(shown + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m core benchmark", description="测量引擎：吞吐、时延、显存、稳定性；不给 --only 则全部"
    )
    parser.add_argument("--only", action="append", default=[], help=f"场景或指标，可重复：{'、'.join(SCENARIOS)}")
    parser.add_argument("--device", default="auto", help="auto、cpu、cuda 或 cuda:N")
    parser.add_argument("--dtype", default="auto", help="auto、float32、bfloat16 或 float16；auto 与产品的选择相同")
    parser.add_argument("--texts", type=Path, help="真实文本：每行一段，或含 text 的 JSON 行；缺省用 data/samples")
    parser.add_argument(
        "--records", type=Path, default=SAMPLES / "finetune_check.jsonl", help="计算 F1 的标注记录（JSON 行）"
    )
    parser.add_argument("--model", type=Path, default=EMBEDDED, help="精度、启动和 CPU 场景用的检查点；缺省用内置模型")
    parser.add_argument("--base", type=Path, help="随机网络所在的目录，没有就写出；缺省每次运行各写一份")
    parser.add_argument("--quick", action="store_true", help="每项只做几次，看能否运行；结果不进汇总")
    parser.add_argument("--out", type=Path, help="把这次运行写成 JSON；每完成一个场景就更新")
    parser.add_argument("--json", action="store_true", help="以 JSON 输出")
    parser.add_argument(
        "--summary", action="store_true", help="不测量：把 data/benchmarks 里的运行合成 summary.json 并更新文档的表"
    )
    return parser


def _run(options: argparse.Namespace, *, command: str) -> dict[str, Any]:
    chosen = _chosen(options.only)
    with tempfile.TemporaryDirectory(prefix="rex-benchmark-") as scratch:
        bench = Bench(
            device_name=options.device,
            dtype=options.dtype,
            texts=read_texts(options.texts),
            records=options.records,
            quick=options.quick,
            scratch=Path(scratch),
            progress=_progress,
            model=options.model,
            written=options.base,
        )
        profile = Settings().profile
        report = new_report(
            describe(bench.device),
            command=command,
            device=bench.kind,
            quick=bench.quick,
            imitates="" if profile.lower() == "auto" else profile,
        )
        for name in chosen:
            if not of_scenario(name, bench.kind) and not options.only:
                continue  # this scenario belongs to another kind of device
            _progress(f"场景 {name}")
            add(report, _measured(bench, name))
            if options.out is not None:
                write_json(options.out, report)
    return report


def _measured(bench: Bench, scenario: str) -> list[Measured]:
    """What a scenario gives; when it fails, its figures are missing for that reason and the run goes on."""
    if not of_scenario(scenario, bench.kind) and not bench.quick:
        reason = f"不在 {bench.kind} 上定义；只想看它能否运行时请加 --quick"
        return missing(scenario, bench.kind, reason=reason)
    try:
        return SCENARIOS[scenario](bench)
    except Exception as error:  # hours of other scenarios must not be lost with one
        return missing(scenario, bench.kind, reason=f"{type(error).__name__}: {error}")


def _chosen(names: Sequence[str]) -> list[str]:
    """The scenarios named by themselves or by a figure, in the order of SCENARIOS; all without names."""
    wanted = [part.strip() for name in names for part in name.split(",") if part.strip()]
    unknown = [name for name in wanted if name not in SCENARIOS and name not in FIGURES]
    if unknown:
        raise InputError(f"没有场景或指标“{'、'.join(unknown)}”：可选 {'、'.join([*SCENARIOS, *FIGURES])}")
    scenarios = {FIGURES[name].scenario if name in FIGURES else name for name in wanted}
    return [name for name in SCENARIOS if not wanted or name in scenarios]


def _marked(report: dict[str, Any]) -> dict[str, Any]:
    return {"figures": {name: {"holds": None, **one} for name, one in report["figures"].items()}}


def _progress(line: str) -> None:
    sys.stderr.write(line + "\n")

"""`python -m core benchmark`: measure what the engine is judged by, or merge the runs into one table."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from core.benchmark import encoder, latency, memory, others, peak, precision, soak, startup, studies, throughput
from core.benchmark.bench import Bench
from core.benchmark.capacity import bring_up_to_date
from core.benchmark.card_run import run_all
from core.benchmark.environment import describe
from core.benchmark.figures import FIGURES, Measured, missing, of_scenario
from core.benchmark.network import EMBEDDED
from core.benchmark.report import add, lines, new_report, plain, write_json
from core.benchmark.summary import summarise
from core.benchmark.texts import SAMPLES, read_texts
from core.config import Settings
from core.errors import InputError, RexError
from core.model.checkpoint import resolve_device


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


STUDIES: dict[str, Callable[[Bench], Mapping[str, Any]]] = {"graphs": studies.graphs, "variants": studies.variants}
"""Measured to choose by, without a target; only when named, or with --all."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; a RexError ends it with the message."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(words)
    try:
        if options.summary:
            summary = summarise()
            bring_up_to_date()
            report: dict[str, Any] = {"figures": summary}
        else:
            work = _run_all if options.all else _run
            report = work(options, command=shlex.join(["python", "-m", "core", "benchmark", *words]))
    except RexError as error:
        raise SystemExit(f"错误：{error}") from error
    shown = json.dumps(report, ensure_ascii=False, indent=1) if options.json else "\n".join(lines(_marked(report)))
    sys.stdout.write(shown + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m core benchmark", description="测量引擎：吞吐、时延、显存、稳定性；不给 --only 则全部"
    )
    parser.add_argument(
        "--only", action="append", default=[], help=f"场景或指标，可重复：{'、'.join([*SCENARIOS, *STUDIES])}"
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="每个场景一个进程、各有时限，连同 gpu 测试；--out 为目录，结果是其中的 run.json",
    )
    parser.add_argument("--limit", type=float, default=360, help="--all 的总时限，秒；缺省 360")
    parser.add_argument("--device", default="auto", help="auto、cpu、cuda 或 cuda:N")
    parser.add_argument("--dtype", default="auto", help="auto、float32、bfloat16 或 float16；auto 与产品的选择相同")
    parser.add_argument("--texts", type=Path, help="真实文本：每行一段，或含 text 的 JSON 行；缺省用 data/samples")
    parser.add_argument(
        "--records", type=Path, help="计算 F1 的标注记录（JSON 行）；缺省用 data/samples，--all 用 data/training"
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


def _run_all(options: argparse.Namespace, *, command: str) -> dict[str, Any]:
    if options.out is None or options.only:
        raise InputError("--all 需要 --out 目录，且不与 --only 同用")
    device = resolve_device(options.device)
    words = ["--dtype", options.dtype, "--model", str(options.model), *(["--quick"] if options.quick else [])]
    return run_all(
        _new_report(device, command=command, quick=options.quick),
        options.out,
        device=device.type,
        limit_s=options.limit,
        words=words,
        inputs=(options.texts, options.records, options.base),
        progress=_progress,
    )


def _new_report(device: torch.device, *, command: str, quick: bool) -> dict[str, Any]:
    profile = Settings().profile
    imitates = "" if profile.lower() == "auto" else profile
    return new_report(describe(device), command=command, device=device.type, quick=quick, imitates=imitates)


def _run(options: argparse.Namespace, *, command: str) -> dict[str, Any]:
    chosen = _chosen(options.only)
    with tempfile.TemporaryDirectory(prefix="rex-benchmark-") as scratch:
        bench = Bench(
            device_name=options.device,
            dtype=options.dtype,
            texts=read_texts(options.texts),
            records=options.records or SAMPLES / "finetune_check.jsonl",
            quick=options.quick,
            scratch=Path(scratch),
            progress=_progress,
            model=options.model,
            written=options.base,
        )
        report = _new_report(bench.device, command=command, quick=bench.quick)
        for name in chosen:
            if name in STUDIES:
                report.setdefault("studies", {})[name] = _studied(bench, name)
            elif not of_scenario(name, bench.kind) and not options.only:
                continue  # this scenario belongs to another kind of device
            else:
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


def _studied(bench: Bench, name: str) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = plain(STUDIES[name](bench))
        return found
    except Exception as error:  # as above
        return {"reason": f"{type(error).__name__}: {error}"}


def _chosen(names: Sequence[str]) -> list[str]:
    """The scenarios named by themselves or by a figure, in the order of SCENARIOS; all without names."""
    wanted = [part.strip() for name in names for part in name.split(",") if part.strip()]
    unknown = [name for name in wanted if name not in {*SCENARIOS, *STUDIES, *FIGURES}]
    if unknown:
        raise InputError(f"没有场景或指标“{'、'.join(unknown)}”：可选 {'、'.join([*SCENARIOS, *STUDIES, *FIGURES])}")
    scenarios = {FIGURES[name].scenario if name in FIGURES else name for name in wanted}
    return [name for name in (*SCENARIOS, *STUDIES) if name in scenarios or (not wanted and name in SCENARIOS)]


def _marked(report: dict[str, Any]) -> dict[str, Any]:
    return {"figures": {name: {"holds": None, **one} for name, one in report["figures"].items()}}


def _progress(line: str) -> None:
    sys.stderr.write(line + "\n")

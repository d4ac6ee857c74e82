"""From the start of a process to its first answer, files in the disk cache."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from importlib.util import find_spec

import numpy as np

from core.benchmark.bench import Bench
from core.benchmark.figures import Measured
from core.benchmark.texts import ROOT, of_length
from core.errors import RexError

PRODUCT = ("pydantic_settings", "typer", "sqlalchemy", "psutil")
"""What the command line needs; without it the benchmark's own program answers."""
LONGEST_S = 300


def measure(bench: Bench) -> list[Measured]:
    """A fresh process annotates one text; counted until its answer can be read, the median after one that warms up."""
    name = "start_s_gpu" if bench.kind == "cuda" else "start_s_cpu"
    (text,) = of_length(bench.texts, 1, length=60)
    command = _command(bench, text)
    taken: list[float] = []
    for number in range(bench.count(6, 2)):
        taken.append(_first_answer(command)[0])
        bench.progress(f"启动 {number}：{taken[-1]:.1f} 秒")
    taken = taken[1:]
    program = "core annotate" if "annotate" in command else "core.benchmark.first_answer"
    stages = _stages(_first_answer(_smallest(bench, text))[1])
    bench.progress(f"各步骤（秒）：{json.dumps(stages)}")
    detail = {"seconds": taken, "program": f"python -m {program}", "model": bench.model.name, "stages_s": stages}
    return [Measured(name, float(np.median(taken)), "", detail)]


def _command(bench: Bench, text: str) -> list[str]:
    if all(find_spec(package) for package in PRODUCT):
        # The settings are read from the environment; `env` sets one variable more for this process alone.
        words = ["core", "annotate", "--task", "ner", "--schema", '{"人物": null}', "--model", str(bench.model)]
        return ["env", f"REX_DEVICE={bench.device_name}", sys.executable, "-m", *words, "--text", text]
    return _smallest(bench, text)


def _smallest(bench: Bench, text: str) -> list[str]:
    words = ["core.benchmark.first_answer", "--model", str(bench.model), "--device", bench.device_name]
    return [sys.executable, "-m", *words, "--text", text]


def _stages(rest: str) -> dict[str, float]:
    """What `first_answer` says after its answer: seconds from its start to the end of each stage, and of loading."""
    stages: dict[str, float] = json.loads(rest)["stages_s"]
    return stages


def _first_answer(command: list[str]) -> tuple[float, str]:
    """Seconds until the first line, and what followed it; raises RexError when the process ends without one."""
    begun = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        line = process.stdout.readline()
        taken = time.perf_counter() - begun
        try:
            rest, said = process.communicate(timeout=LONGEST_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise RexError(f"启动测量的进程 {LONGEST_S} 秒后仍未结束") from None
    if not line.startswith(("{", "[")):
        raise RexError(f"启动测量的进程没有回答：{said[-500:]}")
    return taken, rest

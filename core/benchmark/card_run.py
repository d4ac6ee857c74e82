"""Everything about one machine in one unattended run: each scenario a process of its own with a limit of its own.

The scenarios that take times have the first card to themselves, one after the other, the most telling first. Those
that count or compare share a second card meanwhile, or the same one afterwards. What is finished is written at once.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.benchmark.figures import missing, of_scenario
from core.benchmark.network import save_base
from core.benchmark.report import add, write_json
from core.benchmark.texts import ROOT

ALONE: tuple[tuple[str, int], ...] = (
    ("encoder", 75),
    ("throughput", 90),
    ("latency", 60),
    ("start", 150),
    ("tests", 150),
    ("loaded", 30),
    ("windows", 120),
    ("others", 90),
    ("load", 140),
    ("budget", 240),
    ("graphs", 40),
    ("variants", 60),
)
"""Scenario or study → seconds that it may take; each has the card to itself."""
TOGETHER: tuple[tuple[str, int], ...] = (
    ("soak", 330),
    ("precision", 150),
    ("peak", 60),
    ("cpu", 170),
)
"""These do not mind each other; `cpu` may come out slower than alone."""
STUDIES = ("graphs", "variants", "tests")
"""Steps without figures."""
KEPT_FOR_TOGETHER_S = 240
"""Of the whole time, where there is no second card."""
LEAST_S = 8
TESTS = ("tests/model", "tests/inference", "tests/gpu")
CARDS = (
    "import json, torch; print(json.dumps([str(torch.cuda.get_device_properties(n).uuid) "
    "for n in range(torch.cuda.device_count())]))"
)


@dataclass
class Run:
    """A run in progress: the report that grows, the directory it is in, and when nothing may begin any more."""

    report: dict[str, Any]
    directory: Path
    kind: str
    words: Sequence[str]
    ends: float
    progress: Callable[[str], None]
    lock: threading.Lock = field(default_factory=threading.Lock)

    def keep(self, name: str, found: Mapping[str, Any], *, reason: str) -> None:
        """Take over what a step found; its figures that are not there are missing for the reason."""
        with self.lock:
            self.report["figures"] |= found.get("figures", {})
            self.report["studies"] |= found.get("studies", {})
            if name in STUDIES:
                self.report["studies"].setdefault(name, {"reason": reason})
            gone = [one for one in missing(name, self.kind, reason=reason) if one.name not in self.report["figures"]]
            add(self.report, gone)
            write_json(self.directory / "run.json", self.report)


def run_all(
    report: dict[str, Any],
    directory: Path,
    *,
    device: str,
    limit_s: float,
    words: Sequence[str],
    inputs: Sequence[Path | None],
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Fill a report with all that can be measured on `device` ("cuda" or "cpu") within `limit_s` seconds.

    directory: gets run.json, which belongs into data/benchmarks when the run was a full one, and the words of every
    step in logs. words: options passed on to every scenario. inputs: texts, records, base-size network; what is None
    is made of what the repository has.
    """
    begun = time.monotonic()
    (directory / "logs").mkdir(parents=True, exist_ok=True)
    report["studies"] = {}
    texts, records, base = inputs
    if texts is None or records is None:
        made = _written(directory / "inputs")
        texts, records = texts or made, records or made
    base = base or save_base(directory / "inputs" / "base")
    given = [*words, "--texts", str(texts), "--records", str(records), "--base", str(base)]
    run = Run(report, directory, device, given, begun + limit_s, progress)
    cards = _cards() if device == "cuda" else []
    alone, together = (
        [step for step in steps if _belongs(step[0], device, quick=report["quick"])] for steps in (ALONE, TOGETHER)
    )
    if len(cards) > 1:
        beside = threading.Thread(target=_together, args=(run, together, cards[1]))
        beside.start()
        _one_by_one(run, alone, cards[0], ends=run.ends)
        beside.join()
    else:
        card = cards[0] if cards else None
        _one_by_one(run, alone, card, ends=run.ends - min(KEPT_FOR_TOGETHER_S, limit_s / 3))
        together_or_not = _together if cards else _one_by_one  # on a processor everything minds everything
        together_or_not(run, together, card)
    report["seconds"] = round(time.monotonic() - begun)
    write_json(directory / "run.json", report)
    return report


def _belongs(name: str, device: str, *, quick: bool) -> bool:
    """Whether a step is for this kind of device; a quick run tries on any device whether it works, tests apart."""
    if name == "tests" or (name in STUDIES and not quick):
        return device == "cuda"
    return quick or bool(of_scenario(name, device))


def _one_by_one(run: Run, steps: Sequence[tuple[str, int]], card: str | None, *, ends: float | None = None) -> None:
    for name, limit in steps:
        _step(run, name, card, limit_s=min(limit, (ends or run.ends) - time.monotonic()))


def _together(run: Run, steps: Sequence[tuple[str, int]], card: str | None) -> None:
    threads = [
        threading.Thread(
            target=_step, args=(run, name, card), kwargs={"limit_s": min(limit, run.ends - time.monotonic())}
        )
        for name, limit in steps
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _step(run: Run, name: str, card: str | None, *, limit_s: float) -> None:
    """One scenario in a process of its own, which sees one card only."""
    if limit_s < LEAST_S:
        return run.keep(name, {}, reason="时间用完，没有运行")
    out = run.directory / "logs" / f"{name}.json"
    out.unlink(missing_ok=True)
    command = [
        sys.executable,
        "-m",
        "core.benchmark",
        "--device",
        run.kind,
        "--only",
        name,
        *run.words,
        "--out",
        str(out),
    ]
    if name == "tests":
        command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "--tb=short", "-p", "no:cacheprovider", *TESTS]
    if card is not None:  # `env` sets a variable for this process alone
        command = ["env", f"CUDA_VISIBLE_DEVICES={card}", *command]
    begun = time.monotonic()
    said, ended = _call(command, log=run.directory / "logs" / f"{name}.txt", limit_s=limit_s)
    taken = time.monotonic() - begun
    run.progress(f"{name}：{ended or '完成'}，{taken:.0f} 秒")
    last = said.strip().splitlines()[-1:] or [""]
    found: dict[str, Any] = json.loads(out.read_text("utf-8")) if out.is_file() else {}
    if name == "tests":
        found = {"studies": {"tests": {"said": last[0], "passed": not ended}}}
    run.keep(name, found, reason=f"{ended or '没有结果'}：{last[0][:200]}")


def _call(command: Sequence[str], *, log: Path, limit_s: float) -> tuple[str, str]:
    """Run a command with its words in a file; returns them and how it failed, "" for well."""
    with log.open("w", encoding="utf-8") as file:
        child = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            status = child.wait(limit_s)
            ended = f"状态 {status}" if status else ""
        except subprocess.TimeoutExpired:
            ended = f"超过 {limit_s:.0f} 秒"
            os.killpg(child.pid, signal.SIGKILL)  # with the worker that holds the network
            child.wait()
    return log.read_text("utf-8", errors="replace"), ended


def _cards() -> list[str]:
    """The names by which a process can be given one card; asked in another process, lest this one take memory there."""
    done = subprocess.run([sys.executable, "-c", CARDS], capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        return []
    return [name if name.startswith("GPU-") else f"GPU-{name}" for name in json.loads(done.stdout)]


def _written(directory: Path) -> Path:
    """The repository's own texts with their answers, as one file of records."""
    files = sorted(str(path) for path in (ROOT / "data" / "training").glob("*.txt"))
    command = [sys.executable, "-m", "core.training.written", *files, "--out", str(directory)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    path = directory / "written.jsonl"
    path.write_text(
        "".join((directory / f"written.{part}.jsonl").read_text("utf-8") for part in ("dev", "train")), "utf-8"
    )
    return path

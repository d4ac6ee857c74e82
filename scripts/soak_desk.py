"""What a desk keeps after much work: `python -m scripts.soak_desk` asks for minutes without a pause and writes JSON.

Sixteen users who each ask every ten seconds ask 414,720 times in 72 hours. Here they ask again as soon as they are
answered, through the services of a real application with its own database and the settings of production; how much of
the 72 hours that was is told, and so is what was lost, the latency, and the memory of the process at the end of each
stage. One request in ten is stored as a run, as pages do it. Nothing is given back by hand.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from core import bootstrap, job_services, services
from core.benchmark.environment import describe, rss_bytes
from core.benchmark.formulas import drift_pct
from core.benchmark.load import closed_loop
from core.benchmark.texts import ROOT, of_mixed_lengths, read_texts
from core.config import EMBEDDED_MODEL, Settings
from core.errors import RexError
from core.model.checkpoint import resolve_device
from core.services import Application
from core.storage import queries
from core.types import Document

USERS, EVERY_S, HOURS = 16, 10, 72
WHOLE = USERS * HOURS * 3600 // EVERY_S
STAGE = 64
"""Requests between two readings of memory."""
STORED_EVERY = 10
SHORTEST, LONGEST, TEXTS = 10, 120, 4_000
WARM_UP = 0.2
QUESTIONS: tuple[tuple[str, Any], ...] = (
    ("ner", {"人物": None, "地理位置": None, "组织机构": None}),
    ("sentiment", {"正向情感": None, "负向情感": None}),
    ("re", {"人物": {"所属机构(组织机构)": None}}),
    ("classification", {"体育": None, "财经": None, "科技": None}),
)
PATIENCE_S = 120.0


def ask(app: Application, number: int, text: str) -> None:
    """Request number n. Raises RexError when it is not answered whole."""
    task, schema = QUESTIONS[number % len(QUESTIONS)]
    document = Document(text, id=str(number))
    if number % STORED_EVERY:
        (result,) = services.annotate(app, [document], task=task, schema=schema)
        if result.error:
            raise RexError(result.error)
        return
    job = job_services.start_job(app, [document], task=task, schema=schema)
    if not job_services.wait_for_jobs(app, [job], PATIENCE_S):
        raise RexError(f"job {job} did not end")
    run = queries.get_run(app.database, job)
    if (run.state, run.done, run.failed) != ("done", 1, 0):
        raise RexError(f"job {job}: {run.state} {run.error or ''}")


def measure(app: Application, texts: Sequence[str], *, minutes: float, begun_rss: int) -> dict[str, Any]:
    """Ask until the time is over; the report without what it was measured on."""
    services.annotate(app, [Document(texts[0])], task="ner", schema=QUESTIONS[0][1])
    loaded = rss_bytes(os.getpid()) or 0
    answered: list[float] = []
    failures: list[str] = []
    rss: list[int] = []
    asked = 0
    began = time.perf_counter()
    while time.perf_counter() - began < 60 * minutes:
        first = asked

        def one(number: int, first: int = first) -> None:
            ask(app, first + number, texts[(first + number) % len(texts)])

        load = closed_loop(one, STAGE, clients=USERS)
        asked += STAGE
        answered += load.latencies_s
        failures += load.failures
        rss.append(rss_bytes(os.getpid()) or 0)
        sys.stderr.write(f"\r{asked} asked, {len(failures)} lost, {rss[-1] / 2**20:.0f} MiB ")
    wall_s = time.perf_counter() - began
    warm = rss[int(len(rss) * WARM_UP) :]
    p50, p95, p99 = (round(1000 * float(one), 1) for one in np.quantile(answered, (0.5, 0.95, 0.99)))
    drift = drift_pct(rss, warm_up=WARM_UP)
    return {
        "users": USERS,
        "requests": asked,
        "of_72_hours": WHOLE,
        "share_of_72_hours_pct": round(100 * asked / WHOLE, 2),
        "stored_runs": queries.count_runs(app.database),
        "lost": len(failures),
        "first_failures": failures[:5],
        "wall_s": round(wall_s, 1),
        "requests_per_s": round(asked / wall_s, 2),
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "rss_before_loading_bytes": begun_rss,
        "rss_loaded_bytes": loaded,
        "rss_after_warm_up_bytes": warm[0],
        "rss_end_bytes": rss[-1],
        "rss_highest_bytes": max(rss),
        "drift_pct": None if drift is None else round(drift, 2),
        "rss_bytes": rss,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=12.0)
    parser.add_argument("--model", default=str(EMBEDDED_MODEL))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "benchmarks" / "desk" / "soak-cpu.json")
    chosen = parser.parse_args(arguments)
    texts = of_mixed_lengths(read_texts(), TEXTS, shortest=SHORTEST, longest=LONGEST)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        settings = Settings(model=chosen.model, device=chosen.device, data_dir=data, database_url="", engine_url="")
        begun_rss = rss_bytes(os.getpid()) or 0
        app = bootstrap.build(settings)
        try:
            app.runner.start()
            figures = measure(app, texts, minutes=chosen.minutes, begun_rss=begun_rss)
        finally:
            app.close()
    report = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": f"python -m scripts.soak_desk --minutes {chosen.minutes:g} --device {chosen.device}",
        "model": Path(chosen.model).name,
        "characters": [SHORTEST, LONGEST],
        "environment": describe(resolve_device(chosen.device)),
        **figures,
    }
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", "utf-8")
    sys.stdout.write(json.dumps({k: v for k, v in report.items() if k != "rss_bytes"}, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()

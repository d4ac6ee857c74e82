"""How quick one sentence is answered alone and beside a job: `python -m scripts.time_beside`.

Rounds alternate, so that what else the machine does meets both: the job alone, sentences alone, sentences beside the
job with a rest between them, and without one. Then how soon a pause stops the work, and how long after the kill of
its process another running one of the same machine takes the job over.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from core import bootstrap, job_services, services
from core.benchmark.environment import describe
from core.benchmark.texts import ROOT, of_length, read_texts
from core.config import EMBEDDED_MODEL, Settings
from core.model.checkpoint import resolve_device
from core.services import Application
from core.storage import job_queries, queries
from core.types import Document

SCHEMA = {"人物": None, "地理位置": None, "组织机构": None}
SENTENCE = [Document("陈静在杭州的浙江大学读书。")]
JOB_S = 6.0
"""Seconds of a round in which only the job runs."""
PATIENCE_S = 300.0


def measure(app: Application, *, rounds: int, requests: int, rest_s: float) -> dict[str, Any]:
    """Milliseconds of a request, documents a second of the job; `requests` of each kind a round."""
    ids = job_queries.find_documents(app.database, queries.Search())
    job = job_services.submit_stored(app, ids, task="ner", schema=SCHEMA)
    _ask(app)
    times: dict[str, list[float]] = {"alone": [], "beside_with_rests": [], "beside": []}
    rates: dict[str, list[float]] = {"alone": [], "beside_with_rests": [], "beside": []}
    pauses: list[float] = []

    def asking(kind: str, rest: float) -> None:
        for _ in range(requests):
            time.sleep(rest)
            times[kind].append(_ask(app))

    for _ in range(rounds):
        asking("alone", 0.0)
        if pauses:
            job_services.resume_job(app, job)
        app.runner.take([job])
        done = _done(app, job)
        _until(lambda done=done: _done(app, job) > done)  # type: ignore[misc]
        rates["alone"].append(_rate(app, job, lambda: time.sleep(JOB_S)))
        rates["beside_with_rests"].append(_rate(app, job, lambda: asking("beside_with_rests", rest_s)))
        rates["beside"].append(_rate(app, job, lambda: asking("beside", 0.0)))
        began = time.perf_counter()
        job_services.pause_job(app, job)
        _until(lambda: not app.runner.holds(job))
        pauses.append(1000 * (time.perf_counter() - began))
    if queries.get_run(app.database, job).state != "paused":
        raise SystemExit("the job ended before the last round: take more documents")
    report: dict[str, Any] = {"requests": rounds * requests, "rest_s": rest_s}
    for kind, values in times.items():
        p50, p95 = np.percentile(values, (50, 95))
        report[f"{kind}_p50_ms"], report[f"{kind}_p95_ms"] = round(float(p50), 1), round(float(p95), 1)
    for kind, values in rates.items():
        report[f"job_{kind}_documents_s"] = round(float(np.mean(values)), 2)
    return report | {"pause_ms": round(float(np.median(pauses)), 1)}


def take_over_s(app: Application, settings: Settings) -> float:
    """Seconds from the kill of the process that works on a job until this one holds it."""
    ids = job_queries.find_documents(app.database, queries.Search())
    job = job_services.submit_stored(app, ids, task="ner", schema=SCHEMA)
    environment = os.environ | {
        "REX_DATA_DIR": str(settings.data_dir),
        "REX_DATABASE_URL": settings.resolved_database_url,
        "REX_MODEL": settings.model,
        "REX_DEVICE": settings.device,
    }
    command = [sys.executable, "-m", "core", "job", "run", str(job)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    try:
        _until(lambda: _done(app, job) > 0)
        app.runner.start()
        time.sleep(2.0)
    finally:
        process.kill()
    began = time.perf_counter()
    _until(lambda: app.runner.holds(job))
    taken_s = time.perf_counter() - began
    process.wait()
    job_services.pause_job(app, job)
    return round(taken_s, 2)


def _ask(app: Application) -> float:
    began = time.perf_counter()
    services.annotate(app, SENTENCE, task="ner", schema=SCHEMA)
    return 1000 * (time.perf_counter() - began)


def _done(app: Application, job: int) -> int:
    return queries.get_run(app.database, job).done


def _rate(app: Application, job: int, meanwhile: Callable[[], None]) -> float:
    before, began = _done(app, job), time.perf_counter()
    meanwhile()
    return (_done(app, job) - before) / (time.perf_counter() - began)


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.002)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the measurement and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=5_000)
    parser.add_argument("--characters", type=int, default=24, help="length of a document of the job")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=10, help="of each kind a round")
    parser.add_argument("--rest", type=float, default=1.0, help="seconds between two requests of one who rests")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "benchmarks" / "desk" / "beside.json")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(model=str(EMBEDDED_MODEL), device=chosen.device, data_dir=Path(folder), database_url="")
        app = bootstrap.build(settings)
        try:
            texts = of_length(read_texts(), chosen.documents, length=chosen.characters)
            app.store.add_documents(
                [Document(f"{number}。{text}", id=str(number)) for number, text in enumerate(texts)]
            )
            found = measure(app, rounds=chosen.rounds, requests=chosen.requests, rest_s=chosen.rest)
            found["take_over_s"] = take_over_s(app, settings)
        finally:
            app.close()
    report = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": "python -m scripts.time_beside",
        "model": EMBEDDED_MODEL.name,
        "characters": chosen.characters,
        "environment": describe(resolve_device(chosen.device)),
        "interactive": found,
    }
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", "utf-8")
    sys.stdout.write(json.dumps(found, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()

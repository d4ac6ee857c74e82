"""A long job whose process is killed again and again: `python -m scripts.kill_jobs --documents 10000 --kills 20`.

Submits short texts, works them off with `python -m core job run`, kills that process (SIGKILL) whenever the job has
come to one of the places drawn beforehand, starts it anew, and counts at the end what is lost or doubled. A second job
over the same texts that nobody disturbs says what should have been found. Last, with the included model, a short
request is timed while a job runs beside it, and how soon a pause stops the work.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, func, select

from core import bootstrap, job_services
from core.benchmark.environment import describe
from core.benchmark.texts import ROOT, of_length, read_texts
from core.config import EMBEDDED_MODEL, Settings
from core.model.checkpoint import resolve_device
from core.storage import queries
from core.storage.tables import AnnotationRow, JobDocumentRow, RunDocumentRow, RunRow
from core.types import Document

SCHEMA = {"人物": None, "地理位置": None, "组织机构": None}
LOOK_S = 0.01
PATIENCE_S = 900.0
# Places of a finding that rounding may shift: batches are composed anew after every kill.
Key = tuple[str, int | None, int | None]


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the documents of a job.

    lost: neither read nor waiting. doubled: read twice, or with a finding stored twice. different: documents in which
    the undisturbed job found something else. kills_at: documents finished when the process was killed.
    """

    documents: int
    kills: int
    kills_at: tuple[int, ...]
    state: str
    done: int
    failed: int
    waiting: int
    lost: int
    doubled: int
    different: int
    findings: int
    killed_s: float
    undisturbed_s: float


def kill_and_count(settings: Settings, *, documents: int, kills: int, characters: int, seed: int) -> Tally:
    """Work a job off in processes that are killed; all in the data directory of `settings`."""
    texts = of_length(read_texts(), documents, length=characters)
    app = bootstrap.build(settings)
    try:
        rows = [Document(f"{number}。{text}", id=str(number)) for number, text in enumerate(texts)]
        ids = app.store.add_documents(rows)
        jobs = [job_services.submit_stored(app, ids, task="ner", schema=SCHEMA) for _ in range(2)]
        places = sorted(random.Random(seed).sample(range(1, max(documents * 3 // 4, documents - 500)), kills))
        began = time.perf_counter()
        died_at = [_run_until(app.database, settings, jobs[0], done=place) for place in places]
        _run_until(app.database, settings, jobs[0], done=None)
        killed_s = time.perf_counter() - began
        began = time.perf_counter()
        app.runner.take([jobs[1]])
        job_services.wait_for_jobs(app, [jobs[1]], PATIENCE_S)
        undisturbed_s = time.perf_counter() - began
        return _count(app.database, ids, jobs, died_at=died_at, seconds=(killed_s, undisturbed_s))
    finally:
        app.close()


def _run_until(database: Engine, settings: Settings, job_id: int, *, done: int | None) -> int:
    """Work on a job in a process of its own and kill it as soon as so many documents are done; None: to the end."""
    environment = {
        **os.environ,
        "REX_DATA_DIR": str(settings.data_dir),
        "REX_DATABASE_URL": settings.resolved_database_url,
        "REX_MODEL": settings.model,
        "REX_DEVICE": settings.device,
    }
    query = select(RunRow.done).where(RunRow.id == job_id)

    def read_so_far() -> int:
        with database.connect() as connection:
            return connection.scalar(query) or 0

    command = [sys.executable, "-m", "core", "job", "run", str(job_id)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + PATIENCE_S
    try:
        while process.poll() is None and time.monotonic() < deadline:
            if done is None:
                process.wait(PATIENCE_S)
                break
            if read_so_far() >= done:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(LOOK_S)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
    return read_so_far()


def _count(
    database: Engine, ids: Sequence[int], jobs: Sequence[int], *, died_at: Sequence[int], seconds: tuple[float, float]
) -> Tally:
    job = queries.get_run(database, jobs[0])
    with database.connect() as connection:
        read = Counter(
            connection.scalars(select(RunDocumentRow.document_id).where(RunDocumentRow.run_id == job.id)).all()
        )
        waiting = set(connection.scalars(select(JobDocumentRow.document_id).where(JobDocumentRow.run_id == job.id)))
        place = (AnnotationRow.document_id, AnnotationRow.position)
        twice = connection.execute(
            select(*place).where(AnnotationRow.run_id == job.id).group_by(*place).having(func.count() > 1)
        ).all()
    doubled = {one for one, count in read.items() if count > 1 or one in waiting} | {row[0] for row in twice}
    found, expected = (_findings(database, one) for one in jobs)
    return Tally(
        documents=len(ids),
        kills=len(died_at),
        kills_at=tuple(died_at),
        state=job.state,
        done=job.done,
        failed=job.failed,
        waiting=len(waiting),
        lost=len(set(ids) - set(read) - waiting),
        doubled=len(doubled) + abs(job.done - len(read)),
        different=sum(found.get(one) != expected.get(one) for one in ids),
        findings=job.annotations,
        killed_s=round(seconds[0], 1),
        undisturbed_s=round(seconds[1], 1),
    )


def _findings(database: Engine, job_id: int) -> dict[int, list[Key]]:
    columns = (AnnotationRow.document_id, AnnotationRow.type, AnnotationRow.start, AnnotationRow.end)
    found: dict[int, list[Key]] = {}
    with database.connect() as connection:
        for document_id, type, start, end in connection.execute(select(*columns).where(AnnotationRow.run_id == job_id)):
            found.setdefault(document_id, []).append((type, start, end))
    return {document_id: sorted(keys, key=str) for document_id, keys in found.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the measurement and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--characters", type=int, default=24, help="length of a text")
    parser.add_argument("--model", default=str(EMBEDDED_MODEL), help="of the job that is killed")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "benchmarks" / "desk" / "jobs.json")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(model=chosen.model, device=chosen.device, data_dir=Path(folder), database_url="")
        tally = kill_and_count(
            settings, documents=chosen.documents, kills=chosen.kills, characters=chosen.characters, seed=chosen.seed
        )
    report: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": f"python -m scripts.kill_jobs --documents {chosen.documents} --kills {chosen.kills}"
        f" --model {_name(chosen.model)}",
        "model": Path(chosen.model).name,
        "characters": chosen.characters,
        "environment": describe(resolve_device(chosen.device)),
        "kills": asdict(tally),
    }
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", "utf-8")
    sys.stdout.write(json.dumps(report["kills"], ensure_ascii=False, indent=1) + "\n")


def _name(model: str) -> str:
    path = Path(model).resolve()
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else model


if __name__ == "__main__":
    main()

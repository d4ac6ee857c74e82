"""How a batch grows faster with actors on Ray: `python -m scripts.scale_batch --actors 1 2` writes JSON.

The same documents go through `batch` with an engine of one process and with each number of actors on a Ray cluster of
this machine. Cards are used where there are some, else the cores are divided. Loading the model is told apart: rates
count from the first part that was finished to the last, and `whole_s` is everything from the start of the command.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from core.benchmark.environment import describe
from core.benchmark.texts import ROOT, of_length, read_texts
from core.cluster.batch import Batch, Progress, run_batch
from core.cluster.output import read_manifest
from core.cluster.ray_batch import on_ray
from core.cluster.rows import Asked
from core.config import EMBEDDED_MODEL, Settings
from core.model.checkpoint import resolve_device

SCHEMA = {"人物": None, "地理位置": None, "组织机构": None}


def measure(batch: Batch, settings: Settings, *, actors: int) -> dict[str, Any]:
    """Run the batch once; `actors` 0: in this process, without Ray."""
    marks: list[tuple[float, int]] = []

    def tell(progress: Progress) -> None:
        kept = progress.parts_done
        if kept and (not marks or marks[-1][1] != kept):
            marks.append((time.perf_counter(), kept))

    busy = psutil.cpu_percent(interval=1.0)  # what others take: a crowded machine says nothing of scaling
    began = time.perf_counter()
    ended = run_batch(batch, settings, work=on_ray("local", actors=actors) if actors else None, tell=tell)
    whole_s = time.perf_counter() - began
    rows = batch.part_documents * (len(marks) - 1)
    steady_s = marks[-1][0] - marks[0][0] if len(marks) > 1 else 0.0
    return {
        "actors": actors,
        "documents": ended.done,
        "failed": ended.failed,
        "whole_s": round(whole_s, 2),
        "first_part_s": round(marks[0][0] - began, 2),
        "documents_per_s": round(rows / steady_s, 2) if steady_s else None,
        "characters_per_s": round(ended.characters / ended.done * rows / steady_s, 1) if steady_s else None,
        "busy_before_percent": busy,
        "made_by": list(ended.made_by),
    }


def findings(folder: Path) -> dict[str, list[tuple[str, int, int]]]:
    """What was found in each document."""
    found: dict[str, list[tuple[str, int, int]]] = {}
    for record in read_manifest(folder):
        for line in (folder / record.path).read_text("utf-8").splitlines():
            row = json.loads(line)
            found[row["id"]] = sorted((one["type"], one["start"], one["end"]) for one in row["annotations"])
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--actors", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--characters", type=int, default=60, help="length of a text")
    parser.add_argument("--part-documents", type=int, default=50)
    parser.add_argument("--model", default=str(EMBEDDED_MODEL))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=0, help="of each actor on the CPU; 0: the cores divided")
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "benchmarks" / "desk" / "ray.json")
    chosen = parser.parse_args(arguments)
    settings = Settings(model=chosen.model, device=chosen.device, cpu_threads=chosen.threads, engine_url="")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        texts = of_length(read_texts(), chosen.documents, length=chosen.characters)
        lines = [json.dumps({"id": str(n), "text": text}, ensure_ascii=False) for n, text in enumerate(texts)]
        (folder / "in" / "texts.jsonl").write_text("\n".join(lines), "utf-8")
        batch = Batch(
            str(folder / "in"), folder, Asked("ner", SCHEMA), settings.threshold, part_documents=chosen.part_documents
        )
        runs = [
            measure(replace(batch, output=folder / str(count)), settings, actors=count) for count in [0, *chosen.actors]
        ]
        alone, *others = [findings(folder / str(run["actors"])) for run in runs]
        for run, found in zip(runs[1:], others, strict=True):
            run["documents_that_differ"] = sum(found.get(one) != alone[one] for one in alone)
    report = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": "python -m scripts.scale_batch --actors "
        + " ".join(map(str, chosen.actors))
        + f" --documents {chosen.documents} --threads {chosen.threads}",
        "model": Path(chosen.model).name,
        "characters": chosen.characters,
        "part_documents": chosen.part_documents,
        "environment": describe(resolve_device(chosen.device)),
        "runs": runs,
    }
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", "utf-8")
    sys.stdout.write(json.dumps(runs, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()

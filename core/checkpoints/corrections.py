"""What people have corrected, as records to learn from and records held back, told apart by the hash of the text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from core.errors import InputError
from core.exporters.runs import export_run
from core.review.nodes import REVIEWED
from core.storage import queries, review_queries
from core.training.batches import read_pools
from core.training.heldout import normalised_sha1

LEAST = 20
"""Reviewed documents that a fine-tuning needs: from fewer a network learns to copy, and no score means anything."""

HELD_BACK = 0.2
LEAST_HELD_BACK = 4
SOURCE = "corrections"
RUNS = 500


@dataclass(frozen=True, slots=True)
class ReviewedRun:
    """A run with documents that somebody has finished reviewing."""

    run_id: int
    task: str
    schema_name: str
    documents: int


@dataclass(frozen=True, slots=True)
class Records:
    """What was written to learn from: numbers of texts and of records, and the hashes of the texts learnt from.

    characters: of one pass over the records, schema included.
    """

    documents: int
    held_back: int
    records: int
    characters: int
    trained: tuple[str, ...]


def reviewed_runs(database: Engine) -> list[ReviewedRun]:
    """The runs with reviewed documents, newest first."""
    found = []
    for run in queries.list_runs(database, limit=RUNS):
        states = review_queries.count_states(database, run.id)
        if count := sum(states.get(state, 0) for state in REVIEWED):
            found.append(ReviewedRun(run.id, run.task, run.schema_name or "", count))
    return found


def is_held_back(sha1: str) -> bool:
    """Whether a text of this hash is kept for scoring, whatever else is there."""
    return int(sha1[:8], 16) < HELD_BACK * 2**32


def held_back(hashes: Iterable[str]) -> set[str]:
    """The hashes to keep for scoring: a fixed share by their value, but at least a few."""
    order = sorted(set(hashes))
    return {one for one in order if is_held_back(one)} | set(order[:LEAST_HELD_BACK])


def write_records(database: Engine, run_ids: Sequence[int], folder: Path) -> Records:
    """Write `corrections.train.jsonl` and `corrections.dev.jsonl` of the reviewed documents of runs.

    All records of one text are on one side. Where a text was reviewed in several runs with one schema, the newest run
    counts. Raises InputError when there are too few documents, and for records that cannot be learnt from.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows: dict[tuple[str, ...], tuple[int, list[dict[str, Any]]]] = {}
    for run_id in sorted(run_ids):
        for row in _records(database, run_id, folder):
            sha1 = normalised_sha1(row["text"])
            key = (row["task"], sha1, json.dumps(row["schema"], ensure_ascii=False, sort_keys=True))
            if key not in rows or rows[key][0] != run_id:
                rows[key] = (run_id, [])
            rows[key][1].append(row)
    hashes = {key[1] for key in rows}
    if len(hashes) < LEAST:
        raise InputError(
            f"复核完的文档只有 {len(hashes)} 篇，微调至少需要 {LEAST} 篇："
            f"请在“复核修正”页再完成 {LEAST - len(hashes)} 篇"
        )
    kept = held_back(hashes)
    files = {False: folder / f"{SOURCE}.train.jsonl", True: folder / f"{SOURCE}.dev.jsonl"}
    characters = count = 0
    with files[False].open("w", encoding="utf-8") as train, files[True].open("w", encoding="utf-8") as dev:
        for (_, sha1, schema), (_, some) in rows.items():
            for row in some:
                line = json.dumps(row | {"source": SOURCE}, ensure_ascii=False)
                (dev if sha1 in kept else train).write(line + "\n")
                count += 1
                characters += 0 if sha1 in kept else len(row["text"]) + len(schema)
    read_pools(list(files.values()), check=True)
    return Records(len(hashes), len(kept), count, characters, tuple(sorted(hashes - kept)))


def _records(database: Engine, run_id: int, folder: Path) -> list[dict[str, Any]]:
    path = folder / f"run-{run_id}.jsonl"
    export_run(database, run_id, "rex", path=path, which="reviewed")
    try:
        with path.open(encoding="utf-8") as file:
            return [json.loads(line) for line in file]
    finally:
        path.unlink()

"""How well a network answers annotated records, read exactly as the product reads them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from core.inference.engine import Engine, Item
from core.model.checkpoint import Checkpoint
from core.model.rex import RexModel
from core.model.tokenizer import RexTokenizer
from core.schemas.schema import parse_schema
from core.tasks import CLASS_MARKERS, MULTICLASSIFY, TASKS
from core.types import Document

Key = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Score:
    """Micro-averaged over whole paths: types and offsets of all elements must agree.

    For single-label tasks f1 is the accuracy. failed: records that could not be read.
    """

    task: str
    source: str
    rows: int
    precision: float
    recall: float
    f1: float
    failed: int = 0


def score_rows(
    model: RexModel,
    tokenizer: RexTokenizer,
    rows: Sequence[tuple[str, str, dict[str, Any]]],
    *,
    batch_tokens: int = 8192,
    autocast: bool = False,
) -> tuple[Score, ...]:
    """Scores for each (task, source) of rows (task, source, record with a schema), in order of first appearance."""
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    checkpoint = Checkpoint(
        model=model,
        tokenizer=tokenizer,
        name="",
        revision="",
        directory=Path(),
        device=device,
        dtype=torch.float32,
        load_s=0.0,
    )
    engine = Engine(checkpoint, batch_tokens=batch_tokens)
    counts: dict[tuple[str, str], list[int]] = {(task, source): [0] * 5 for task, source, _ in rows}
    half = torch.autocast(device.type, dtype=torch.bfloat16) if autocast else nullcontext()
    with half:
        for index, result in engine.annotate([_item(task, row) for task, _, row in rows]):
            task, source, row = rows[index]
            found: set[Key] = {tuple((one.type, one.start, one.end) for one in path) for path in result.paths}
            gold: set[Key] = {tuple((one["type"], *one["offset"]) for one in path) for path in row["info_list"]}
            add = (1, len(found & gold), len(found), len(gold), int(bool(result.error)))
            counts[task, source] = [old + new for old, new in zip(counts[task, source], add, strict=True)]
    model.train(was_training)
    return tuple(_score(task, source, *numbers) for (task, source), numbers in counts.items())


def mean_f1(scores: Sequence[Score]) -> float:
    """The plain mean over sets, 0 without any."""
    return sum(score.f1 for score in scores) / len(scores) if scores else 0.0


def _item(task: str, row: dict[str, Any]) -> Item:
    # The reference form keeps only complete paths and confident labels; these two tasks of the product do not.
    plan = TASKS[task if task in ("ee", "multilabel") else "rex"]
    marker = CLASS_MARKERS[MULTICLASSIFY] if plan.name == "multilabel" else ""
    return Item(Document(row["text"].removeprefix(marker)), plan, parse_schema(row["schema"]))


def _score(task: str, source: str, rows: int, right: int, given: int, wanted: int, failed: int) -> Score:
    # Records without any answer are right when nothing is found.
    f1 = 2 * right / (given + wanted) if given + wanted else 1.0
    return Score(task, source, rows, right / max(given, 1), right / max(wanted, 1), f1, failed)

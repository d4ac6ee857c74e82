"""How well a network answers annotated records, read exactly as the product reads them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from core.errors import RexError
from core.inference.batching import plan, stack
from core.inference.decoding import Fired, decode
from core.inference.prompts import PieceEncoder, Prompt
from core.inference.recursion import Limits, Reader, read
from core.model.rex import RexModel
from core.model.tokenizer import RexTokenizer
from core.schemas.schema import parse_schema
from core.tasks import CLASS_MARKERS, Request
from core.types import Link

Row = tuple[str, str, dict[str, Any]]  # task, source, record with a schema
MAX_PROMPTS = 400
MAX_SPANS = 400
Key = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Score:
    """Micro-averaged over whole paths: types and offsets of all elements must agree.

    For single-label tasks f1 is the accuracy. failed: records that could not be read or fired without measure.
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
    rows: Sequence[Row],
    *,
    batch_tokens: int = 8192,
    autocast: bool = False,
) -> tuple[Score, ...]:
    """Scores for each (task, source) of the rows, in order of first appearance."""
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    half = torch.autocast(device.type, dtype=torch.bfloat16) if autocast else nullcontext()
    pieces = PieceEncoder(tokenizer)
    limits = Limits(max_groups=model.config.groups_per_hint)
    readers = [read(_request(task, row), pieces, limits) for task, _, row in rows]
    with half, torch.inference_mode():
        answers = _answers(model, readers, pad_id=tokenizer.pad_id, budget=batch_tokens)
    model.train(was_training)
    counts: dict[tuple[str, str], list[int]] = {(task, source): [0] * 5 for task, source, _ in rows}
    for (task, source, row), paths in zip(rows, answers, strict=True):
        found: set[Key] = {tuple((one.type, one.start, one.end) for one in path) for path in paths or ()}
        gold: set[Key] = {tuple((one["type"], *one["offset"]) for one in path) for path in row["info_list"]}
        add = (1, len(found & gold), len(found), len(gold), int(paths is None))
        counts[task, source] = [old + new for old, new in zip(counts[task, source], add, strict=True)]
    return tuple(_score(task, source, *numbers) for (task, source), numbers in counts.items())


def mean_f1(scores: Sequence[Score]) -> float:
    """The plain mean over sets, 0 without any."""
    return sum(score.f1 for score in scores) / len(scores) if scores else 0.0


def _request(task: str, row: dict[str, Any]) -> Request:
    """What the product asks for such a record: events may lack roles, labels need only fire (SPEC 7.6, 9)."""
    schema = parse_schema(row["schema"])
    for mode, marker in CLASS_MARKERS.items():
        if row["text"].startswith(marker):
            return Request(row["text"].removeprefix(marker), schema, mode, reduce=task != "multilabel")
    return Request(row["text"], schema, incomplete=task == "ee")


def _answers(
    model: RexModel, readers: Sequence[Reader], *, pad_id: int, budget: int
) -> list[tuple[tuple[Link, ...], ...] | None]:
    """The paths of each reader, None for one that was given up: a network that has learnt little fires everywhere."""
    device = next(model.parameters()).device
    answers: list[tuple[tuple[Link, ...], ...] | None] = [None] * len(readers)
    results: dict[int, list[Fired] | None] = dict.fromkeys(range(len(readers)))
    while results:
        asked: dict[int, list[Prompt]] = {}
        for number, fired in results.items():
            try:
                prompts = readers[number].send(fired)  # type: ignore[arg-type]
            except StopIteration as stop:
                answers[number] = stop.value.paths
                continue
            except RexError:
                continue
            if len(prompts) <= MAX_PROMPTS:
                asked[number] = prompts
        everything = [(number, prompt) for number, prompts in asked.items() for prompt in prompts]
        found: dict[int, Fired] = {}
        for rows in plan([len(prompt) for _, prompt in everything], budget=budget):
            members = [everything[row][1] for row in rows]
            batch = stack(members, pad_id=pad_id)
            tensors = (batch.input_ids, batch.position_ids, batch.prefix_ids, batch.type_ids, batch.keep)
            logits = model(*(tensor.to(device) for tensor in tensors), batch.max_distance)
            for row, one in zip(rows, decode(logits, members), strict=True):
                found[row] = one
        heard: dict[int, list[Fired]] = {number: [] for number in asked}
        for row, (number, _) in enumerate(everything):
            heard[number].append(found[row])
        results = {n: fired for n, fired in heard.items() if all(len(one.heads) <= MAX_SPANS for one in fired)}
    return answers


def _score(task: str, source: str, rows: int, right: int, given: int, wanted: int, failed: int) -> Score:
    # Records without any answer are right when nothing is found.
    f1 = 2 * right / (given + wanted) if given + wanted else 1.0
    return Score(task, source, rows, right / max(given, 1), right / max(wanted, 1), f1, failed)

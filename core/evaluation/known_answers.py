"""Checks a checkpoint against published answers of the official one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import FormatError
from core.evaluation.evaluate import as_paths
from core.inference.engine import Engine, Item
from core.inference.prompts import Group, build_hints
from core.schemas.schema import parse_schema
from core.tasks import TASKS
from core.types import Document
from core.types import Path as FoundPath

TOLERANCE = 1e-3
"""Published confidences have four digits and come from another build of torch."""


@dataclass(frozen=True, slots=True)
class Check:
    """One published answer: what it is about, whether it holds, and what was seen when it does not."""

    name: str
    holds: bool
    detail: str = ""


def verify(engine: Engine, answers: Path) -> list[Check]:
    """Run every published case and token sequence of the file."""
    try:
        known = json.loads(answers.read_text(encoding="utf-8"))
        cases, tokens = known["cases"], known["tokens"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FormatError(f"无法读取已知答案 {answers}：{error}") from error
    return [*_cases(engine, cases), *_tokens(engine, tokens)]


def _cases(engine: Engine, cases: list[dict[str, Any]]) -> Iterator[Check]:
    items = [Item(Document(case["text"]), TASKS["rex"], parse_schema(case["schema"])) for case in cases]
    results = dict(engine.annotate(items))
    for index, case in enumerate(cases):
        found = results[index].paths
        name = f"{'抽取' if case['api'] == 'prediction_step' else '分类'}：{case['text'][:24]}…"
        yield Check(name, *_compare(case, found))


def _compare(case: dict[str, Any], found: tuple[FoundPath, ...]) -> tuple[bool, str]:
    wanted = frozenset(tuple((e["type"], e["span"], *e["offset"]) for e in path) for path in case["output"])
    got = as_paths(found)
    if case["api"] == "prediction_step":
        return got == wanted, "" if got == wanted else f"得到 {sorted(got)}"
    confidences = {tuple(e["type"] for e in path): path[-1]["confidence"] for path in case["output"]}
    mine = {tuple(link.type for link in path): path[-1].confidence for path in found}
    # The published list holds every candidate; ours holds those the reference would finally keep.
    holds = bool(mine) and all(
        types in confidences and abs(confidences[types] - value) <= TOLERANCE for types, value in mine.items()
    )
    return holds, "" if holds else f"得到 {mine}，公布的是 {confidences}"


def _tokens(engine: Engine, tokens: list[dict[str, Any]]) -> Iterator[Check]:
    for row in tokens:
        types = tuple(row["prompt"].split("[TYPE]")[1:])
        hints, _ = build_hints([Group((), types)], engine.pieces)
        ids = hints[0].ids.tolist()
        wanted = row["input_ids"]
        # Published prompts list the types in their own order, ours sorts them: compare piece by piece.
        holds = sorted(_pieces(ids, engine)) == sorted(_pieces(wanted, engine))
        if holds and "position_ids" in row:
            holds = sorted(hints[0].position_ids.tolist()) == sorted(row["position_ids"])
        yield Check(f"词元：{row['prompt']}", holds, "" if holds else f"得到 {ids}")


def _pieces(ids: list[int], engine: Engine) -> list[tuple[int, ...]]:
    """The token runs between type markers."""
    pieces: list[list[int]] = [[]]
    for one in ids:
        if one == engine.checkpoint.tokenizer.type_id:
            pieces.append([])
        pieces[-1].append(one)
    closing = pieces[-1].pop() if pieces[-1] else 0
    return [tuple(piece) for piece in pieces] + [(closing,)]

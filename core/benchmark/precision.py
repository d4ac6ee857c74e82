"""What half precision changes: annotations that differ from float32, and points of F1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from core.benchmark.bench import Bench
from core.benchmark.figures import Measured
from core.benchmark.formulas import differing_pct
from core.benchmark.system import System, serving
from core.errors import RexError
from core.evaluation.evaluate import GoldRecord, read_records
from core.evaluation.scoring import as_labelled, predictions
from core.evaluation.scoring import measure as score
from core.gpu.profiles import CARD_DTYPE
from core.inference.engine import Item
from core.schemas.schema import parse_schema
from core.types import Annotation, Document

HALVES = ("bfloat16", "float16")
LEAST = 1_000
"""Annotations or records below which one of them alone is more than the target."""
QUESTIONS: dict[str, Any] = {
    "ner": {"人物": None, "地理位置": None, "组织机构": None, "时间": None, "产品名称": None, "金额": None},
    "re": {"人物": {"职务": None, "所属机构(组织机构)": None}},
    "sentiment": {"正向情感": None, "负向情感": None},
    "classification": {"体育": None, "财经": None, "科技": None, "社会": None, "售后": None},
}


def measure(bench: Bench) -> list[Measured]:
    """Both half precisions against float32 on this device; the figure is of the one asked for, else of cards' own.

    Every text is asked four questions. The records give the F1, micro-averaged over each task and then averaged.
    """
    texts = bench.texts[: bench.count(2_000, 4)]
    records = read_records(bench.records)[: bench.count(100_000, 4)]
    found: dict[str, list[frozenset[object]]] = {}
    scores: dict[str, float] = {}
    for dtype in ("float32", *HALVES):
        bench.progress(f"精度 {dtype}")
        try:
            with serving(bench, bench.model, dtype=dtype) as system:
                found[dtype] = _answers(system, texts)
                scores[dtype] = _f1(system, records)
        except (RexError, RuntimeError) as error:  # a device that cannot compute in this precision
            if dtype == "float32":
                raise
            bench.progress(f"{dtype}：{error}")
    chosen = bench.dtype if bench.dtype in HALVES else CARD_DTYPE
    if chosen not in found:
        return [Measured(name, None, f"{bench.device_name} 不能用 {chosen} 计算") for name in ("flip_pct", "f1_delta")]
    flips = {dtype: differing_pct(found["float32"], found[dtype]) for dtype in HALVES if dtype in found}
    deltas = {dtype: 100 * (scores[dtype] - scores["float32"]) for dtype in HALVES if dtype in scores}
    detail = {
        "dtype": chosen,
        "texts": len(texts),
        "records": len(records),
        "annotations": sum(map(len, found["float32"])),
        "flip_pct": flips,
        "f1": scores,
        "f1_delta": deltas,
    }
    flip, delta = flips[chosen], abs(deltas[chosen])
    counted = sum(map(len, found["float32"]))
    few = _too_few(bench, counted, "个标注", "--texts")
    few_records = _too_few(bench, len(records), "条记录", "--records")
    return [
        Measured("flip_pct", None if few else flip, few, detail),
        Measured("f1_delta", None if few_records else delta, few_records, detail),
    ]


def _too_few(bench: Bench, count: int, what: str, option: str) -> str:
    """Why a sample cannot tell a difference of a thousandth, empty when it can; a quick run takes what it gets."""
    if count >= LEAST or (bench.quick and count):
        return ""
    return f"只有 {count} {what}，分辨不出 0.1 %（至少 {LEAST:,}）：请给更多的 {option}"


def _answers(system: System, texts: list[str]) -> list[frozenset[object]]:
    """All findings of every text, one set a question and text."""
    answers: list[frozenset[object]] = []
    for task, schema in QUESTIONS.items():
        results = system.annotate(system.items(texts, parse_schema(schema), task=task))
        answers += [frozenset(_flat(result.annotations)) for result in results]
    return answers


def _flat(annotations: tuple[Annotation, ...], above: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    for one in annotations:
        path = (*above, one.type, one.start, one.end)
        yield path
        yield from _flat(one.children, path)


def _f1(system: System, records: list[GoldRecord]) -> float:
    """Mean over the tasks of the records of what each is judged by, in [0, 1]; `task/set` counts as the task."""
    tasks = [record.group.partition("/")[0] for record in records]
    items = [Item(Document(r.text), as_labelled(task), r.schema) for r, task in zip(records, tasks, strict=True)]
    results = system.annotate(items)
    values = []
    for name in sorted(set(tasks)):
        pairs = [(r, one) for r, one, task in zip(records, results, tasks, strict=True) if task == name]
        found = [predictions(name, one.paths) for _, one in pairs]
        values.append(score(name, [record for record, _ in pairs], found=found).value)
    return sum(values) / len(values)

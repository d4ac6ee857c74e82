"""The one entry to exporting: results and a format's name -> a file with an account of what it cannot hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.errors import FormatError
from core.exporters.csv import csv_bytes
from core.exporters.jsonl import jsonl_bytes
from core.exporters.native import to_dict
from core.exporters.rex import to_rex
from core.types import AnnotatedDocument, Document

Results = Sequence[AnnotatedDocument]


@dataclass(frozen=True, slots=True)
class Export:
    """A file to download; `report` lists in plain words what the format leaves out or changes."""

    data: bytes
    filename: str
    mime: str
    report: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Format:
    suffix: str
    mime: str
    build: Callable[[Results], tuple[bytes, list[str]]]


def write(results: Results, format: str) -> Export:
    """The results as a file: "csv" (table for Excel), "jsonl" (complete trees) or "rex" (the reference's paths).

    Raises FormatError for another format and for no results.
    """
    if format not in FORMATS:
        raise FormatError(f"不支持导出格式“{format}”。可选：{'、'.join(FORMATS)}。")
    if not results:
        raise FormatError("没有可导出的结果。请先运行一次分析。")
    chosen = FORMATS[format]
    data, report = chosen.build(results)
    tasks = {result.task for result in results}
    name = tasks.pop() if len(tasks) == 1 else "all"
    return Export(data, f"annotations-{name}{chosen.suffix}", chosen.mime, tuple(report))


def _csv(results: Results) -> tuple[bytes, list[str]]:
    data, report = csv_bytes(results)
    left_out = _left_out(
        results,
        {
            "第二文本": lambda document: document.text_pair is not None,
            "元数据": lambda document: bool(document.metadata),
            **_INPUTS,
        },
    )
    notes = sum(bool(result.notes) for result in results)
    return data, [*left_out, *([f"{notes} 个文档的“提示”没有写入。"] if notes else []), *report]


def _jsonl(results: Results) -> tuple[bytes, list[str]]:
    return jsonl_bytes(results, to_dict), _left_out(results, _INPUTS)


def _rex(results: Results) -> tuple[bytes, list[str]]:
    report = ["得分、原文、文档名称、元数据和提示不在此格式中。"]
    without = sum(bool(result.annotations) and not result.paths for result in results)
    if without:
        report.append(f"{without} 个文档的结果没有路径形式，output 为空。")
    return jsonl_bytes(results, to_rex), report


_INPUTS: dict[str, Callable[[Document], bool]] = {
    "给定的属性词": lambda document: bool(document.aspects),
    "指代的候选词和代词": lambda document: bool(document.candidates or document.pronouns),
}


def _left_out(results: Results, has: dict[str, Callable[[Document], bool]]) -> list[str]:
    counts = {name: sum(test(result.document) for result in results) for name, test in has.items()}
    return [f"{count} 个文档的{name}没有写入。" for name, count in counts.items() if count]


FORMATS: dict[str, _Format] = {
    "csv": _Format(".csv", "text/csv", _csv),
    "jsonl": _Format(".jsonl", "application/x-ndjson", _jsonl),
    "rex": _Format(".rex.jsonl", "application/x-ndjson", _rex),
}

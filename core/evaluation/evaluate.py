"""Scores a model on RexUniNLU JSON lines: `text`, `info_list`, `schema` (SPEC 10.1)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import FormatError, RexError
from core.evaluation.metrics import Paths, Scores, score
from core.inference.engine import Engine, Item
from core.schemas.schema import Schema, parse_schema
from core.tasks import CLASS_MARKERS, TASKS
from core.types import Document
from core.types import Path as FoundPath


@dataclass(frozen=True, slots=True)
class GoldRecord:
    """One line: the text as the reference reads it, its schema, the right paths, its task and its data set."""

    text: str
    schema: Schema
    gold: Paths
    group: str
    source: str = ""

    @property
    def is_class(self) -> bool:
        """Whether the record is classified rather than extracted from."""
        return self.text.lstrip().startswith(tuple(CLASS_MARKERS.values()))


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores of a file as a whole and of each task in it, with the speed of the run."""

    path: str
    model: str
    scores: Scores
    by_task: dict[str, Scores]
    class_records: int
    seconds: float

    @property
    def documents_per_s(self) -> float:
        """Documents a second, tokenising and decoding included, loading excluded."""
        return self.scores.documents / self.seconds if self.seconds else 0.0

    def to_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            "file": self.path,
            "model": self.model,
            **_numbers(self.scores, classes=self.class_records == self.scores.documents),
            "documents_per_s": round(self.documents_per_s, 2),
            "seconds": round(self.seconds, 3),
            "tasks": {
                name: _numbers(one, classes=False) | {"accuracy": round(one.accuracy, 4)}
                for name, one in self.by_task.items()
            },
        }


def _numbers(scores: Scores, *, classes: bool) -> dict[str, Any]:
    numbers: dict[str, Any] = {
        "documents": scores.documents,
        "precision": round(scores.precision, 4),
        "recall": round(scores.recall, 4),
        "f1": round(scores.f1, 4),
    }
    return numbers | ({"accuracy": round(scores.accuracy, 4)} if classes else {})


def read_records(path: Path) -> list[GoldRecord]:
    """Read the lines of a file; raises FormatError naming each line that cannot be used."""
    problems: list[str] = []
    records = list(_records(path, problems))
    if problems:
        raise FormatError(f"{path} 有 {len(problems)} 行无法使用：\n" + "\n".join(problems[:20]))
    if not records:
        raise FormatError(f"{path} 没有内容：每行应为含 text、info_list、schema 的 JSON 对象")
    return records


def _records(path: Path, problems: list[str]) -> Iterator[GoldRecord]:
    try:
        # Not splitlines(): U+2028 and its like may stand inside a JSON string.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"无法读取 {path}：{error}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield to_record(json.loads(line))
        except (RexError, ValueError, KeyError, TypeError) as error:
            problems.append(f"第 {number} 行：{error if isinstance(error, RexError) else f'缺少或写错 {error}'}")


def to_record(row: Mapping[str, Any]) -> GoldRecord:
    """The record of one parsed line; raises KeyError, TypeError, ValueError or SchemaError when it is none."""
    gold = frozenset(
        tuple((link["type"], link["span"], *map(int, link["offset"])) for link in info) for info in row["info_list"]
    )
    schema = row.get("schema") or _schema_of(row["info_list"])
    return GoldRecord(
        row["text"], parse_schema(schema), gold, str(row.get("task", "all")), source=str(row.get("source", ""))
    )


def _schema_of(info_list: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """The schema that the gold paths imply, for lines that have none (SPEC 10.1)."""
    schema: dict[str, Any] = {}
    for info in info_list:
        node = schema
        for link in info:
            node = node.setdefault(link["type"], {})
    return schema


def as_paths(found: Iterable[FoundPath]) -> Paths:
    """Paths of a result in the form that is scored."""
    return frozenset(tuple((link.type, link.text, link.start, link.end) for link in path) for path in found)


def evaluate(engine: Engine, path: Path, *, threshold: float | None = None) -> Evaluation:
    """Annotate every record as the reference would read it and score the paths."""
    records = read_records(path)
    items = [Item(Document(record.text), TASKS["rex"], record.schema) for record in records]
    found: list[Paths] = [frozenset()] * len(records)
    start = time.perf_counter()
    for index, result in engine.annotate(items, threshold=threshold):
        if result.error:
            raise FormatError(f"{path} 第 {index + 1} 条记录：{result.error}")
        found[index] = as_paths(result.paths)
    seconds = time.perf_counter() - start
    pairs = [(record.gold, paths) for record, paths in zip(records, found, strict=True)]
    groups = sorted({record.group for record in records})
    by_task = {
        group: score(pair for pair, record in zip(pairs, records, strict=True) if record.group == group)
        for group in groups
    }
    return Evaluation(
        path=str(path),
        model=engine.checkpoint.name,
        scores=score(pairs),
        by_task=by_task,
        class_records=sum(record.is_class for record in records),
        seconds=seconds,
    )

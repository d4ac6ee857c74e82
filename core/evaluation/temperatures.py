"""Finds the temperatures of a checkpoint on development records and writes them to its `config.json`."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import CheckpointError, FormatError
from core.evaluation.calibration import Judgement, judge_temperature
from core.evaluation.evaluate import GoldRecord, as_paths, read_records
from core.evaluation.metrics import complete
from core.evaluation.scoring import EXTRACTION, as_labelled, weakest
from core.inference.engine import Engine, Item
from core.model.config import FAMILIES, RexConfig
from core.tasks import CLASS_MARKERS, CLASSIFY, MULTICLASSIFY, Task
from core.types import Document

GAIN, ENOUGH = 0.01, 100
"""A temperature is kept when the error of at least ENOUGH judged answers falls by at least GAIN."""


@dataclass(frozen=True, slots=True)
class Family:
    """What was measured for one task family; `kept`: whether its temperature helps enough to be stored."""

    name: str
    records: int
    judgement: Judgement

    @property
    def kept(self) -> bool:
        """Whether the judged answers are many enough and their error fell enough."""
        return self.judgement.judged_on >= ENOUGH and self.judgement.before - self.judgement.after >= GAIN


@dataclass(frozen=True, slots=True)
class Calibration:
    """Families in the order of FAMILIES; `left_out`: why records were not used → how many."""

    families: tuple[Family, ...]
    left_out: Mapping[str, int]

    @property
    def temperatures(self) -> dict[str, float]:
        """Those worth storing, to three places."""
        return {one.name: round(one.judgement.temperature, 3) for one in self.families if one.kept}

    def to_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        families = {
            one.name: {"records": one.records, **asdict(one.judgement), "kept": one.kept} for one in self.families
        }
        return {"families": families, "left_out": dict(self.left_out), "temperatures": self.temperatures}


def development_files(path: Path) -> list[Path]:
    """The file itself, or of a folder its `*.dev.jsonl`, else all its `*.jsonl`; raises FormatError without any."""
    if not path.is_dir():
        return [path]
    files = sorted(path.glob("*.dev.jsonl")) or sorted(path.glob("*.jsonl"))
    if not files:
        raise FormatError(f"{path} 里没有 .jsonl 文件：请给出开发集的文件或文件夹")
    return files


def calibrate(engine: Engine, files: Sequence[Path]) -> Calibration:
    """Ask every record as its task does and judge a temperature a family by halves, chosen by the hash of the text.

    The confidence of a path is its weakest link, without the temperatures that the checkpoint may already have; of
    extraction, whole paths count, as they are scored. Raises FormatError for lines that cannot be used.
    """
    left_out: Counter[str] = Counter()
    asked: list[tuple[str, GoldRecord]] = []
    for record in (record for file in files for record in read_records(file)):
        family = record.group.partition("/")[0]
        if reason := _unusable(family, record):
            left_out[reason] += 1
        else:
            asked.append((family, record))
    rows: dict[str, list[tuple[float, bool, bool]]] = {family: [] for family, _ in asked}
    items = (Item(Document(record.text), _uncalibrated(family), record.schema) for family, record in asked)
    for index, result in engine.annotate(items):
        family, record = asked[index]
        if result.error:
            left_out[result.error] += 1
            continue
        judged = hashlib.sha1(record.text.encode(), usedforsecurity=False).digest()[0] % 2 == 1
        for path in result.paths:
            (key,) = as_paths([path])
            if family not in EXTRACTION or complete(frozenset({key}), record.schema):
                rows[family].append((weakest(path), key in record.gold, judged))
    records = Counter(family for family, _ in asked)
    families = [Family(name, records[name], _judge(rows[name])) for name in FAMILIES if name in rows]
    return Calibration(tuple(families), left_out)


def _judge(rows: Sequence[tuple[float, bool, bool]]) -> Judgement:
    confidences, correct, judged = np.array(rows, float).reshape(-1, 3).T
    return judge_temperature(confidences, correct > 0, judged=judged > 0)


def _unusable(family: str, record: GoldRecord) -> str:
    """Why a record says nothing about the scores of its task; empty when it does."""
    if family not in FAMILIES:
        return f"任务“{family}”不在 {'、'.join(FAMILIES)} 之中"
    several = record.text.startswith(CLASS_MARKERS[MULTICLASSIFY])
    if record.is_class and several != (family == "multilabel"):
        return f"{family} 不以 {CLASS_MARKERS[MULTICLASSIFY if several else CLASSIFY]} 提问"
    return ""


def _uncalibrated(family: str) -> Task:
    """The task that reads labelled records, under a name that has no temperature."""
    return replace(as_labelled(family), name="uncalibrated")


def write_temperatures(calibration: Calibration, source: Path, *, target: Path) -> None:
    """Write `config.json` of the directory `source` to `target` with the new temperatures; nothing else changes.

    Families that were measured get their new value or lose the old one; the others keep theirs. Raises CheckpointError
    when a file cannot be read or written.
    """
    config = RexConfig.from_file(source / "config.json")
    measured = {one.name for one in calibration.families}
    known = {name: value for name, value in config.temperatures.items() if name not in measured}
    values = known | calibration.temperatures
    try:
        raw = json.loads((source / "config.json").read_text(encoding="utf-8"))
        raw.pop("temperatures", None)
        if values:
            raw["temperatures"] = {name: values[name] for name in FAMILIES if name in values}
        part = target.with_name(target.name + ".part")
        part.write_text(json.dumps(raw, indent=1, ensure_ascii=False), encoding="utf-8")
        os.replace(part, target)
    except OSError as error:
        raise CheckpointError(f"无法写入 {target}：{error}。可用 --out 指定别处") from error

"""The development suite: which records it holds, fixed for good by their hashes, and where to find them.

    python -m core.evaluation.suite --converted DIR --out data/evaluation/dev.json

writes the list anew from the `<set>.dev.jsonl` files of DIR; it refuses to touch a list that is there. The list
holds hashes only, no texts. Of each set and task it takes the records with the smallest hashes, so that the first
N of a list are a sample of their own.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.config import ROOT
from core.errors import FormatError, InputError, RexError
from core.evaluation.evaluate import GoldRecord, to_record
from core.training.converters.record import Record, Tally, problem
from core.training.converters.registry import CONVERTERS
from core.training.converters.splitting import identity

SUITES = ROOT / "data" / "evaluation"
MOST = 300
_DIGITS = 12

Key = tuple[str, str]
"""Data set and task."""
Suite = Mapping[Key, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Part:
    """The records of one set and task, in the order of their hashes; `wanted` is how many are fixed."""

    source: str
    task: str
    records: tuple[GoldRecord, ...]
    wanted: int
    train: Path | None

    @property
    def missing(self) -> int:
        """Fixed records that the data do not hold."""
        return self.wanted - len(self.records)


def record_hash(row: Mapping[str, Any]) -> str:
    """12 hex digits of what makes a record the question it is: task, normal form of the text, schema."""
    record = Record(row["text"], row["info_list"], row["schema"], row["task"], row["source"], key="")
    return identity(record).hex()[:_DIGITS]


def load_suite(name: str) -> Suite:
    """The list `data/evaluation/<name>.json`; raises InputError when there is none, FormatError when it is damaged."""
    path = SUITES / f"{name}.json"
    if not path.is_file():
        known = "、".join(sorted(one.stem for one in SUITES.glob("*.json"))) or "（无）"
        raise InputError(f"没有评测集“{name}”：可选 {known}")
    try:
        sets = json.loads(path.read_text("utf-8"))["sets"]
        return {(source, task): hashes.split() for source, tasks in sets.items() for task, hashes in tasks.items()}
    except (ValueError, KeyError, AttributeError) as error:
        raise FormatError(f"评测清单 {path} 已损坏：{error}。请从版本库恢复该文件") from error


def choose(suite: Suite, *, only: Collection[str] = (), rows: int | None = None) -> Suite:
    """The part of a suite that `only` (sets or tasks) names, with the first `rows` hashes of each list.

    Raises InputError for a name that is neither a set nor a task of the suite.
    """
    named = named_in(suite, only)
    return {key: hashes[:rows] for key, hashes in suite.items() if not only or key in named}


def named_in(suite: Suite, names: Collection[str]) -> set[Key]:
    """The keys whose set or task is among `names`; raises InputError for a name that is neither."""
    known = {name for key in suite for name in key}
    unknown = sorted(set(names) - known)
    if unknown:
        raise InputError(f"评测集里没有数据集或任务“{'、'.join(unknown)}”：可选 {'、'.join(sorted(known))}")
    return {key for key in suite if set(key) & set(names)}


def gather(directory: Path, suite: Suite) -> Iterator[Part]:
    """The fixed records of each set, one set read at a time.

    directory: either converted sets (`<set>.dev.jsonl`, `<set>.train.jsonl`) or the published data sets, one folder
    each, which are converted in memory and have no training file. Raises FormatError for a directory of neither kind.
    """
    converted = any(directory.glob("*.dev.jsonl"))
    if not converted and not any((directory / name).is_dir() for name in CONVERTERS):
        raise FormatError(
            f"{directory} 里既没有转换好的数据集（<数据集>.dev.jsonl），也没有公开数据集的目录："
            f"请检查路径，或先运行 python -m core.training.converters.registry --datasets 数据集目录 --out {directory}"
        )
    for source in dict.fromkeys(source for source, _ in suite):
        tasks = {task: hashes for (name, task), hashes in suite.items() if name == source}
        rows = _converted(directory, source) if converted else _published(directory, source)
        found = _pick(rows, {one for hashes in tasks.values() for one in hashes})
        train = directory / f"{source}.train.jsonl"
        for task, hashes in tasks.items():
            records = tuple(found[one] for one in hashes if one in found)
            yield Part(source, task, records, len(hashes), train if train.is_file() else None)


def _pick(rows: Iterable[tuple[str, Mapping[str, Any]]], wanted: Collection[str]) -> dict[str, GoldRecord]:
    """The wanted records by hash; of equal ones the first, as the converters keep it."""
    found: dict[str, GoldRecord] = {}
    for key, row in rows:
        if key in wanted and key not in found:
            try:
                found[key] = to_record(row)
            except (ValueError, KeyError, TypeError) as error:
                raise FormatError(f"{row['source']} 的记录 {key} 无法使用（{error}）：请重新转换该数据集") from error
    return found


def _converted(directory: Path, source: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Hash and row of every line of a set's development file; nothing when there is no such file."""
    path = directory / f"{source}.dev.jsonl"
    if not path.is_file():
        return
    with path.open(encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
                key = record_hash(row)
            except (ValueError, KeyError, TypeError) as error:
                raise FormatError(f"{path} 第 {number} 行无法使用（{error}）：请重新转换该数据集") from error
            yield key, row


def _published(directory: Path, source: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Hash and row of every record that the set's converter yields; nothing when the set is not there."""
    info = CONVERTERS.get(source)
    if info is None or not (directory / source).is_dir():
        return
    for record in info.function(directory / source, Tally()):
        if not problem(record):
            row = {name: getattr(record, name) for name in ("text", "info_list", "schema", "task", "source")}
            yield record_hash(row), row


def fix(directory: Path, *, most: int = MOST) -> dict[str, Any]:
    """The list of a directory of converted sets: of each set and task the `most` smallest hashes."""
    sets: dict[str, dict[str, str]] = {}
    for path in sorted(directory.glob("*.dev.jsonl")):
        source = path.name.removesuffix(".dev.jsonl")
        hashes: dict[str, set[str]] = {}
        for key, row in _converted(directory, source):
            hashes.setdefault(row["task"], set()).add(key)
        sets[source] = {task: " ".join(sorted(every)[:most]) for task, every in sorted(hashes.items())}
    if not sets:
        raise FormatError(f"{directory} 里没有 <数据集>.dev.jsonl：请先转换数据集")
    return {"records_of_a_set_and_task": most, "hash_digits": _DIGITS, "sets": sets}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line: write a list; an error ends the program with its message."""
    parser = argparse.ArgumentParser(description="固定评测用的开发记录：只写哈希，不写正文")
    parser.add_argument("--converted", type=Path, required=True, help="转换好的数据集目录（<数据集>.dev.jsonl）")
    parser.add_argument("--out", type=Path, required=True, help="要写的清单；已有的清单不会覆盖")
    parser.add_argument("--most", type=int, default=MOST, help=f"每个数据集、每个任务最多几条，缺省 {MOST}")
    options = parser.parse_args(arguments)
    if options.out.exists():
        raise SystemExit(f"{options.out} 已存在：清单固定后不再改动，请写到别的文件")
    try:
        written = fix(options.converted, most=options.most)
    except RexError as error:
        raise SystemExit(str(error)) from error
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(written, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()

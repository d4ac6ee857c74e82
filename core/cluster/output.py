"""The folder that a batch writes: part files that appear whole, and a manifest that says which of them count.

A part counts from the moment its line stands whole in `_manifest.jsonl`. Whatever a killed process left besides is
removed at the next start, so that every row is in exactly one file. Names that begin with `_` are no data.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from core.errors import FormatError, InputError

PLAN, MANIFEST, PROGRESS, SUCCESS, LOCK = "_batch.json", "_manifest.jsonl", "_progress.json", "_SUCCESS", "_lock"
PREFIX = "part-"


@dataclass(frozen=True, slots=True)
class Record:
    """A part that was kept; `ids` are the ids of its documents in order, `digests` what tells equal documents.

    `seconds`: the time it took whoever read it; `made_by`: model, revision, number type, device, process.
    """

    key: str
    path: str
    file: str
    first: int
    rows: int
    documents: int
    failed: int
    annotations: int
    characters: int
    size_bytes: int
    seconds: float
    made_by: Mapping[str, Any]
    losses: tuple[str, ...]
    ids: tuple[str, ...]
    digests: tuple[str, ...]


class Output:
    """The open folder of one batch; one process at a time has it. Made by `opened`."""

    def __init__(self, folder: Path, plan: Mapping[str, Any]) -> None:
        self.folder, self.plan = folder, plan
        self.records: dict[str, Record] = {}

    def commit(self, record: Record, data: bytes) -> None:
        """Keep a part: all of it or, when the process ends meanwhile, nothing. Raises FormatError on a full disk."""
        try:
            write_whole(self.folder / record.path, data)
            line = json.dumps(asdict(record), ensure_ascii=True) + "\n"
            with (self.folder / MANIFEST).open("ab") as file:
                file.write(line.encode("ascii"))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise FormatError(
                f"无法写入 {self.folder}：{error}。已完成的部分都在，腾出空间后重新运行即可继续"
            ) from error
        self.records[record.key] = record

    def kept_documents(self, file: str) -> Counter[str]:
        """How often each document of that name of a file was kept, by digest."""
        found: Counter[str] = Counter()
        for record in self.records.values():
            if record.file == file:
                found.update(record.digests)
        return found

    def tell(self, progress: Mapping[str, Any]) -> None:
        """Leave a note for those who follow."""
        with suppress(OSError):  # the next note comes soon; what counts is the manifest
            write_whole(self.folder / PROGRESS, _json(progress), sync=False)

    def finish(self, totals: Mapping[str, Any]) -> None:
        """Say that nothing is missing."""
        write_whole(self.folder / SUCCESS, _json(totals))


@contextmanager
def opened(folder: Path, plan: Mapping[str, Any]) -> Iterator[Output]:
    """Open a new folder, or go on in one that was begun with the same plan; nobody else may meanwhile.

    Raises InputError when somebody else writes there, when it holds something else, or when the plan differs.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("ab")
    except OSError as error:
        raise FormatError(f"无法写入输出文件夹 {folder}：{error}。请换一个 --output") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(f"另一个进程正在写 {folder}：请等它结束，或换一个 --output") from error
        output = Output(folder, _agreed(folder, plan))
        (folder / SUCCESS).unlink(missing_ok=True)
        output.records = {one.key: one for one in _sound(folder)}
        counted = {one.path for one in output.records.values()}
        for path in folder.glob(f"{PREFIX}*"):
            if path.name not in counted:
                path.unlink()
        yield output


def read_progress(folder: Path) -> dict[str, Any]:
    """The last note; empty when there is none."""
    try:
        note: dict[str, Any] = json.loads((folder / PROGRESS).read_bytes())
    except (OSError, ValueError):
        return {}
    return note


def read_manifest(folder: Path) -> list[Record]:
    """The parts that count, as they were kept; a line that a kill cut off does not."""
    try:
        lines = (folder / MANIFEST).read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    records = []
    for line in lines:
        with suppress(ValueError, TypeError):
            fields = json.loads(line)
            record = Record(**fields)
            records.append(
                replace(record, losses=tuple(record.losses), ids=tuple(record.ids), digests=tuple(record.digests))
            )
    return records


def write_whole(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Write a file that nobody sees in part."""
    part = path.with_name(f"{path.name}.tmp")
    with part.open("wb") as file:
        file.write(data)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    part.replace(path)


def _agreed(folder: Path, plan: Mapping[str, Any]) -> Mapping[str, Any]:
    """The plan, noted in a new folder; raises InputError where another one stands."""
    path = folder / PLAN
    wanted = json.loads(_json(plan))
    if path.exists():
        try:
            noted = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise FormatError(f"无法读取 {path}：{error}。请换一个 --output") from error
        differing = [key for key in {**noted, **wanted} if noted.get(key) != wanted.get(key)]
        if differing:
            told = "；".join(
                f"{key} 原来是 {_short(noted.get(key))}，现在是 {_short(wanted.get(key))}" for key in differing
            )
            raise InputError(f"{folder} 是用别的设置开始的（{told}）：请用原来的设置继续，或换一个 --output")
        return plan
    others = [one.name for one in folder.iterdir() if one.name != LOCK and not one.name.endswith(".tmp")]
    if others:
        raise InputError(f"{folder} 里已有别的文件（{others[0]} 等）：请给出空的或新的 --output")
    write_whole(path, _json(plan))
    return plan


def _sound(folder: Path) -> list[Record]:
    """The records whose files are as they were written; the manifest is mended when there are others."""
    records = read_manifest(folder)
    sound = [one for one in records if _size(folder / one.path) == one.size_bytes]
    sound = list({one.key: one for one in sound}.values())
    whole = b"".join(json.dumps(asdict(one), ensure_ascii=True).encode("ascii") + b"\n" for one in sound)
    manifest = folder / MANIFEST
    if manifest.exists() and _size(manifest) != len(whole):
        write_whole(manifest, whole)
    return sound


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1, default=str) + "\n").encode("utf-8", "backslashreplace")


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:59] + "…"

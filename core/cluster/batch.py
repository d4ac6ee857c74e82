"""A batch: every row of a set of files is annotated exactly once, here or on a Ray cluster, and may be killed any time.

Planned anew at each start: what the manifest of the output has is left out, the rest is read. The process that was
started is the only one that writes, so that machines of a cluster need not share the output.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from core.cluster.output import Output, Record, opened
from core.cluster.parts import InputFile, Part, divide, list_files
from core.cluster.reading import FORMATS, JSONL, annotate_parts, digest_of
from core.cluster.rows import Asked, check_columns, read_rows
from core.config import Settings
from core.errors import Cancelled, CheckpointError, InputError, RexError
from core.inference.assembly import check_schema, load_engine
from core.jobs.lease import process_start
from core.model.checkpoint import read_files

TELL_S = 1.0
"""How often the note for those who follow is written."""

Parts = Iterable[Part]
Seen = Callable[[], object]
Work = Callable[[Parts, "Batch", Settings, Callable[[], bool], Seen], Iterator[tuple[Record, bytes]]]
"""Annotates parts somewhere; calls the last argument for each document where it can."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What is to be done: `input` as `list_files` reads it, `output` a folder, `form` jsonl or parquet.

    `part_documents`: rows that are kept, and after a kill read again, together.
    """

    input: str
    output: Path
    asked: Asked
    threshold: float
    form: str = JSONL
    part_documents: int = 500


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a batch is. `rows` of the input, `done` of them read, `resumed` of these at an earlier start.

    `per_s`: rows a second since this start; `process`: who works on it, as "pid/start".
    """

    state: str
    rows: int
    done: int = 0
    resumed: int = 0
    failed: int = 0
    annotations: int = 0
    characters: int = 0
    parts: int = 0
    parts_done: int = 0
    per_s: float = 0.0
    left_s: float | None = None
    started_at: str = ""
    updated_at: str = ""
    process: str = ""
    error: str = ""
    made_by: tuple[Mapping[str, Any], ...] = ()
    losses: tuple[str, ...] = ()


def run_batch(
    batch: Batch,
    settings: Settings,
    *,
    work: Work | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    tell: Callable[[Progress], object] = lambda progress: None,
) -> Progress:
    """Read what is left and keep it; `work` None: with an engine of this process. Returns how it ended.

    Raises RexError for what cannot be begun or goes on no more; Cancelled soon after `cancelled()` is true. Either way
    what is kept stays, and the next call goes on.
    """
    if batch.form not in FORMATS:
        raise InputError(f"没有名为“{batch.form}”的输出格式：可选 {'、'.join(FORMATS)}")
    if batch.part_documents < 1:
        raise InputError(f"每部分 {batch.part_documents} 个文档无效：请取 1 或更大的数")
    if not 0.0 <= batch.threshold < 1.0:
        raise InputError(f"阈值 {batch.threshold} 无效：请取 0 到 1 之间（不含 1）的数")
    check_schema(settings, batch.asked.parsed())
    files = list_files(batch.input)
    for file in files:
        check_columns(file, batch.asked)
    with opened(batch.output, _plan(batch, settings)) as output:
        teller = _Teller(output, tell)
        try:
            left = _left(output, files, batch, teller)
            teller.note("running")
            if left:
                worked = (work or here)(left, batch, settings, cancelled, teller.seen)
                for record, data in worked:
                    _check_maker(record, output.plan)
                    output.commit(record, data)
                    teller.committed(record)
            if teller.progress.parts_done != teller.progress.parts:
                raise InputError("有部分没有得到结果：请重新运行同一条命令继续")
        except BaseException as problem:
            stopped = isinstance(problem, Cancelled | KeyboardInterrupt | SystemExit)
            error = str(problem) if isinstance(problem, RexError) else f"{type(problem).__name__}: {problem}"
            teller.note("cancelled" if stopped else "failed", error="" if stopped else error)
            raise
        ended = teller.note("done")
        output.finish({**asdict(ended), "files": [file.name for file in files], "plan": output.plan})
        return ended


def here(
    parts: Parts, batch: Batch, settings: Settings, cancelled: Callable[[], bool], seen: Seen
) -> Iterator[tuple[Record, bytes]]:
    """Annotate parts with an engine of this process."""
    engine = load_engine(settings)
    try:
        yield from annotate_parts(
            engine, parts, batch.asked, threshold=batch.threshold, form=batch.form, cancelled=cancelled, seen=seen
        )
    finally:
        engine.close()


def own_process() -> str:
    """This process as notes name it: a number given to another process later is told apart."""
    return f"{os.getpid()}/{process_start(os.getpid())}"


class _Teller:
    """Counts what is read and leaves notes of it."""

    def __init__(self, output: Output, tell: Callable[[Progress], object]) -> None:
        self._output, self._tell = output, tell
        self._began, self._told, self._ahead = time.monotonic(), 0.0, 0
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self.progress = Progress("running", 0, started_at=now, process=own_process())

    def planned(self, parts: Iterable[Part], kept: Iterable[Record]) -> None:
        """Count the rows there are, and those that were kept before."""
        kept = list(kept)
        parts = list(parts)
        done = sum(one.rows for one in kept)
        self.progress = replace(
            self.progress,
            rows=done + sum(part.rows for part in parts),
            parts=len(kept) + len(parts),
            parts_done=len(kept),
            resumed=done,
            done=done,
            failed=sum(one.failed for one in kept),
            annotations=sum(one.annotations for one in kept),
            characters=sum(one.characters for one in kept),
            made_by=_distinct(one.made_by for one in kept),
            losses=tuple(dict.fromkeys(chain.from_iterable(one.losses for one in kept))),
        )

    def seen(self) -> None:
        """A document was read whose part is not finished yet."""
        self._ahead += 1
        if time.monotonic() - self._told > TELL_S:
            self.note("running")

    def committed(self, record: Record) -> None:
        """A part was kept."""
        so_far = self.progress
        self._ahead = max(0, self._ahead - record.documents)
        self.progress = replace(
            so_far,
            done=so_far.done + record.rows,
            parts_done=so_far.parts_done + 1,
            failed=so_far.failed + record.failed,
            annotations=so_far.annotations + record.annotations,
            characters=so_far.characters + record.characters,
            made_by=_distinct([*so_far.made_by, record.made_by]),
            losses=tuple(dict.fromkeys([*so_far.losses, *record.losses])),
        )
        self.note("running")

    def note(self, state: str, *, error: str = "") -> Progress:
        """Leave the note now."""
        self._told = time.monotonic()
        so_far = self.progress
        done = min(so_far.rows, so_far.done + (self._ahead if state == "running" else 0))
        per_s = (done - so_far.resumed) / max(self._told - self._began, 1e-9)
        now = replace(
            so_far,
            state=state,
            error=error,
            done=done,
            per_s=round(per_s, 2),
            left_s=round((so_far.rows - done) / per_s, 1) if per_s and state == "running" else None,
            updated_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        self._output.tell(asdict(now))
        self._tell(now)
        return now


def _plan(batch: Batch, settings: Settings) -> dict[str, Any]:
    """What must be the same when a batch goes on: everything that results depend on."""
    model = read_files(settings.model, revision=settings.model_revision, download_dir=settings.download_dir)
    return {
        "input": batch.input,
        "task": batch.asked.task,
        "schema": dict(batch.asked.parsed().to_dict()),
        "text_column": batch.asked.text_column,
        "id_column": batch.asked.id_column,
        "threshold": batch.threshold,
        "model": model.name,
        "revision": model.revision or "",
        "max_length": settings.max_length,
        "stride": settings.stride,
        "format": batch.form,
        "part_documents": batch.part_documents,
    }


def _left(output: Output, files: Iterable[InputFile], batch: Batch, teller: _Teller) -> list[Part]:
    """The parts that are not kept yet, without documents that were kept from an older state of their file."""
    left: list[Part] = []
    used: list[Record] = []
    for file in files:
        parts = list(divide(file, documents=batch.part_documents))
        kept = [output.records[part.key] for part in parts if part.key in output.records]
        new = [part for part in parts if part.key not in output.records]
        used += kept
        older = output.kept_documents(file.name)
        for record in kept:
            older.subtract(record.digests)
        if new and any(count > 0 for count in older.values()):
            new = [_without(part, batch.asked, older) for part in new]
        left += new
    teller.planned(left, used)
    return left


def _without(part: Part, asked: Asked, older: dict[str, int]) -> Part:
    """The part with the rows to skip, which are taken out of `older`."""
    skip = []
    for number, row in read_rows(part, asked):
        digest = digest_of(row.document)
        if older.get(digest, 0) > 0:
            older[digest] -= 1
            skip.append(number)
    return replace(part, skip=tuple(skip))


def _check_maker(record: Record, plan: Mapping[str, Any]) -> None:
    """Raise CheckpointError when an actor answers with other weights than those the batch was begun with."""
    made, wanted = (tuple(one[key] for key in ("model", "revision")) for one in (record.made_by, plan))
    if made != wanted:
        raise CheckpointError(
            f"{record.made_by['process']} 的模型是 {made[0]}（版本 {made[1] or '未知'}），"
            f"应为 {wanted[0]}（版本 {wanted[1] or '未知'}）：请让每台机器用同一个检查点"
        )


def _distinct(makers: Iterable[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """Each of those who read parts once."""
    return tuple({repr(sorted(one.items())): one for one in makers}.values())

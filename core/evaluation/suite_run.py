"""Runs a model, and peers beside it, over the development suite."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.errors import RexError
from core.evaluation.environment import describe
from core.evaluation.evaluate import GoldRecord
from core.evaluation.metrics import Paths
from core.evaluation.peers import Peer, available_peers
from core.evaluation.scoring import Figures, as_labelled, confidence_error, measure, predictions
from core.evaluation.suite import Key, Part, choose, gather, load_suite, named_in
from core.inference.engine import Engine, Item
from core.types import Document
from core.types import Path as FoundPath


@dataclass(frozen=True, slots=True)
class PeerResult:
    """What a peer reached on the same records, or why it gave no answer (`error`, then `value` is None).

    types: those the peer knows, None when it knows all; both `value` and `model_value`, the model's number beside
    it, are of these types alone. seconds: loading and training included.
    """

    name: str
    version: str
    types: tuple[str, ...] | None
    model_value: float
    value: float | None
    seconds: float
    error: str = ""


@dataclass(frozen=True, slots=True)
class PartResult:
    """What the model reached on one set and task; `failed` records could not be read and count as unanswered."""

    part: Part
    figures: Figures
    calibration_error: float | None
    failed: tuple[str, ...]
    seconds: float
    peers: tuple[PeerResult, ...]

    @property
    def documents_per_s(self) -> float:
        """Documents a second, tokenising and decoding included, loading excluded."""
        return len(self.part.records) / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """The results so far, of `planned` parts; `about` says with what they were made.

    zero_shot: the parts that the model has not seen in training.
    """

    suite: str
    planned: int
    results: tuple[PartResult, ...]
    zero_shot: frozenset[Key]
    about: Mapping[str, Any]
    skipped_peers: tuple[str, ...] = ()

    def is_zero_shot(self, result: PartResult) -> bool:
        """Whether the model has not seen this set and task in training."""
        return (result.part.source, result.part.task) in self.zero_shot


def evaluate_suite(
    engine: Engine,
    directory: Path,
    *,
    suite: str,
    only: Collection[str] = (),
    rows: int | None = None,
    with_peers: bool = False,
    zero_shot: Collection[str] = (),
    threshold: float | None = None,
    command: str = "",
    progress: Callable[[str], None] = lambda line: None,
    keep: Callable[[Report], None] = lambda report: None,
) -> Report:
    """Run a model over the fixed records that `directory` holds; see `suite.gather` for what that may be.

    only, zero_shot: names of sets or tasks. rows: at most so many records of each set and task. `keep` gets the
    report after every part, so that a run that is cut short loses nothing. Raises InputError for unknown names.
    """
    whole = load_suite(suite)
    chosen = choose(whole, only=only, rows=rows)
    left_out = named_in(whole, zero_shot)
    peers, absent = available_peers() if with_peers else ([], [])
    about = describe(engine) | {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "threshold": threshold,
        "rows": rows,
    }
    report = Report(suite, len(chosen), (), frozenset(left_out), about, tuple(absent))
    keep(report)  # so that a place that cannot be written is known before the work
    for result in _run(engine, gather(directory, chosen), peers=peers, threshold=threshold, progress=progress):
        report = replace(report, results=(*report.results, result))
        keep(report)
    return report


def _run(
    engine: Engine,
    parts: Iterable[Part],
    *,
    peers: Sequence[Peer],
    threshold: float | None,
    progress: Callable[[str], None],
) -> Iterator[PartResult]:
    """The result of each part that has records, as soon as it is there; a part without any has zero figures."""
    warm = False
    for part in parts:
        if part.records and not warm:
            _annotate(engine, part.records[:1], threshold)  # the first pass allocates and is not timed
            warm = True
        found, failed, seconds = _annotate(engine, part.records, threshold)
        scored = [predictions(part.task, paths) for paths in found]
        result = PartResult(
            part=part,
            figures=measure(part.task, part.records, found=scored),
            calibration_error=confidence_error(part.task, part.records, found=found),
            failed=failed,
            seconds=seconds,
            peers=tuple(_peer(peer, part, scored, progress) for peer in _covering(peers, part)),
        )
        progress(f"{part.task} {part.source}：{len(part.records)}/{part.wanted} 条，{seconds:.1f} 秒")
        yield result


def _annotate(
    engine: Engine, records: Sequence[GoldRecord], threshold: float | None
) -> tuple[list[tuple[FoundPath, ...]], tuple[str, ...], float]:
    """The paths of every record, what went wrong, and the seconds it took."""
    found: list[tuple[FoundPath, ...]] = [()] * len(records)
    failed: list[str] = []
    items = [Item(Document(record.text), as_labelled(record.group), record.schema) for record in records]
    start = time.perf_counter()
    for index, result in engine.annotate(items, threshold=threshold):
        found[index] = result.paths
        if result.error:
            failed.append(result.error)
    return found, tuple(failed), time.perf_counter() - start


def _covering(peers: Sequence[Peer], part: Part) -> list[Peer]:
    return [peer for peer in peers if part.records and peer.covers(part.task, part.source)]


def _peer(peer: Peer, part: Part, model: Sequence[Paths], progress: Callable[[str], None]) -> PeerResult:
    """Score a peer, and the model beside it, on what the peer can know."""
    progress(f"{part.task} {part.source}：{peer.name}")
    types = peer.comparable(part.task, part.source)
    start = time.perf_counter()
    value, error = None, ""
    try:
        found = peer.predict(part.records, train=part.train)
        value = measure(part.task, part.records, found=found, types=types).value
    except Exception as fault:  # foreign programs: whatever goes wrong in one is shown, and the run goes on
        error = str(fault) if isinstance(fault, RexError) else f"{type(fault).__name__}: {fault}"
    return PeerResult(
        name=peer.name,
        version=peer.version,
        types=None if types is None else tuple(sorted(types)),
        model_value=measure(part.task, part.records, found=model, types=types).value,
        value=value,
        seconds=time.perf_counter() - start,
        error=error,
    )

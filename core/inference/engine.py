"""The loop: all prompts that many documents need next go through the model in length-sorted batches."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch

from core.errors import Cancelled, InputError, RexError
from core.inference.batching import plan, stack
from core.inference.decoding import Fired, decode, temper
from core.inference.prompts import PieceEncoder, Prompt
from core.inference.recursion import Limits, check_roots, read
from core.model.checkpoint import Checkpoint
from core.schemas.schema import Schema
from core.tasks import CLASSIFY, EXTRACT, Answer, Task
from core.types import AnnotatedDocument, Document, Path

DocumentRun = Generator[list[Prompt], list[Fired], AnnotatedDocument]
ACTIVE_DOCUMENTS = {"cpu": 32, "cuda": 512}
"""How many documents are read side by side: enough to fill batches, few enough that progress is seen."""

BATCH_TOKENS = {"cpu": 1024, "cuda": 8192}
"""Tokens of a batch: a CPU is fastest while a batch fits its caches, a GPU wants enough to fill it."""

ASKED_AS = {("atsc", EXTRACT): "absa", ("mrc", CLASSIFY): "choice"}
"""Whose temperature a request takes when it is not its task's own: what is asked is what that family was judged by."""


@dataclass(frozen=True, slots=True)
class Item:
    """A document and what to look for in it."""

    document: Document
    task: Task
    schema: Schema


class Engine:
    """Owns a loaded model; safe to share between threads, which take turns batch by batch."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        limits: Limits | None = None,
        batch_tokens: int = 0,
        lock: threading.Lock | None = None,
    ) -> None:
        self.checkpoint = checkpoint
        self.limits = limits or Limits(max_groups=checkpoint.model.config.groups_per_hint)
        self.batch_tokens = batch_tokens or BATCH_TOKENS.get(checkpoint.device.type, 1024)
        self.lock = lock or threading.Lock()
        self.pieces = PieceEncoder(checkpoint.tokenizer)

    def check(self, schema: Schema) -> None:
        """Raise SchemaError when a root type is too long to be asked."""
        check_roots(schema, self.pieces, self.limits)

    def annotate(
        self,
        items: Iterable[Item],
        *,
        threshold: float | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Iterator[tuple[int, AnnotatedDocument]]:
        """Annotate documents, each with its own schema and task; yields (index in `items`, result) as they finish.

        A document that cannot be read yields a result with `error`; the others go on. Raises Cancelled between
        batches once `cancelled()` is true.
        """
        limits = self.limits if threshold is None else _with_threshold(self.limits, threshold)
        waiting = enumerate(items)
        active: dict[int, tuple[Item, DocumentRun, list[Prompt]]] = {}
        room = ACTIVE_DOCUMENTS.get(self.checkpoint.device.type, 32)
        while True:
            # One by one: documents that end at once (blank ones) make room for the next.
            while len(active) < room and (following := next(waiting, None)) is not None:
                index, item = following
                yield from self._advance(active, index, item, self._document(item, limits), None)
            if not active:
                return
            prompts = [prompt for _, _, needed in active.values() for prompt in needed]
            # Only extraction is decided while decoding; classes are compared with the limits of their request.
            thresholds = [
                self._raw(item.task, EXTRACT, limits=limits).threshold
                for item, _, needed in active.values()
                for _ in needed
            ]
            fired = iter(self._forward(prompts, thresholds, cancelled))
            for index, (item, run, needed) in list(active.items()):
                yield from self._advance(active, index, item, run, list(islice(fired, len(needed))))

    def _advance(
        self,
        active: dict[int, tuple[Item, DocumentRun, list[Prompt]]],
        index: int,
        item: Item,
        run: DocumentRun,
        fired: list[Fired] | None,
    ) -> Iterator[tuple[int, AnnotatedDocument]]:
        """Take one document to its next prompts or to its end."""
        try:
            active[index] = (item, run, run.send(fired))  # type: ignore[arg-type]
            return
        except StopIteration as stop:
            result = stop.value
        except RexError as error:
            result = AnnotatedDocument(item.document, item.task.name, (), error=str(error))
        active.pop(index, None)
        yield index, result

    def _document(self, item: Item, limits: Limits) -> DocumentRun:
        document = item.document
        if not document.text.strip():
            what = f"文档 {document.id} 没有文字" if document.id else "正文为空"
            raise InputError(f"{what}：请输入要分析的内容")
        steps = item.task.plan(document, item.schema)
        answers: list[Answer] | None = None
        while True:
            try:
                requests = steps.send(answers)  # type: ignore[arg-type]
            except StopIteration as stop:
                finding = stop.value
                break
            raw = [self._raw(item.task, request.mode, limits=limits) for request in requests]
            readers = [read(request, self.pieces, own) for request, own in zip(requests, raw, strict=True)]
            heard = yield from _side_by_side(readers)
            answers = [
                _tempered(answer, self._temperature(item.task, request.mode))
                for request, answer in zip(requests, heard, strict=True)
            ]
        return AnnotatedDocument(
            document=document,
            task=item.task.name,
            annotations=finding.annotations,
            windows=max((answer.windows for answer in finding.answers), default=1),
            paths=tuple(path for answer in finding.answers for path in answer.paths),
            notes=tuple(dict.fromkeys(note for answer in finding.answers for note in answer.notes)),
        )

    def _temperature(self, task: Task, mode: str) -> float:
        """Of the scores of a request; 1 for the reference's form, which no checkpoint has a temperature for."""
        return self.checkpoint.model.config.temperatures.get(ASKED_AS.get((task.name, mode), task.name), 1.0)

    def _raw(self, task: Task, mode: str, *, limits: Limits) -> Limits:
        """The limits with the threshold that link probabilities must exceed for scores to exceed the asked one."""
        temperature = self._temperature(task, mode)
        if temperature == 1.0:
            return limits
        return replace(limits, threshold=float(temper(np.array(limits.threshold), 1 / temperature)))

    def _forward(
        self, prompts: Sequence[Prompt], thresholds: Sequence[float], cancelled: Callable[[], bool]
    ) -> list[Fired]:
        """What fired in each prompt above its threshold, in order."""
        results: list[Fired | None] = [None] * len(prompts)
        device = self.checkpoint.device
        for rows in plan([len(prompt) for prompt in prompts], budget=self.batch_tokens):
            if cancelled():
                raise Cancelled("已取消")
            members = [prompts[row] for row in rows]
            batch = stack(members, pad_id=self.checkpoint.tokenizer.pad_id)
            with self.lock, torch.inference_mode():
                logits = self.checkpoint.model(
                    batch.input_ids.to(device),
                    batch.position_ids.to(device),
                    batch.prefix_ids.to(device),
                    batch.type_ids.to(device),
                    batch.keep.to(device),
                    batch.max_distance,
                )
                asked = [thresholds[row] for row in rows]
                for row, fired in zip(rows, decode(logits, members, threshold=asked), strict=True):
                    results[row] = fired
        return results  # type: ignore[return-value]


def _with_threshold(limits: Limits, threshold: float) -> Limits:
    if not 0.0 <= threshold < 1.0:
        raise InputError(f"阈值 {threshold} 无效：请取 0 到 1 之间（不含 1）的数")
    return replace(limits, threshold=threshold)


def _tempered(answer: Answer, temperature: float) -> Answer:
    """The answer with calibrated scores; `confidence`, the reference's mean, stays as it is.

    After the choices: a score is the weakest link, so that dividing it divides all of them, and classes are still
    chosen as without a temperature.
    """
    if temperature == 1.0 or not answer.paths:
        return answer

    def warm(path: Path) -> Path:
        scores = temper(np.array([link.score for link in path]), temperature)
        return tuple(replace(link, score=float(score)) for link, score in zip(path, scores, strict=True))

    return replace(answer, paths=tuple(warm(path) for path in answer.paths))


def _side_by_side(
    readers: list[Generator[list[Prompt], list[Fired], Answer]],
) -> Generator[list[Prompt], list[Fired], list[Answer]]:
    """Run the readers of one document together, so that their prompts share a level."""
    answers: dict[int, Answer] = {}
    waiting: dict[int, list[Prompt]] = {}

    def step(number: int, fired: list[Fired] | None) -> None:
        try:
            waiting[number] = readers[number].send(fired)  # type: ignore[arg-type]
        except StopIteration as stop:
            waiting.pop(number, None)
            answers[number] = stop.value

    for number in range(len(readers)):
        step(number, None)
    while waiting:
        fired = iter((yield [prompt for needed in waiting.values() for prompt in needed]))
        for number, needed in list(waiting.items()):
            step(number, list(islice(fired, len(needed))))
    return [answers[number] for number in range(len(readers))]

"""Training files → an endless or single pass of batches of like length, made in worker processes."""

from __future__ import annotations

import json
import random
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from core.errors import InputError
from core.inference.prompts import PieceEncoder
from core.model.tokenizer import RexTokenizer
from core.tasks import EXTRACT
from core.training.augment import AugmentConfig, augment
from core.training.samples import Example, GoldPath, Sample, build_samples, read_record, schema_of

BUCKETS = (32, 64, 96, 128, 192, 256, 384, 512)
"""Lengths that prompts are padded to: few, since a compiled network has a version for each."""
_FIELD = {name: re.compile(rb'"%s": ?"([^"\\]*)"' % name) for name in (b"task", b"source")}
_QUESTIONS_KEPT = 64
FAULTS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Pool:
    """The lines of one set and task, undecoded, so that worker processes share their memory."""

    task: str
    source: str
    path: Path
    blob: bytes
    lines: np.ndarray  # (n, 3) int64: start, end, line number in the file
    schema: dict[str, Any] | None = None  # for records without one

    def __len__(self) -> int:
        return len(self.lines)

    def row(self, index: int) -> dict[str, Any]:
        """The decoded line."""
        start, end, number = self.lines[index]
        try:
            row: dict[str, Any] = json.loads(self.blob[start:end])
        except UnicodeDecodeError as error:
            raise InputError(f"{self.path} 第 {number} 行不是 UTF-8：请把文件另存为 UTF-8") from error
        except ValueError as error:
            raise InputError(f"{self.path} 第 {number} 行不是合法的 JSON：{error}") from error
        if not isinstance(row, dict):
            raise InputError(f"{self.path} 第 {number} 行不是 JSON 对象：应是每行一个对象")
        return row

    def example(self, index: int) -> Example:
        """The checked record; raises InputError naming file and line."""
        row = self.row(index)
        try:
            return read_record(row, schema=self.schema)
        except InputError as error:
            raise InputError(f"{self.path} 第 {self.lines[index, 2]} 行：{error}") from error

    def part(self, rows: Sequence[int] | np.ndarray) -> Pool:
        """Some of the lines."""
        return Pool(self.task, self.source, self.path, self.blob, self.lines[np.asarray(rows, int)], self.schema)


def read_pools(paths: Sequence[Path], *, check: bool = False) -> list[Pool]:
    """One pool for each task and source in the files; raises InputError for unusable files.

    check: read every line now, so that faults show before training starts, and find the schema of records without
    one. Otherwise a faulty line raises when its turn comes.
    """
    pools = []
    for path in paths:
        try:
            blob = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
        except OSError as error:
            reason = "文件不存在" if isinstance(error, FileNotFoundError) else str(error)
            raise InputError(f"无法读取训练文件 {path}：{reason}") from error
        found: dict[tuple[str, str], list[tuple[int, int, int]]] = {}
        start = 0
        for number, line in enumerate(blob.split(b"\n"), 1):
            if line.strip():
                task, source = (m.group(1).decode() if (m := p.search(line)) else "" for p in _FIELD.values())
                found.setdefault((task, source), []).append((start, start + len(line), number))
            start += len(line) + 1
        if not found:
            raise InputError(f"训练文件 {path} 里没有记录：每行应是一个 JSON 对象（text、info_list、schema）")
        problems: list[str] = []
        for (task, source), lines in found.items():
            pool = Pool(task, source or path.stem.split(".")[0], path, blob, np.array(lines, np.int64))
            pools.append(_checked(pool, problems) if check else pool)
        if problems:
            raise InputError(f"{path} 有 {len(problems)} 行不能用：\n" + "\n".join(problems[:FAULTS_SHOWN]))
    return pools


def _checked(pool: Pool, problems: list[str]) -> Pool:
    """The pool with a schema for records that lack one; what is wrong with a line is added to `problems`."""
    bare: list[GoldPath] = []
    for index in range(len(pool)):
        try:
            example = pool.example(index)
        except InputError as error:
            problems.append(str(error))
            continue
        if not pool.row(index).get("schema"):
            bare += [*example.paths, ()]
    schema = schema_of(bare) if bare else None
    return Pool(pool.task, pool.source, pool.path, pool.blob, pool.lines, schema)


class Batch(NamedTuple):
    """ids: (4, B, L) int32 input, position, prefix and type ids. lengths: (B,) int32. gold: (N, 3) int32 of
    (prompt, row, column). tasks: (B,) int64 index of the pool. lost: () gold spans that fall on no token.
    share: () float32, how much of the pass is done.
    """

    ids: Tensor
    lengths: Tensor
    gold: Tensor
    tasks: Tensor
    lost: Tensor
    share: Tensor


def collate(samples: Sequence[tuple[int, Sample]], *, width: int, pad_id: int, share: float = 0.0) -> Batch:
    """Stack (pool, sample) pairs, padded to `width`."""
    ids = np.zeros((4, len(samples), width), np.int32)
    ids[0] = pad_id
    gold = []
    for row, (_, sample) in enumerate(samples):
        prompt, size = sample.prompt, len(sample.prompt)
        vectors = (prompt.input_ids, prompt.position_ids, prompt.prefix_ids, prompt.type_ids)
        for part, vector in enumerate(vectors):
            ids[part, row, :size] = vector
        gold.append(np.concatenate((np.full((len(sample.cells), 1), row, np.int32), sample.cells), axis=1))
    return Batch(
        ids=torch.from_numpy(ids),
        lengths=torch.tensor([len(sample.prompt) for _, sample in samples], dtype=torch.int32),
        gold=torch.from_numpy(np.concatenate(gold)),
        tasks=torch.tensor([pool for pool, _ in samples]),
        lost=torch.tensor(sum(sample.lost for _, sample in samples)),
        share=torch.tensor(share),
    )


@dataclass(frozen=True, slots=True)
class Mix:
    """How the pools are read. weights: chance of each pool, or None for one pass over everything.

    member: which process of several that train together; with weights each draws records of its own.
    """

    tokenizer_dir: Path
    augment: AugmentConfig
    tokens: int
    weights: tuple[float, ...] | None = None
    seed: int = 0
    member: int = 0


class Stream(IterableDataset):  # the only form that DataLoader accepts for batches that a worker makes up itself
    """Batches of at most `mix.tokens` tokens, or one prompt, each of one bucket."""

    def __init__(self, pools: Sequence[Pool], mix: Mix) -> None:
        self.pools, self.mix = tuple(pools), mix

    def __iter__(self) -> Iterator[Batch]:
        """This worker's batches."""
        worker = get_worker_info()
        number, count = (worker.id, worker.num_workers) if worker else (0, 1)
        rng = random.Random(f"{self.mix.seed}/{self.mix.member}/{number}")
        pieces = PieceEncoder(RexTokenizer.from_directory(self.mix.tokenizer_dir))
        pad_id = pieces.tokenizer.pad_id
        waiting: dict[int, list[tuple[int, Sample]]] = {width: [] for width in BUCKETS}
        questions: deque[tuple[str, str]] = deque(maxlen=_QUESTIONS_KEPT)
        share = 0.0
        for pool, index, share in self._order(rng, number, count):
            example = self.pools[pool].example(index)
            if example.task == "mrc" and example.mode == EXTRACT:
                questions.extend((example.text, question) for question in example.schema)
            variant = augment(example, rng, self.mix.augment, questions=questions)
            for sample in build_samples(variant, pieces, rng, limits=self.mix.augment.limits(rng, example.task)):
                width = next(width for width in BUCKETS if width >= len(sample.prompt))
                waiting[width].append((pool, sample))
                if len(waiting[width]) >= max(1, self.mix.tokens // width):
                    yield collate(waiting[width], width=width, pad_id=pad_id, share=share)
                    waiting[width] = []
        for width, rest in waiting.items():
            if rest:
                yield collate(rest, width=width, pad_id=pad_id, share=share)

    def _order(self, rng: random.Random, number: int, count: int) -> Iterator[tuple[int, int, float]]:
        """(pool, line, share of the pass done), endless when the mix has weights."""
        if self.mix.weights is None:
            # Every worker must draw the same order, to take its own part of it.
            everything = [(pool, row) for pool, one in enumerate(self.pools) for row in range(len(one))]
            random.Random(self.mix.seed).shuffle(everything)
            for place in range(number, len(everything), count):
                yield *everything[place], (place + 1) / len(everything)
            return
        queues: list[list[int]] = [[] for _ in self.pools]
        chances = list(self.mix.weights)
        while True:
            pool = rng.choices(range(len(self.pools)), chances)[0]
            if not queues[pool]:
                queues[pool] = rng.sample(range(len(self.pools[pool])), len(self.pools[pool]))
            yield pool, queues[pool].pop(), 0.0


def load_batches(pools: Sequence[Pool], mix: Mix, *, workers: int = 0, pin: bool = False) -> DataLoader:
    """A loader over the stream; `workers` processes, 0: in this process."""
    return DataLoader(
        Stream(pools, mix),
        batch_size=None,
        num_workers=workers,
        pin_memory=pin,
        prefetch_factor=4 if workers else None,
    )

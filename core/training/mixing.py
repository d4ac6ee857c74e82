"""What a fine-tuning run reads: its pools, how often each is drawn from, and the records it is scored on."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.errors import InputError
from core.training.batches import Pool, read_pools
from core.training.licences import parse_classes, permitted
from core.training.options import FinetuneConfig
from core.training.scoring import Row

HELD_BACK = 0.15
log = logging.getLogger(__name__)


def load_data(config: FinetuneConfig) -> tuple[list[Pool], list[Pool]]:
    """Training and development pools: of folders by file name, of single files by holding some records back."""
    train: list[Pool] = []
    dev: list[Pool] = []
    own: set[str] = set()  # a user's own files need no licence
    for entry in map(Path, config.data):
        if entry.is_dir():
            train += read_pools(sorted(entry.glob("*.train.jsonl")))
            dev += read_pools(sorted(entry.glob("*.dev.jsonl")))
            continue
        for pool in read_pools([entry], check=True):
            own.add(pool.source)
            order = np.random.default_rng(config.seed).permutation(len(pool))
            held = max(1, round(len(pool) * HELD_BACK)) if len(pool) > 3 else 0
            train.append(pool.part(np.sort(order[held:])))
            dev += [pool.part(np.sort(order[:held]))] if held else []
    chosen, left_out = permitted(dict.fromkeys(pool.source for pool in train), parse_classes(config.licence), own=own)
    if left_out:
        log.info("left out by licence: %s", " ".join(left_out))
    train, dev = ([pool for pool in pools if pool.source in chosen] for pools in (train, dev))
    unknown = [name for name in config.without if name not in {pool.source for pool in train}]
    if unknown:
        raise InputError(f"--without：没有数据集“{'”“'.join(unknown)}”")
    train = [pool for pool in train if pool.source not in config.without]
    if not train:
        raise InputError(f"{'、'.join(config.data)} 里没有训练数据：需要 *.train.jsonl 或单个 .jsonl 文件")
    return train, [pool for pool in dev if pool.source not in config.without]


def pool_weights(pools: Sequence[Pool], config: FinetuneConfig) -> tuple[float, ...] | None:
    """The chance of each pool, by the square root of its capped size; None: every record once."""
    if config.epochs:
        return None
    factors: dict[str, float] = {}
    for entry in config.weight:
        name, _, value = entry.partition("=")
        if name not in {known for pool in pools for known in (pool.task, pool.source)}:
            raise InputError(f"--weight {entry}：没有任务或数据集“{name}”")
        try:
            factors[name] = float(value)
        except ValueError as error:
            raise InputError(f"--weight {entry}：“{value}”不是数字") from error
    return tuple(min(len(p), config.cap) ** 0.5 * factors.get(p.task, 1.0) * factors.get(p.source, 1.0) for p in pools)


def development_rows(pools: Sequence[Pool], config: FinetuneConfig) -> list[Row]:
    """At most `score_rows` records of each pool, the same every time, for `scoring.score_rows`."""
    rows = []
    for pool in pools:
        for index in random.Random(config.seed).sample(range(len(pool)), min(len(pool), config.score_rows)):
            row = pool.row(index)
            rows.append((pool.task, pool.source, row if row.get("schema") else row | {"schema": pool.schema}))
    return rows

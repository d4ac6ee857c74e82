"""What requests of one document each cost the caller's process, and how they share batches, without a card.

    python -m scripts.many_callers --clients 8 64 256 --per-s 400

A device that sleeps stands for the card: 1.3 ms for a batch and 2.7 ms more for 16,384 tokens; it finds four spans of
any words in every prompt. All else is the product's own: the engine, the queue, the callers of the benchmark.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from core.benchmark.formulas import poisson_schedule
from core.benchmark.load import Load, closed_loop, open_loop
from core.benchmark.network import EMBEDDED, SCHEMA
from core.benchmark.system import System
from core.benchmark.texts import of_length, read_texts
from core.config import Settings
from core.inference.assembly import load_engine
from core.inference.engine import Item
from core.inference.matching import Matched
from core.inference.owner import LocalOwner, Pause, from_settings
from core.inference.packing import Ragged

BATCH_S, FULL_S, FULL_TOKENS = 0.0013, 0.0027, 16384
FOUND = 4


class SleepingOwner(LocalOwner):
    """Loads the included network for its figures, and sleeps instead of running it."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(from_settings(settings))
        self.batches = self.rows = 0
        self._random = np.random.default_rng(0)

    def finish(self, pause: Pause | None = None) -> Matched:
        """Four spans a prompt, after as long as a card would take."""
        batch, self._batch = self._batch, None
        assert batch is not None
        time.sleep(BATCH_S + FULL_S * batch.tokens / FULL_TOKENS)
        self.batches += 1
        self.rows += batch.rows
        return self._found(batch)

    def _found(self, batch: Ragged) -> Matched:
        starts = np.repeat(batch.lengths - batch.text_sizes - 1, FOUND)
        heads = starts + self._random.integers(0, np.repeat(batch.text_sizes, FOUND) - 2)
        types = self._random.integers(0, np.repeat(batch.mark_counts[batch.which], FOUND))
        return Matched(
            spans=np.stack((heads, heads + 1, types), axis=-1).astype(np.int32),
            probabilities=np.full((len(heads), 3), 0.9),
            bounds=np.arange(batch.rows + 1) * FOUND,
            classes=np.zeros((0, 3)),
            class_bounds=np.zeros(batch.rows + 1, np.int64),
        )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="许多调用者各问一篇短文：调用者的进程每个请求花多少处理器时间")
    parser.add_argument("--clients", type=int, nargs="*", default=[8, 64, 256], help="闭环的客户端数")
    parser.add_argument("--per-s", type=float, nargs="*", default=[], help="开环每秒的请求数")
    parser.add_argument("--requests", type=int, default=2_000)
    options = parser.parse_args()
    settings = Settings(model=str(EMBEDDED), device="cpu", worker="thread", batch_tokens=FULL_TOKENS)
    owner = SleepingOwner(settings)
    engine = load_engine(settings, owner=owner)
    try:
        system = System(engine, 0.5)
        texts = of_length(read_texts(), 1_000, length=128)
        items = system.items(texts, SCHEMA)
        system.annotate(items)
        _tell("一次 1,000 篇", owner, lambda: _once(system, items))
        ask = system.asking(texts, SCHEMA)
        for clients in options.clients:
            closed = partial(closed_loop, ask, options.requests, clients=clients)
            _tell(f"{clients} 个客户端", owner, closed)
        for rate in options.per_s:
            _tell(f"每秒 {rate:.0f} 个", owner, partial(open_loop, ask, poisson_schedule(rate, options.requests)))
    finally:
        engine.close()


def _once(system: System, items: list[Item]) -> Load:
    begun = time.perf_counter()
    system.annotate(items)
    wall = time.perf_counter() - begun
    return Load((wall,) * len(items), (), wall)


def _tell(name: str, owner: SleepingOwner, work: Callable[[], Load]) -> None:
    batches, spent = owner.batches, time.process_time()
    load = work()
    spent, batches = time.process_time() - spent, owner.batches - batches
    count = len(load.latencies_s)
    sys.stdout.write(
        f"{name}：每个请求 {1e6 * spent / count:.0f} 微秒，每秒 {load.per_s:.0f} 个，每批 {count / batches:.1f} 个，"
        f"p50 {load.quantile_ms(0.5):.1f}、p99 {load.quantile_ms(0.99):.1f} 毫秒，失败 {len(load.failures)} 个\n"
    )
    sys.stdout.flush()


if __name__ == "__main__":
    main()

"""What a document costs the processor beside the network, by stage: `python -m scripts.host_cost --length 128`.

Reads real texts with the included model on the CPU once and keeps what it gave; then every stage around the network is
run again and again alone, on one thread. Prints microseconds of processor time a document (the least of the rounds, so
that other work on the machine counts little) and in whose process the stage runs: the reader's, which has one
interpreter for all of its threads, or the owner's, beside the card.
"""

from __future__ import annotations

import argparse
import pickle
import time
from collections.abc import Callable
from typing import TypeVar

from core.benchmark.network import EMBEDDED, SCHEMA
from core.benchmark.texts import of_length, read_texts
from core.inference.batching import plan
from core.inference.decoding import Fired
from core.inference.documents import DocumentRun, Item, read_document
from core.inference.forward import run
from core.inference.matching import match, unpack
from core.inference.packing import Packed, Raw, lay_out, line_up
from core.inference.prompts import PieceEncoder, Prompt
from core.inference.recursion import Limits
from core.model.checkpoint import Checkpoint, load_checkpoint
from core.tasks import TASKS
from core.types import AnnotatedDocument, Document

Result = TypeVar("Result")
BATCH_TOKENS = 16_384
"""Of a batch on a large card."""
ROWS = 8
"""Of a batch that the CPU reads at once."""


def main() -> None:
    """Read, repeat, print."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--length", type=int, default=128, help="characters of a text")
    asked.add_argument("--documents", type=int, default=100)
    asked.add_argument("--rounds", type=int, default=15)
    options = asked.parse_args()
    count, rounds = options.documents, options.rounds
    checkpoint = load_checkpoint(str(EMBEDDED), device="cpu")
    pieces, pad_id = PieceEncoder(checkpoint.tokenizer), checkpoint.tokenizer.pad_id
    limits, texts = Limits(), of_length(read_texts(), count, length=options.length)

    def timed(stage: str, where: str, work: Callable[[], Result]) -> Result:
        least = float("inf")
        for _ in range(rounds):
            begun = time.thread_time()
            result = work()
            least = min(least, time.thread_time() - begun)
        print(f"{stage:<44}{where:<8}{least / count * 1e6:8.1f}")
        return result

    def begin() -> list[tuple[DocumentRun, list[Prompt]]]:
        items = [Item(Document(text), TASKS["ner"], SCHEMA) for text in texts]
        runs = [read_document(item, pieces, limits=limits, temperatures={}) for item in items]
        return [(reading, next(reading)) for reading in runs]

    begun = timed("text to tokens and prompts", "reader", begin)
    prompts = [prompt for _, needed in begun for prompt in needed]
    batches = timed("plan batches", "reader", lambda: plan([len(one) for one in prompts], budget=BATCH_TOKENS))
    levels = [[limits.bar] * len(batch) for batch in batches]
    lined = timed(
        "put prompts behind one another",
        "reader",
        lambda: [
            line_up([prompts[place] for place in batch], level, pad_id=pad_id)
            for batch, level in zip(batches, levels, strict=True)
        ],
    )
    sent = timed("pickle a batch", "reader", lambda: [pickle.dumps(one, protocol=5) for one in lined])
    got = timed("unpickle it", "owner", lambda: [pickle.loads(one) for one in sent])
    packed = timed("lay it out", "owner", lambda: [lay_out(one) for one in got])
    raw = [read(checkpoint, one) for one in packed]
    matched = timed("match links", "owner", lambda: [match(*pair) for pair in zip(raw, packed, strict=True)])
    back = timed("pickle what fired", "owner", lambda: [pickle.dumps(one, protocol=5) for one in matched])
    heard = timed("unpickle it", "reader", lambda: [pickle.loads(one) for one in back])
    rows = timed(
        "divide it by prompts",
        "reader",
        lambda: [unpack(one, [prompts[place] for place in batch]) for one, batch in zip(heard, batches, strict=True)],
    )
    fired = {
        place: one for batch, row in zip(batches, rows, strict=True) for place, one in zip(batch, row, strict=True)
    }
    least, found = min((finish(begin(), fired) for _ in range(rounds)), key=lambda one: one[0])
    print(f"{'spans to annotations':<44}{'reader':<8}{least / count * 1e6:8.1f}")
    print(
        f"{count} documents, {len(prompts)} windows, {len(batches)} batches, "
        f"{sum(len(one.cells) for one in raw) / count:.1f} links and "
        f"{sum(len(one.annotations) for one in found) / count:.1f} annotations a document"
    )


def read(checkpoint: Checkpoint, packed: Packed) -> Raw:
    """What the network gives for a batch, a few rows at a time."""
    parts = [packed.part(start, min(start + ROWS, packed.rows)) for start in range(0, packed.rows, ROWS)]
    return Raw.join([run(checkpoint.model, part, checkpoint.device) for part in parts], [part.rows for part in parts])


def finish(
    begun: list[tuple[DocumentRun, list[Prompt]]], fired: dict[int, Fired]
) -> tuple[float, list[AnnotatedDocument]]:
    """Give every document what fired in its prompts; seconds of processor time, and the results."""
    results, read = [], 0
    start = time.thread_time()
    for reading, needed in begun:
        try:
            reading.send([fired[read + place] for place in range(len(needed))])
        except StopIteration as stop:
            results.append(stop.value)
        read += len(needed)
    return time.thread_time() - start, results


if __name__ == "__main__":
    main()

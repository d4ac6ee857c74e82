"""The included model from its data, unattended: `python -m scripts.train_included --work DIR --converted DIR …`.

Stages: token streams → masked pre-training → (with --compare: half of the time more of it on one card, replaced tokens
on the other, a short fine-tuning of each without some sets, and the better encoder goes on) → fine-tuning → scores on
development records. Every stage is a process of its own with a time limit and a log in DIR; one whose output is there
is left out, so a run that was cut off goes on where it stood. What each took, energy included, is in DIR/stages.jsonl.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

# Not from core.config: a machine for training needs nothing but torch and the tokenizer.
ROOT = Path(__file__).resolve().parent.parent
EMBEDDED_MODEL = ROOT / "data" / "models" / "rex-mini-zh"
WEIGHTS = [
    *("ner=2", "nli=2.5", "matching=2", "coref=3", "hierarchy=0.5", "multilabel=0.7", "atsc=0.7", "sentiment=0.8"),
    *("re=3", "ee=4", "absa=2.5", "mrc=2", "written=3", "templates=0.8"),
]
"""How often tasks and sets are drawn: second levels and pairs are the hard ones."""
LEFT_OUT = ("resume", "thucnews_titles", "finre", "pawsx", "gdcq", "bdci_car")
"""Sets that a probe does not see and is scored on all the same."""
GRACE_S = 60
"""What a stage may take beyond its own limit: starting, saving."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A process: `module` and its arguments; `output` exists once it is done. cards: numbers of those it uses."""

    name: str
    module: str
    arguments: tuple[str, ...]
    output: Path
    limit_s: float
    cards: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Options:
    """Where things are and how long the stages last, in seconds."""

    work: Path
    converted: Path
    corpus: Path | None = None
    heldout: Path | None = None
    start: Path = EMBEDDED_MODEL
    cards: int = 1
    pretrain: float = 400.0
    finetune: float = 600.0
    compare: bool = False
    workers: int = 12
    extra: tuple[str, ...] = field(default=())

    @property
    def streams(self) -> Path:
        """The folder of token streams."""
        return self.work / "streams"

    @property
    def all_cards(self) -> tuple[int, ...]:
        """The numbers of the cards in use."""
        return tuple(range(self.cards))


def streams(options: Options) -> Stage:
    """Raw texts and those of the labelled sets → token streams."""
    files = sorted((options.corpus or options.converted).glob("*.txt*")) + sorted(
        options.converted.glob("*.train.jsonl")
    )
    arguments = [*map(str, files), "--tokenizer", str(options.start), "--heldout", str(options.heldout)]
    arguments += ["--out", str(options.streams)]
    return Stage("streams", "core.training.corpus", tuple(arguments), options.streams / "counts.json", 900)


def pretrain(
    options: Options, name: str, *, init: Path, seconds: float, cards: Sequence[int], generator: Path | None = None
) -> Stage:
    """Masked pre-training, or replaced tokens with a generator."""
    out = options.work / name
    arguments = ["--data", options.streams, "--init", init, "--out", out, "--seconds", int(seconds)]
    arguments += ["--length", 256, "--batch", 512, "--lr", 6e-4, "--warm-up", 0.03, "--decay", 0.35]
    arguments += ["--generator", generator] if generator else []
    return Stage(name, "core.training.pretrain", tuple(map(str, arguments)), out / "config.json", seconds, tuple(cards))


def finetune(
    options: Options, name: str, *, init: Path, seconds: float, cards: Sequence[int], without: Sequence[str] = ()
) -> Stage:
    """Multi-task training with the weights of this recipe."""
    out = options.work / name
    arguments = ["--data", options.converted, "--init", init, "--out", out, "--overwrite", "--seconds", int(seconds)]
    arguments += ["--compile", "--ema", 0.999, "--lr", 2.5e-4, "--dropout", 0.05, "--warmup", 0.03, "--score-rows", 60]
    arguments += ["--workers", options.workers, "--weight", *WEIGHTS, *options.extra]
    arguments += ["--without", *without] if without else []
    return Stage(
        name, "core.training.finetune", tuple(map(str, arguments)), out / "training_log.json", seconds, tuple(cards)
    )


def command(stage: Stage) -> list[str]:
    """How the stage is started; several cards through torchrun."""
    head = [sys.executable, "-m"]
    if len(stage.cards) > 1:
        head += ["torch.distributed.run", "--standalone", f"--nproc-per-node={len(stage.cards)}", "-m"]
    return [*head, stage.module, *stage.arguments]


def run(stage: Stage, work: Path) -> bool:
    """Run a stage unless its output is there; on several cards without success, once more on the first alone."""
    if stage.output.exists():
        return True
    work.mkdir(parents=True, exist_ok=True)
    begun, energy = time.monotonic(), energy_j()
    with (work / f"{stage.name}.log").open("a", encoding="utf-8") as log:
        visible = {"CUDA_VISIBLE_DEVICES": ",".join(map(str, stage.cards))} if stage.cards else {}
        process = subprocess.Popen(
            command(stage), cwd=ROOT, env={**os.environ, **visible}, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            status = process.wait(stage.limit_s + GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
    used = [round(after - before) for before, after in zip(energy, energy_j(), strict=True)]
    line = {"stage": stage.name, "status": status, "seconds": round(time.monotonic() - begun, 1), "cards": stage.cards}
    line |= {"energy_j_by_card": used, "ended": datetime.now(UTC).isoformat(timespec="seconds")}
    with (work / "stages.jsonl").open("a", encoding="utf-8") as record:
        record.write(json.dumps(line | {"command": command(stage)}) + "\n")
    if not stage.output.exists() and len(stage.cards) > 1:
        left = max(120.0, stage.limit_s - (time.monotonic() - begun))
        alone = Stage(stage.name, stage.module, stage.arguments, stage.output, left, stage.cards[:1])
        return run(alone, work)
    return stage.output.exists()


def energy_j() -> list[float]:
    """What each card has used since the driver was loaded, in joules; empty without a driver or such a meter."""
    try:
        import pynvml

        pynvml.nvmlInit()
        cards = [pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(pynvml.nvmlDeviceGetCount())]
        return [pynvml.nvmlDeviceGetTotalEnergyConsumption(card) / 1000 for card in cards]
    except Exception:  # a reading for the record is no reason to stop a training run
        return []


def compare(options: Options, base: Path) -> Path:
    """The better of masked and replaced-token pre-training after equal time, by a short fine-tuning of each."""
    half = options.pretrain / 2
    first, last = options.all_cards[:1], options.all_cards[-1:]
    arms = [
        pretrain(options, "masked", init=base, seconds=half, cards=first),
        pretrain(options, "replaced", init=base, seconds=half, cards=last, generator=base),
    ]

    def probe(arm: Stage) -> float:
        name = f"probe-{arm.name}"
        tuning = finetune(options, name, init=options.work / arm.name, seconds=half, cards=arm.cards, without=LEFT_OUT)
        return mean_f1(tuning.output) if run(arm, options.work) and run(tuning, options.work) else -1.0

    with ThreadPoolExecutor(len(set(first + last))) as pool:
        reached = dict(zip(("masked", "replaced"), pool.map(probe, arms), strict=True))
    (options.work / "compare.json").write_text(json.dumps(reached), "utf-8")
    return options.work / max(reached, key=lambda name: reached[name])


def mean_f1(log: Path) -> float:
    """The plain mean of the scores in a training log."""
    scores = json.loads(log.read_text("utf-8"))["result"]["after"]
    return sum(one["f1"] for one in scores) / len(scores) if scores else 0.0


def train(options: Options) -> Path:
    """Run all stages; returns the folder of the new model. Raises SystemExit naming the log of a stage that failed."""

    def must(stage: Stage) -> Path:
        if not run(stage, options.work):
            raise SystemExit(f"{stage.name} failed: see {options.work / stage.name}.log")
        return stage.output.parent

    encoder = options.start
    if options.pretrain:
        must(streams(options))
        first = options.pretrain / 2 if options.compare else options.pretrain
        encoder = must(pretrain(options, "encoder", init=encoder, seconds=first, cards=options.all_cards))
        encoder = compare(options, encoder) if options.compare else encoder
    return must(finetune(options, "model", init=encoder, seconds=options.finetune, cards=options.all_cards))


def parse(arguments: Sequence[str] | None = None) -> Options:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for everything that is made")
    parser.add_argument("--converted", type=Path, required=True, help="converted sets: *.train.jsonl, *.dev.jsonl")
    parser.add_argument("--corpus", type=Path, help="raw texts, *.txt or packed; needed for pre-training")
    parser.add_argument("--heldout", type=Path, help="hashes of texts to leave out; needed for pre-training")
    parser.add_argument("--start", type=Path, default=EMBEDDED_MODEL, help="checkpoint to go on from")
    parser.add_argument("--cards", type=int, default=1, help="number of cards; 0: CPU, for a try")
    parser.add_argument("--pretrain", type=float, default=400.0, help="seconds; 0: none")
    parser.add_argument("--finetune", type=float, default=600.0, help="seconds")
    parser.add_argument("--compare", action="store_true", help="masked against replaced tokens, and zero-shot probes")
    parser.add_argument("--workers", type=int, default=12, help="processes that prepare batches, for each card")
    given = parser.parse_args(arguments)
    if given.pretrain and not (given.corpus and given.heldout):
        parser.error("--pretrain needs --corpus and --heldout")
    return Options(**vars(given))


if __name__ == "__main__":
    sys.stdout.write(f"{train(parse())}\n")

"""What a fine-tuning run can be told, and what it reports back."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from core.errors import InputError
from core.training.scoring import Score


def _option(default: Any, meaning: str) -> Any:
    return field(default=default, metadata={"help": meaning})


@dataclass(frozen=True, slots=True)
class FinetuneConfig:
    """What can be set for a run; either `seconds` or `epochs` decides how long it lasts."""

    data: tuple[str, ...] = _option((), "JSON-lines files, or folders with *.train.jsonl and *.dev.jsonl")
    init: str = _option("", "checkpoint directory to start from (also --model); one without link head gets a fresh one")
    out: str = _option("", "directory for the new checkpoint")
    overwrite: bool = _option(False, "write over a checkpoint that is already in --out")
    seconds: float = _option(0.0, "length of the run, start and saving included; 0: by epochs")
    epochs: int = _option(0, "passes over the data; 0: by seconds")
    patience: int = _option(3, "passes without gain on the held-back records before a run by epochs stops")
    augment: str = _option("auto", "full: vary schemas; light: ask them as written; auto: light with --epochs")
    lr: float = _option(1.2e-4, "peak learning rate; pair tasks collapse at 4e-4")
    warmup: float = _option(0.05, "share of the run in which the learning rate rises")
    layer_decay: float = _option(1.0, "learning rate of a layer as a share of the next one's; 1: all alike")
    weight_decay: float = _option(0.01, "of weights, not of biases and LayerNorms")
    dropout: float = _option(0.1, "of hidden states and attention")
    clip: float = _option(1.0, "largest norm of the gradient")
    tokens: int = _option(
        0, "tokens of a step, padding included; 0: 65536 on a GPU, 2048 on a CPU, 512 for few records with --epochs"
    )
    workers: int = _option(-1, "processes that prepare batches; -1: 8 on a GPU, 0 on a CPU")
    compile: bool = _option(False, "compile the layers (worth it for runs of several minutes on a GPU)")
    autocast: bool = _option(True, "bfloat16 arithmetic on a GPU")
    ema: float = _option(0.0, "decay of a running mean of the weights, which is then saved; 0: off, 0.999 is usual")
    weight: tuple[str, ...] = _option((), "task=factor or set=factor: ask for more or less of it, such as nli=2")
    cap: int = _option(50_000, "records beyond this number do not make a set more frequent")
    without: tuple[str, ...] = _option((), "names of sets to leave out")
    licence: tuple[str, ...] = _option(
        (), "use only published sets of these licence classes: permissive share-alike restricted unstated"
    )
    score_every: float = _option(0.0, "seconds between scores on development records; 0: only at the end")
    score_rows: int = _option(50, "development records scored of each set, at most")
    device: str = _option("auto", "auto, cpu, cuda or cuda:N")
    seed: int = _option(1, "of sampling, dropout and a fresh head")

    def __post_init__(self) -> None:
        if bool(self.seconds) == bool(self.epochs):
            raise InputError("请给出 --seconds 或 --epochs 其中之一")
        for name in ("data", "init", "out"):
            if not getattr(self, name):
                raise InputError(f"缺少 --{name}")
        if self.weight and self.epochs:
            raise InputError("--weight 只用于 --seconds：按 --epochs 训练时每条记录恰好读一遍")
        if not (Path(self.init) / "config.json").is_file():
            raise InputError(
                f"--init 指定的目录 {self.init} 里没有检查点（config.json、权重、分词器）。"
                "需要本地目录；ModelScope 上的模型请先下载到本地"
            )
        if Path(self.out).resolve() == Path(self.init).resolve():
            raise InputError(f"--out 与 --init 是同一个目录 {self.out}：请另选一个目录，以免覆盖原来的模型")
        if (Path(self.out) / "config.json").exists() and not self.overwrite:
            raise InputError(f"--out 目录 {self.out} 里已有检查点：请另选一个目录，或加 --overwrite 覆盖它")
        if self.augment not in ("auto", "full", "light"):
            raise InputError(f"--augment 的值“{self.augment}”无效：可选 auto、full、light")


@dataclass(frozen=True, slots=True)
class FinetuneResult:
    """What a run did; `before` and `after` are empty when there was nothing to score on.

    lost: gold spans that fell on no token and were not learnt. epoch: the one whose weights were kept, 0 if by time.
    """

    out: Path
    before: tuple[Score, ...]
    after: tuple[Score, ...]
    steps: int
    tokens: int
    seconds: float
    lost: int
    epoch: int


def parse_arguments(arguments: Sequence[str] | None = None) -> FinetuneConfig:
    """The command line: one option for each field of FinetuneConfig."""
    parser = argparse.ArgumentParser(
        prog="python -m core train finetune", description="Fine-tune a checkpoint on annotated records."
    )
    for one in fields(FinetuneConfig):
        name, default, meaning = f"--{one.name.replace('_', '-')}", one.default, one.metadata["help"]
        if isinstance(default, bool):
            parser.add_argument(name, action=argparse.BooleanOptionalAction, default=default, help=meaning)
        elif isinstance(default, tuple):
            parser.add_argument(name, nargs="+", default=default, help=meaning)
        else:
            names = (name, "--model") if one.name == "init" else (name,)
            parser.add_argument(
                *names, dest=one.name, type=type(default), default=default, help=f"{meaning} (default {default!r})"
            )
    given = vars(parser.parse_args(arguments))
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in given.items()}
    return FinetuneConfig(**values)

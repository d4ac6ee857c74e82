"""Pre-training of the embedded model by masked or replaced tokens, within a given time.

Run as `python -m core.training.pretrain --data DIR --out DIR --seconds 560`; DIR holds the token streams written by
`core.training.corpus`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import torch
from safetensors.torch import load_file, save_file
from torch import Generator, Tensor, nn

from core.errors import CheckpointError, InputError
from core.model.checkpoint import TOKENIZER_FILES, read_state, save_state
from core.model.config import RexConfig
from core.model.encoder import Encoder
from core.training.contiguous import MaskedLanguageModel
from core.training.corpus import SOURCE_WEIGHTS
from core.training.licences import parse_classes, permitted
from core.training.masking import MaskedBatch, Streams, load_streams, mask_spans, sample
from core.training.replaced import ReplacedTokenModel
from core.training.schedule import trapezoid
from core.training.team import Team, join

BENCH_STEPS, BENCH_WARM_UP = 30, 5
HEADS = "mlm.safetensors"
_log = logging.getLogger(__name__)


def option(default: Any, text: str) -> Any:
    """A field with its description, which is the command's help too."""
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True, slots=True)
class PretrainConfig:
    """What a pre-training run is made of."""

    data: Path = option(Path("build/corpus"), "directory of <source>.npy token streams")
    licence: tuple[str, ...] = option(
        (), "use only sources of these licence classes: permissive share-alike restricted unstated"
    )
    out: Path = option(Path("build/pretrained"), "directory that gets weights, config.json and log.jsonl")
    init: Path | None = option(None, "checkpoint directory to go on from, with a fresh optimiser")
    generator: Path | None = option(
        None, "pre-trained checkpoint, with its head, whose guesses replace masked tokens; none: predict masked tokens"
    )
    detection: float = option(20.0, "weight of finding replaced tokens against restoring them")
    seconds: float = option(560.0, "time for everything, validation and saving included")
    steps: int = option(0, "steps after which to stop before the time is over; 0: only the time counts")
    batch: int = option(1024, "sequences in a step")
    length: int = option(128, "tokens of a sequence, [CLS] and [SEP] included")
    rate: float = option(0.25, "share of the tokens that are masked")
    span: float = option(2.5, "mean length of a masked stretch, in tokens")
    lr: float = option(1e-3, "peak learning rate")
    warm_up: float = option(0.04, "share of the time in which the learning rate rises")
    decay: float = option(0.3, "share of the time in which it falls to 0")
    weight_decay: float = option(0.01, "AdamW weight decay; not on biases and LayerNorm")
    clip: float = option(1.0, "largest norm of the gradient")
    layers: int = option(12, "layers of the network; ignored with init, as are the next three")
    hidden: int = option(384, "hidden size")
    heads: int = option(6, "attention heads")
    ffn: int = option(1536, "inner size of the feed-forward half")
    seed: int = option(1, "seed of weights, places and masks")
    log_every: int = option(50, "steps between two lines of the log")
    validate_every: int = option(500, "steps between two validations")
    validation_rows: int = option(4096, "sequences of a validation, rounded to whole batches")
    device: str = option("cuda", "cuda or cpu; auto: cuda if there is one")
    compile: bool = option(True, "compile the network; off for tiny runs")
    bench: bool = option(False, f"time {BENCH_STEPS} steps and stop, writing nothing")


@dataclass(frozen=True, slots=True)
class PretrainResult:
    """How a run ended: steps, tokens seen, validation loss (before and after) and speed."""

    steps: int
    tokens: int
    first_validation_loss: float
    validation_loss: float
    tokens_per_s: float


def pretrain(config: PretrainConfig) -> PretrainResult:
    """Train until the time is over, then write the weights; raises RexError for data or weights it cannot use.

    Started by torchrun, each process draws batches of its own, and the first one logs and writes.
    """
    started = time.monotonic()
    team = join(config.device)
    device = team.device
    torch.manual_seed(config.seed)
    torch.set_float32_matmul_precision("high")
    generator = Generator(device).manual_seed(config.seed + team.member)
    model = build(config).to(device).train()
    only, _ = permitted([path.stem for path in config.data.glob("*.npy")], parse_classes(config.licence))
    train, held = load_streams(config.data, weights=SOURCE_WEIGHTS, least=config.length, device=device, only=only)
    shape = model.plm.config
    held_batches = [
        draw(held, config, shape, generator=Generator(device).manual_seed(number))
        for number in range(max(1, config.validation_rows // config.batch))
    ]
    optimizer = make_optimizer(model, config)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    forward = torch.compile(model, dynamic=False) if config.compile else model

    def loss_of(batch: MaskedBatch) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss: Tensor = forward(batch.input_ids, batch.positions, batch.labels)
        return loss

    def validate() -> float:
        # With gradients on, although unused: without, the compiler would build the network a second time.
        return sum(loss_of(batch).item() for batch in held_batches) / len(held_batches)

    def step(learning_rate: float) -> Tensor:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        loss = loss_of(draw(train, config, shape, generator=generator))
        loss.backward()
        team.average(trained)
        nn.utils.clip_grad_norm_(trained, config.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    if config.bench:
        return bench(step, config, device)

    config.out.mkdir(parents=True, exist_ok=True)
    batch_tokens = config.batch * config.length * team.size
    with open_log(config, team) as log:

        def write(**values: float) -> None:
            log.write(json.dumps(values) + "\n")
            log.flush()
            if team.leads:
                _log.info("%s", values)

        first = validate()
        begun = time.monotonic()
        timed = validate()  # the first one compiled; this one tells what the last one will take
        closing = (time.monotonic() - begun) + min(10.0, 0.1 * config.seconds)
        deadline = started + config.seconds - closing
        begun = marked = time.monotonic()
        write(step=0, validation_loss=timed, setup_s=begun - started)
        steps, total = 0, torch.zeros((), device=device)
        available = max(deadline - begun, 1e-9)
        while not 0 < config.steps <= steps:
            # Every process must stop at the same step: the others would wait for its gradients.
            elapsed = team.largest((time.monotonic() - begun) / available)
            if elapsed >= 1.0:
                break
            progress = max(elapsed, steps / config.steps if config.steps else 0.0)
            learning_rate = config.lr * trapezoid(progress, warm_up=config.warm_up, decay=config.decay)
            total += step(learning_rate)
            steps += 1
            if steps % config.log_every == 0:
                loss = total.item() / config.log_every
                now = time.monotonic()
                speed = config.log_every * batch_tokens / (now - marked)
                tokens = steps * batch_tokens
                write(step=steps, tokens=tokens, loss=loss, tokens_per_s=round(speed), lr=learning_rate)
                total.zero_()
                marked = now
            if steps % config.validate_every == 0:
                write(step=steps, validation_loss=validate())
                marked = time.monotonic()
        if not steps:
            raise InputError(f"{config.seconds} 秒不够：准备用去 {begun - started:.0f} 秒，没有训练。请增大 seconds。")
        last = validate()
        tokens = steps * batch_tokens
        speed = tokens / (time.monotonic() - begun)
        if team.leads:
            save(model, config)
        team.leave()
        write(step=steps, tokens=tokens, validation_loss=last, mean_tokens_per_s=round(speed))
    return PretrainResult(steps, tokens, first, last, speed)


def open_log(config: PretrainConfig, team: Team) -> TextIO:
    """The log of the run; processes other than the first write theirs to nowhere."""
    path = config.out / "log.jsonl" if team.leads else Path(os.devnull)
    return path.open("w", encoding="utf-8")


def build(config: PretrainConfig) -> MaskedLanguageModel | ReplacedTokenModel:
    """The network to train, without dropout: fresh, or with the weights of `config.init`."""
    model: MaskedLanguageModel | ReplacedTokenModel
    if config.init is None:
        shape = RexConfig(
            hidden_size=config.hidden,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            intermediate_size=config.ffn,
            conv_kernel_size=3,
            conv_act="gelu",
        )
    else:
        shape = RexConfig.from_file(config.init / "config.json")
    shape = dataclasses.replace(shape, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    if config.generator is None:
        model = MaskedLanguageModel(Encoder(shape))
    else:
        theirs = RexConfig.from_file(config.generator / "config.json")
        theirs = dataclasses.replace(theirs, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        generator = MaskedLanguageModel(Encoder(theirs))
        load(generator, config.generator)
        model = ReplacedTokenModel(Encoder(shape), generator, weight=config.detection)
    if config.init is not None:
        load(model, config.init)
    return model


def load(model: MaskedLanguageModel | ReplacedTokenModel, directory: Path) -> None:
    """Fill encoder and heads from a checkpoint; a head that it lacks keeps its fresh weights."""
    state = {name: value.float() for name, value in read_state(directory).items() if name.startswith("plm.")}
    heads = directory / HEADS
    state |= {name: value.float() for name, value in load_file(heads).items()} if heads.is_file() else {}
    parts = {"plm": model.plm, "mlm": model.mlm} | ({"rtd": model.rtd} if isinstance(model, ReplacedTokenModel) else {})
    for part, module in parts.items():
        mine = {name[4:]: value for name, value in state.items() if name.startswith(f"{part}.")}
        if not mine and part != "plm":
            _log.warning("%s 没有 %s 的权重：重新初始化", directory, part)
            continue
        try:
            module.load_state_dict(mine)
        except RuntimeError as error:
            raise CheckpointError(f"检查点 {directory} 的权重与其 config.json 不符：{error}") from error


def make_optimizer(model: nn.Module, config: PretrainConfig) -> torch.optim.Optimizer:
    """AdamW; weight decay on matrices only."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, 0.98), eps=1e-6, fused=config.device != "cpu")


def draw(streams: Streams, config: PretrainConfig, shape: RexConfig, *, generator: Generator) -> MaskedBatch:
    """One masked batch."""
    ids = sample(streams, config.batch, length=config.length, generator=generator)
    count = round(config.rate * config.length)
    return mask_spans(ids, count=count, span=config.span, vocab_size=shape.vocab_size, generator=generator)


def bench(step: Callable[[float], Tensor], config: PretrainConfig, device: torch.device) -> PretrainResult:
    """Time BENCH_STEPS steps after warming up."""
    for _ in range(BENCH_WARM_UP):
        last = step(1e-6)
    last.item()
    begun = time.monotonic()
    for _ in range(BENCH_STEPS):
        last = step(1e-6)
    loss = last.item()  # waits for the device
    elapsed = time.monotonic() - begun
    speed = BENCH_STEPS * config.batch * config.length / elapsed
    peak_bytes = torch.cuda.max_memory_allocated() if device.type == "cuda" else 0
    _log.info("%.0f tokens/s, %.1f ms a step, peak %d MiB", speed, 1e3 * elapsed / BENCH_STEPS, peak_bytes >> 20)
    return PretrainResult(BENCH_STEPS, BENCH_STEPS * config.batch * config.length, loss, loss, speed)


def save(model: MaskedLanguageModel | ReplacedTokenModel, config: PretrainConfig) -> None:
    """Write the encoder (`plm.*`), the heads, config.json and the tokenizer of the data."""
    save_state({f"plm.{name}": value for name, value in model.plm.state_dict().items()}, config.out)
    heads = {name: value for name, value in model.state_dict().items() if name.startswith(("mlm.", "rtd."))}
    halves = {name: value.detach().half().cpu().contiguous() for name, value in heads.items()}
    save_file(halves, config.out / HEADS, metadata={"format": "pt"})
    shape = dataclasses.replace(model.plm.config, hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1)
    (config.out / "config.json").write_text(json.dumps(shape.to_dict(), indent=1) + "\n", "utf-8")
    for name in TOKENIZER_FILES:
        if (config.data / name).is_file():
            shutil.copyfile(config.data / name, config.out / name)


def parse(arguments: list[str] | None = None) -> PretrainConfig:
    """The command line as a configuration: every field of PretrainConfig is an option."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    for one in dataclasses.fields(PretrainConfig):
        text = one.metadata["help"].replace("%", "%%")
        name = "--" + one.name.replace("_", "-")
        if isinstance(one.default, bool):
            parser.add_argument(name, action=argparse.BooleanOptionalAction, default=one.default, help=text)
        elif isinstance(one.default, tuple):
            parser.add_argument(name, nargs="+", default=one.default, help=text)
        else:
            kind = Path if one.default is None else type(one.default)
            kind = Path if isinstance(one.default, Path) else kind
            parser.add_argument(name, type=kind, default=one.default, help=text)
    given = vars(parser.parse_args(arguments))
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in given.items()}
    return PretrainConfig(**values)


def main(arguments: list[str] | None = None) -> None:
    """Run from the command line; progress goes to the log."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    pretrain(parse(arguments))


if __name__ == "__main__":
    main()

"""Fine-tuning: one network on many sets at once, or on a user's own file (RexUniNLU, arXiv 2304.14770).

`python -m core train finetune --data mine.jsonl --model data/models/rex-mini-zh --out data/models/mine --epochs 5`
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from core.errors import InputError
from core.model.checkpoint import save_checkpoint
from core.model.rex import RexModel
from core.model.tokenizer import RexTokenizer
from core.training.augment import LIGHT, AugmentConfig
from core.training.batches import BUCKETS, Batch, Mix, Pool, load_batches
from core.training.mixing import development_rows, load_data, pool_weights
from core.training.objective import circle_loss
from core.training.options import FinetuneConfig, FinetuneResult, parse_arguments
from core.training.progress import Left, Progress, Watch, load_left, save_left, unwatched
from core.training.report import before_after
from core.training.scoring import Row, Score, mean_f1, score_rows
from core.training.start import load_start, parameter_groups
from core.training.team import Team, join

log = logging.getLogger(__name__)
CUDA_TOKENS, CPU_TOKENS = 65536, 2048  # smaller steps of a small network leave an H200 waiting for the host
FEW_TOKENS, FEW_RECORDS = 512, 500  # few records are learnt better in more, smaller steps
SCORE_S_PER_ROW = 0.005  # a guess at what a row costs to score on a GPU, where mostly the host works


@dataclass(slots=True)
class _Run:
    """The moving parts of a run."""

    config: FinetuneConfig
    team: Team
    model: RexModel
    optimizer: torch.optim.Optimizer
    device: torch.device
    start: float
    history: list[dict[str, Any]]
    sums: Tensor  # (pools, 2): loss and prompts since the last log line
    average: list[Tensor]
    watch: Watch
    steps: int = 0
    tokens: int = 0
    logged_tokens: int = 0
    lost: int = 0


def finetune(config: FinetuneConfig, *, watch: Watch = unwatched, state: Path | None = None) -> FinetuneResult:
    """Train, score, save a complete checkpoint with its log; raises InputError for unusable data.

    A run by epochs tells `watch` of every step and pass, which may raise to end the run; after each pass it writes
    what it needs to go on to the file `state`, from which a later call goes on.
    """
    start = time.perf_counter()
    team = join(config.device)
    if team.size > 1 and config.epochs:
        raise InputError("多个进程一起训练时只能用 --seconds：按 --epochs 训练请用一个进程")
    device = team.device
    cuda = device.type == "cuda"
    torch.manual_seed(config.seed)
    torch.set_float32_matmul_precision("high")
    config = replace(
        config,
        workers=config.workers if config.workers >= 0 else (8 if cuda else 0),
        autocast=config.autocast and cuda,
    )
    model = load_start(Path(config.init), dropout=config.dropout, seed=config.seed).to(device)
    tokenizer = RexTokenizer.from_directory(Path(config.init))
    train, dev = load_data(config)
    if not config.tokens:
        few = config.epochs > 0 and sum(map(len, train)) <= FEW_RECORDS
        config = replace(config, tokens=CUDA_TOKENS if cuda else FEW_TOKENS if few else CPU_TOKENS)
    light = config.augment == "light" or (config.augment == "auto" and config.epochs > 0)
    # Asked as the product will ask: a network that reads one prefix a prompt is trained on such prompts.
    as_written = replace(LIGHT, apart=float(model.config.groups_per_hint == 1))
    mix = Mix(
        Path(config.init),
        as_written if light else AugmentConfig(),
        config.tokens,
        weights=pool_weights(train, config),
        seed=config.seed,
        member=team.member,
    )
    rows = development_rows(dev, config)
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = parameter_groups(model, layer_decay=config.layer_decay, weight_decay=config.weight_decay)
    run = _Run(
        config=config,
        team=team,
        model=model,
        optimizer=torch.optim.AdamW(
            groups,
            lr=config.lr,
            betas=(0.9, 0.98),
            fused=cuda,
        ),
        device=device,
        start=start,
        history=[],
        sums=torch.zeros(len(train), 2, device=device),
        average=[p.detach().clone() for p in trained] if config.ema else [],
        watch=watch,
    )
    names = [f"{pool.task}/{pool.source}" for pool in train]
    log.info("data: %s", json.dumps({n: len(p) for n, p in zip(names, train, strict=True)}, ensure_ascii=False))
    if config.epochs:
        watch(Progress("before", epochs=config.epochs))
    before = _score(run, tokenizer, rows) if config.epochs else ()
    if config.compile:
        _compile(run)
    model.train()
    epoch, after = _by_epochs(run, train, dev, mix, tokenizer, rows, before, state) if config.epochs else (0, ())
    if config.seconds:
        _by_time(run, train, mix, tokenizer, rows)
    team.leave()
    if not run.steps:
        raise InputError(f"{'、'.join(config.data)} 里没有可以学的内容：一步也没有训练，没有保存模型")
    out = Path(config.out)
    if not team.leads:
        return FinetuneResult(out, (), (), run.steps, run.tokens, time.perf_counter() - start, run.lost, 0)
    if config.epochs:
        watch(_progress(run, "save", epoch, 1.0))
    save_checkpoint(model, out, tokenizer_from=Path(config.init))
    if config.seconds:  # after saving, so that a run which is cut off here is not lost
        after = _score(run, tokenizer, rows)
    result = FinetuneResult(out, before, after, run.steps, run.tokens, time.perf_counter() - start, run.lost, epoch)
    record = {"config": asdict(config), "data": dict(zip(names, map(len, train), strict=True)), "steps": run.history}
    record |= {"result": asdict(result) | {"out": str(out)}}
    (out / "training_log.json").write_text(json.dumps(record, ensure_ascii=False, indent=1), encoding="utf-8")
    return result


def _compile(run: _Run) -> None:
    """Compile the layers and run each batch shape once, so that the clock of the schedule starts afterwards."""
    torch._dynamo.config.recompile_limit = 4 * len(BUCKETS)
    for layer in run.model.plm.encoder["layer"].children():
        layer.compile(dynamic=False)
    run.model.train()
    for width in BUCKETS:
        count = max(1, run.config.tokens // width)
        shape = torch.zeros(4, count, width, dtype=torch.int32)
        lengths = torch.full((count,), width, dtype=torch.int32)
        none = torch.zeros(0, 3, dtype=torch.int32)
        tasks = torch.zeros(count, dtype=torch.int64)
        _losses(run, Batch(shape, lengths, none, tasks, torch.tensor(0), torch.tensor(0.0))).mean().backward()
    run.optimizer.zero_grad(set_to_none=True)
    log.info("compiled after %.0f s", time.perf_counter() - run.start)


def _losses(run: _Run, batch: Batch) -> Tensor:
    """(B,) losses of a batch."""
    ids = batch.ids.to(run.device, torch.int64, non_blocking=True)
    lengths = batch.lengths.to(run.device, non_blocking=True)
    gold = batch.gold.to(run.device, torch.int64, non_blocking=True)
    width = ids.shape[-1]
    keep = torch.arange(width, device=run.device)[None] < lengths[:, None]
    with torch.autocast(run.device.type, dtype=torch.bfloat16, enabled=run.config.autocast):
        logits = run.model(ids[0], ids[1], ids[2], ids[3], keep, width - 1)
    return circle_loss(logits, gold, keep=keep)


def _step(run: _Run, batch: Batch, progress: float) -> Tensor:
    """One optimiser step at a point of the run in [0, 1]: the rate rises, then falls to 0. Returns the (B,) losses."""
    config = run.config
    factor = min(progress / config.warmup if config.warmup else 1.0, (1 - progress) / (1 - config.warmup), 1.0)
    for group in run.optimizer.param_groups:
        group["lr"] = config.lr * group["share"] * max(factor, 0.0)
    losses = _losses(run, batch)
    losses.mean().backward()
    trained: list[Tensor] = [p for p in run.model.parameters() if p.requires_grad]
    run.team.average(trained)
    nn.utils.clip_grad_norm_(trained, config.clip)
    run.optimizer.step()
    run.optimizer.zero_grad(set_to_none=True)
    if config.ema:
        with torch.no_grad():
            torch._foreach_lerp_(run.average, trained, 1 - min(config.ema, (1 + run.steps) / (10 + run.steps)))
    seen = torch.stack((losses.detach(), torch.ones_like(losses)), dim=1)
    run.sums.index_add_(0, batch.tasks.to(run.device, non_blocking=True), seen)
    run.steps += 1
    run.tokens += batch.ids[0].numel() * run.team.size
    run.lost += int(batch.lost)
    return losses.detach()


def _log(run: _Run, pools: Sequence[Pool], since: float, **extra: Any) -> float:
    """Add a line to the history: mean loss by task since the last one. Returns the time."""
    sums = run.sums.to("cpu", copy=True)
    run.sums.zero_()
    now = time.perf_counter()
    total: dict[str, list[float]] = {}
    for pool, (loss, count) in zip(pools, sums.tolist(), strict=True):
        entry = total.setdefault(pool.task, [0.0, 0.0])
        entry[0], entry[1] = entry[0] + loss, entry[1] + count
    loss = float(sums[:, 0].sum() / sums[:, 1].sum().clamp(min=1))
    if not np.isfinite(loss):
        raise InputError(f"第 {run.steps} 步的损失不是有限数：训练已发散，请调低 --lr（现为 {run.config.lr}）")
    line = {
        "step": run.steps,
        "seconds": round(now - run.start, 1),
        "tokens": run.tokens,
        "tokens_per_s": round((run.tokens - run.logged_tokens) / max(now - since, 1e-9)),
        "lr": run.optimizer.param_groups[0]["lr"],
        "loss": round(loss, 4),
        "tasks": {task: round(loss / count, 4) for task, (loss, count) in total.items() if count},
    } | extra
    run.history.append(line)
    run.logged_tokens = run.tokens
    if run.team.leads:
        log.info("%s", _epoch_line(run, line) if "epoch" in extra else json.dumps(line, ensure_ascii=False))
    return now


def _epoch_line(run: _Run, line: dict[str, Any]) -> str:
    """What somebody with a file of their own wants to see of a pass."""
    held_back = f"，留出记录的 F1 {line['held_back_f1']:.3f}" if "held_back_f1" in line else ""
    return f"第 {line['epoch']}/{run.config.epochs} 遍：损失 {line['loss']:.3f}{held_back}，{line['seconds']:.0f} 秒"


def _score(run: _Run, tokenizer: RexTokenizer, rows: Sequence[Row]) -> tuple[Score, ...]:
    budget = run.config.tokens
    with torch.compiler.set_stance("force_eager"):  # lengths here are any, and each would be compiled anew
        scores = score_rows(run.model, tokenizer, rows, batch_tokens=budget, autocast=run.config.autocast)
    if scores and run.config.seconds:
        log.info("scores: mean %.4f %s", mean_f1(scores), {f"{s.task}/{s.source}": round(s.f1, 3) for s in scores})
    return scores


@torch.no_grad()
def _held_back_loss(run: _Run, dev: Sequence[Pool], mix: Mix) -> float:
    """Mean loss of held-back records, the same prompts every time."""
    run.model.eval()
    with torch.compiler.set_stance("force_eager"):
        losses = [_losses(run, batch) for batch in load_batches(dev, replace(mix, weights=None))]
    run.model.train()
    return float(torch.cat(losses).mean())


def _by_epochs(
    run: _Run,
    train: Sequence[Pool],
    dev: Sequence[Pool],
    mix: Mix,
    tokenizer: RexTokenizer,
    rows: Sequence[Row],
    before: tuple[Score, ...],
    state: Path | None,
) -> tuple[int, tuple[Score, ...]]:
    """Passes over the data; the weights that answer the held-back records best, or equally at less loss, are kept."""
    epochs = run.config.epochs
    left = load_left(state, run.model, run.optimizer) or Left(kept=epochs)
    run.history += left.history
    run.steps, run.tokens, run.logged_tokens, run.lost = left.steps, left.tokens, left.tokens, left.lost
    run.watch(replace(_progress(run, "train", left.epoch, left.epoch / epochs), before=before))
    since = time.perf_counter()
    for epoch in range(left.epoch + 1, epochs + 1):
        if rows and epoch - 1 - left.kept >= run.config.patience and left.weights is not None:
            break
        for batch in load_batches(train, replace(mix, seed=mix.seed + epoch), workers=run.config.workers):
            share = (epoch - 1 + float(batch.share)) / epochs
            losses = _step(run, batch, share)
            if run.watch is not unwatched:  # reading the loss makes the host wait for the card
                run.watch(replace(_progress(run, "train", epoch, share), loss=float(losses.mean())))
        left.epoch = epoch
        if rows:
            run.watch(_progress(run, "score", epoch, epoch / epochs))
            now, loss = _score(run, tokenizer, rows), _held_back_loss(run, dev, mix)
            f1 = round(mean_f1(now), 4)
            since = _log(run, train, since, epoch=epoch, held_back_f1=f1, held_back_loss=round(loss, 4))
            scored = replace(_progress(run, "train", epoch, epoch / epochs), held_back_f1=f1, held_back_loss=loss)
            run.watch(scored)
            reached = (f1, -round(loss, 2))
            if reached > left.best:
                left.best, left.kept, left.scores = reached, epoch, now
                left.weights = {name: value.detach().clone() for name, value in run.model.state_dict().items()}
        else:
            since = _log(run, train, since, epoch=epoch)
        left.history, left.steps, left.tokens, left.lost = run.history, run.steps, run.tokens, run.lost
        save_left(state, left, run.model, run.optimizer)
    if left.weights is not None:
        run.model.load_state_dict(left.weights)
    return left.kept, left.scores


def _progress(run: _Run, phase: str, epoch: int, share: float) -> Progress:
    seconds = time.perf_counter() - run.start
    return Progress(phase, epoch, run.config.epochs, share, run.steps, run.tokens, seconds)


def _by_time(run: _Run, train: Sequence[Pool], mix: Mix, tokenizer: RexTokenizer, rows: Sequence[Row]) -> None:
    """Steps until the time is up, with room for the last score and for saving."""
    config = run.config
    begin = since = scored = time.perf_counter()
    first = _score(run, tokenizer, rows) if config.score_every and run.team.leads else ()
    cost = time.perf_counter() - begin if first else SCORE_S_PER_ROW * len(rows)
    end = run.start + config.seconds - 1.5 * cost - min(10.0, 0.1 * config.seconds)
    begin = since = scored = time.perf_counter()
    for batch in load_batches(train, mix, workers=config.workers, pin=run.device.type == "cuda"):
        now = time.perf_counter()
        progress = run.team.largest((now - begin) / (end - begin))
        if progress >= 1:
            break
        _step(run, batch, progress)
        if now - since > min(10.0, config.seconds / 20):
            since = _log(run, train, since)
        if config.score_every and run.team.leads and now - scored > config.score_every:
            _score(run, tokenizer, rows)
            scored = time.perf_counter()
    _log(run, train, since)
    if config.ema:
        with torch.no_grad():
            for weight, mean in zip((p for p in run.model.parameters() if p.requires_grad), run.average, strict=True):
                weight.copy_(mean)


def main(arguments: Sequence[str] | None = None) -> str:
    """Run from the command line; progress goes to the log, the result is what to tell at the end."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    return before_after(finetune(parse_arguments(arguments)))


if __name__ == "__main__":
    sys.stdout.write(main() + "\n")

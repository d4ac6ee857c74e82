"""Whether a checkpoint is whole: recorded hashes, configuration, weights that fit it, and the published answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from core.checkpoints.files import read_sums, wrong_files
from core.checkpoints.installed import Installed
from core.config import OFFICIAL_MODEL, ROOT, Settings
from core.errors import Cancelled, CheckpointError
from core.evaluation.known_answers import Check
from core.evaluation.known_answers import verify as known_answers
from core.inference.engine import Engine
from core.model.checkpoint import CheckpointFiles, load_weights, read_files

ANSWERS = ROOT / "data" / "known_answers.json"
SHOWN = 12

Tell = Callable[[float, float, str], None]


def is_official(one: Installed) -> bool:
    """Whether answers of this checkpoint have been published."""
    return OFFICIAL_MODEL in (one.name, one.base) and one.kind != "tuned"


def verify_checkpoint(
    settings: Settings,
    one: Installed,
    *,
    answers: Path = ANSWERS,
    tell: Tell = lambda done, total, what: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> list[Check]:
    """Check a checkpoint step by step; a later step is left out when an earlier one shows that it cannot be done.

    Reads the weights into memory of the CPU, beside those in use. Raises Cancelled.
    """
    checks = [_hashes(one, tell, cancelled)]
    tell(0, 0, "config.json")
    try:
        files = read_files(str(one.directory), download_dir=settings.download_dir)
    except (CheckpointError, OSError, ValueError) as error:
        return [*checks, Check("配置与分词器", False, str(error))]
    checks.append(Check("配置与分词器", True, f"{files.config.num_hidden_layers} 层，词表 {files.tokenizer.size}"))
    if cancelled():
        raise Cancelled("已取消")
    tell(0, 0, "weights")
    try:
        engine = _engine(files)
    except CheckpointError as error:
        return [*checks, Check("权重", False, "\n".join(str(error).splitlines()[:SHOWN]))]
    try:
        checks.append(Check("权重", True, f"{engine.info.parameters:,} 个参数，名称与形状都符合"))
        if is_official(one):
            tell(0, 0, "answers")
            checks += known_answers(engine, answers)
    finally:
        engine.close()
    return checks


def _engine(files: CheckpointFiles) -> Engine:
    return Engine(load_weights(files, device="cpu", dtype="float32"))


def _hashes(one: Installed, tell: Tell, cancelled: Callable[[], bool]) -> Check:
    name = "文件的哈希"
    try:
        listed = read_sums(one.directory)
    except CheckpointError as error:
        return Check(name, False, str(error))
    if not one.complete:
        return Check(name, False, "下载没有完成：请再下载一次，会接着进行")
    if not listed:
        return Check(name, True, "没有记录哈希，无法比较")
    done = 0

    def advance(size: int) -> None:
        nonlocal done
        done += size
        tell(done, one.size_bytes, "sha256")
        if cancelled():
            raise Cancelled("已取消")

    faults = wrong_files(one.directory, advance=advance, cancelled=cancelled)
    return Check(name, not faults, "；".join(faults) or f"{len(listed)} 个文件都与记录相同")

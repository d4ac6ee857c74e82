"""What the product can do with fine-tuning, one function each: prepare, start, watch, cancel, go on, keep, discard."""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from core.access.principal import ANALYST
from core.checkpoints.choice import place
from core.checkpoints.corrections import LEAST, Records, ReviewedRun, reviewed_runs, write_records
from core.checkpoints.files import CARD, count_parameters, file_sha256, read_licence, write_origin, write_sums
from core.checkpoints.installed import tuned_dir
from core.checkpoints.tuning_process import DATA, RESULT
from core.errors import BusyError, CheckpointError, InputError, StorageError
from core.guard import guarded
from core.services import Application
from core.storage import tuning_store
from core.storage.tuning_store import Tuning

ENDED = ("done", "failed", "cancelled")
NAME = re.compile(r"\w[\w.\-]{0,63}")
BYTES_PER_WEIGHT = 28
"""Weights, gradients, two moments and the best weights in float32, and what a step holds: measured, rounded up."""

FLOPS_PER_CORE = 2e10
"""What a core of a usual processor does of a training step; past runs on this machine replace the guess."""

SCHEMA_TOKENS = 0.65
"""Tokens read for one character of text and schema, padding included: measured on tickets with six types."""


@dataclass(frozen=True, slots=True)
class TuningOrder:
    """What to learn from and how. device: auto, cpu or cuda. tokens: of a step; 0: by the number of records."""

    run_ids: tuple[int, ...]
    name: str
    epochs: int = 10
    patience: int = 3
    lr: float = 1.2e-4
    tokens: int = 0
    device: str = "auto"


def correction_runs(app: Application) -> list[ReviewedRun]:
    """The runs that can be learnt from."""
    return reviewed_runs(app.database)


def missing_documents(runs: Sequence[ReviewedRun]) -> int:
    """How many documents must still be reviewed before a fine-tuning makes sense; 0 when there are enough."""
    return max(0, LEAST - sum(run.documents for run in runs))


@guarded(ANALYST, "tuning.start", about="tuning {result}")
def start_tuning(app: Application, order: TuningOrder) -> int:
    """Write the records and start the process; returns the number of the fine-tuning.

    Learns from the active checkpoint. Raises InputError for a name that cannot be used or too few corrections,
    BusyError while another one runs or where memory is short.
    """
    source = app.settings.model_source
    init = place(app.settings, source)
    if init is None:
        raise CheckpointError(f"检查点 {source} 不在这台机器上：请先下载它")
    check_name(app, order.name)
    _check_memory(init)
    folder = app.settings.data_dir / "cache" / "tuning" / uuid.uuid4().hex[:12]
    try:
        records = write_records(app.database, order.run_ids, folder / DATA)
        options = {name: value for name, value in asdict(order).items() if name not in ("run_ids", "name")}
        number = tuning_store.create(
            app.database,
            name=order.name,
            source=source,
            folder=str(folder),
            options=options | {"score_rows": max(50, records.held_back * 4)},
            data=asdict(records) | {"runs": list(order.run_ids)},
        )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if number is None:
        shutil.rmtree(folder, ignore_errors=True)
        raise BusyError("已有一个微调正在进行：请等它结束，或先取消它")
    app.tuner.begin(tuning_store.get(app.database, number))
    return number


def take_up(app: Application) -> None:
    """Go on with what a killed desk has left."""
    app.tuner.settle()


def tunings(app: Application, *, limit: int = 20) -> list[Tuning]:
    """The last ones that may be seen, newest first; those whose process is gone are closed or taken up first."""
    app.tuner.settle()
    return tuning_store.newest(app.database, limit=limit)


def get_tuning(app: Application, tuning_id: int) -> Tuning:
    """One of them as it stands."""
    app.tuner.settle()
    return tuning_store.get(app.database, tuning_id)


@guarded(ANALYST, "tuning.cancel", tuning="tuning_id")
def cancel_tuning(app: Application, tuning_id: int) -> None:
    """End one, in whichever process it runs; what it had learnt by the end of its last pass stays until discarded."""
    _move(app, tuning_id, ("running",), "cancelled", verb="取消", finished_at=datetime.now(UTC))
    app.tuner.stop(tuning_id)


@guarded(ANALYST, "tuning.resume", tuning="tuning_id")
def resume_tuning(app: Application, tuning_id: int) -> None:
    """Go on with one that failed or was cancelled, behind its last whole pass."""
    if any(one.id != tuning_id for one in tuning_store.running(app.database)):
        raise BusyError("已有一个微调正在进行：请等它结束，或先取消它")
    _move(
        app, tuning_id, ("failed", "cancelled"), "running", verb="继续",
        error="", attempts=0, finished_at=None, created_at=datetime.now(UTC),
    )  # fmt: skip
    app.tuner.begin(tuning_store.get(app.database, tuning_id))


@guarded(ANALYST, "tuning.keep", about="tuning {tuning_id} {name}", tuning="tuning_id")
def keep_tuning(app: Application, tuning_id: int, name: str = "") -> str:
    """Make an installed checkpoint of the result; returns its `model_source`. It is not used until somebody says so."""
    tuning = tuning_store.get(app.database, tuning_id)
    name = name or tuning.name
    check_name(app, name)
    if tuning.state != "done":
        raise StorageError(f"微调 {tuning_id} 现在不能保留：它没有完成，或已经处理过。请刷新列表。")
    result, target = Path(tuning.folder) / RESULT, tuned_dir(app.settings) / name
    base = place(app.settings, tuning.source)
    licence = read_licence(base) if base is not None else ""
    _write_card(result, tuning, name=name, licence=licence)
    write_origin(
        result,
        kind="tuned",
        base=tuning.source,
        licence=licence,
        tuning=tuning.id,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        scores=dict(tuning.scores),
        trained=list(tuning.data.get("trained", ())),
    )
    named = sorted(path for path in result.iterdir() if path.suffix in (".safetensors", ".json", ".txt"))
    skipped = ("config.json", "origin.json", "training_log.json")  # calibration and people may write into these
    write_sums(result, {path.name: file_sha256(path) for path in named if path.name not in skipped})
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        result.rename(target)
    except OSError as error:
        raise CheckpointError(f"无法保存到 {target}：{error}。请检查目录权限和磁盘空间") from error
    _move(app, tuning_id, ("done",), "kept", verb="保留", name=name)
    shutil.rmtree(tuning.folder, ignore_errors=True)
    return str(target.resolve())


@guarded(ANALYST, "tuning.discard", tuning="tuning_id")
def discard_tuning(app: Application, tuning_id: int) -> None:
    """Remove what a fine-tuning has left on the disk; its figures stay in the list."""
    tuning = tuning_store.get(app.database, tuning_id)
    _move(app, tuning_id, ENDED, "discarded", verb="丢弃")
    shutil.rmtree(tuning.folder, ignore_errors=True)


def check_name(app: Application, name: str) -> None:
    """Raise InputError for a name that no new checkpoint can have."""
    if not NAME.fullmatch(name):
        raise InputError(f"名称“{name}”无法使用：请用文字、数字、- 和 _，不超过 64 个字符，不能有空格和斜杠")
    if (tuned_dir(app.settings) / name).exists():
        raise InputError(f"已有名为“{name}”的检查点：请换一个名称")


def estimate_s(app: Application, *, characters: int, epochs: int) -> float:
    """About how long so many passes take on the CPU or as measured before; seconds."""
    for past in tuning_store.newest(app.database):
        rate, characters_then = past.progress.get("tokens_per_s"), past.data.get("characters")
        if rate and characters_then and past.source == app.settings.model_source and past.progress["epoch"]:
            tokens = past.progress["tokens"] / past.progress["epoch"] / characters_then
            return float(characters * tokens * epochs / rate)
    init = place(app.settings, app.settings.model_source)
    weights = (count_parameters(init) if init is not None else None) or 30_000_000
    cores = psutil.cpu_count(logical=False) or 1
    return float(characters * SCHEMA_TOKENS * epochs * 6 * weights / (cores * FLOPS_PER_CORE))


def _check_memory(init: Path) -> None:
    needed = (count_parameters(init) or 0) * BYTES_PER_WEIGHT + 700 * 2**20
    free = psutil.virtual_memory().available
    if free < needed:
        raise BusyError(
            f"内存不够微调：约需 {needed / 2**30:.1f} GB，现有 {free / 2**30:.1f} GB。"
            "请关闭其他程序，或换用更小的检查点"
        )


def _write_card(result: Path, tuning: Tuning, *, name: str, licence: str) -> None:
    data, scores = tuning.data, tuning.scores
    rows = {row["task"]: row for row in scores.get("before", ())}
    table = [
        f"| {row['task']} | {row['rows']} | {rows[row['task']]['f1']:.3f} | {row['f1']:.3f} |"
        for row in scores.get("after", ())
        if row["task"] in rows
    ]
    lines = [
        *(["---", f"license: {licence}", "---", ""] if licence else []),
        f"# {name}",
        "",
        f"由 {_short(tuning.source)} 在 {data['documents'] - data['held_back']} 篇复核过的文档上微调，"
        f"{tuning.created_at:%Y-%m-%d}，第 {scores.get('epoch')} 遍的权重。",
        f"另有 {data['held_back']} 篇留出，只用来打分和选遍数。",
        "",
        "| 任务 | 留出记录 | 微调前 F1 | 微调后 F1 |",
        "|---|---|---|---|",
        *table,
        "",
        "使用条件与起点检查点相同；复核过的文档另有各自的条件。",
        "",
    ]
    (result / CARD).write_text("\n".join(lines), "utf-8")


def _short(source: str) -> str:
    """The name of a checkpoint without the way to it."""
    return Path(source).name if Path(source).is_absolute() else source


def _move(app: Application, tuning_id: int, states: Sequence[str], state: str, *, verb: str, **values: object) -> None:
    if not tuning_store.move(app.database, tuning_id, states, state, **values):
        raise StorageError(f"微调 {tuning_id} 现在不能{verb}：它的状态已经改变。请刷新列表。")


def preview(app: Application, run_ids: Sequence[int]) -> Records:
    """What a fine-tuning on these runs would learn from, without starting it. Raises InputError as `start_tuning`."""
    folder = app.settings.data_dir / "cache" / "tuning" / uuid.uuid4().hex[:12]
    try:
        return write_records(app.database, run_ids, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)

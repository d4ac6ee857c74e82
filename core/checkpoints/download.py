"""Fetching a checkpoint from ModelScope with progress, a way to stop, and going on where it stopped."""

from __future__ import annotations

import fnmatch
import re
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.checkpoints.choice import COMPLETE
from core.checkpoints.files import CARD, file_sha256, write_origin, write_sums
from core.config import Settings, hub_endpoint
from core.errors import Cancelled, CheckpointError
from core.model.checkpoint import DATA_FILES

MODEL_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
REVISION = re.compile(r"\w[\w.-]*")
WANTED = [*DATA_FILES, CARD]
FREE_BYTES = 200 * 2**20
"""Left on the disk beside the download."""

Tell = Callable[[int, int, str], None]


class _Stopped(BaseException):
    """Leaves the library at once: it takes every Exception for a fault of one file and goes on with the next."""


def download(
    settings: Settings,
    model_id: str,
    *,
    revision: str = "master",
    tell: Tell = lambda done, total, name: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> str:
    """Fetch the data files of a model; returns its `model_source`. No code of the repository is fetched.

    `tell(bytes so far, bytes in all, file)` is called as they come in. What a stopped download has fetched stays and
    the next one goes on from there (`discard` removes it). Every file is compared with the hub's hash. Raises
    CheckpointError with the way round when the hub cannot be reached or has no such model, Cancelled when stopped.
    """
    if not MODEL_ID.fullmatch(model_id):
        raise CheckpointError(f"“{model_id}”不是 ModelScope 模型编号：应形如 组织/模型名，例如 iic/模型名")
    if not REVISION.fullmatch(revision):
        raise CheckpointError(f"版本“{revision}”无法使用：请写分支、标签或提交编号，例如 master")
    target = target_dir(settings, model_id, revision)
    if (target / COMPLETE).is_file():
        return f"{model_id}@{revision}"
    files = _hub(lambda: _listing(model_id, revision), model_id, revision)
    total = sum(size for size, _ in files.values())
    if "config.json" not in files:
        raise CheckpointError(f"ModelScope 上的 {model_id}（版本 {revision}）没有 config.json：它不是可用的检查点")
    _check_space(target, total)
    counter = _Counter(total, tell, cancelled)

    def fetch() -> None:
        from modelscope.hub.snapshot_download import snapshot_download  # slow to import, needed only here

        snapshot_download(
            model_id,
            revision=revision,
            local_dir=str(target),
            allow_patterns=list(files),
            progress_callbacks=[counter.callback()],
            endpoint=hub_endpoint(),
        )

    try:
        _hub(fetch, model_id, revision)
    except _Stopped:
        raise Cancelled("已取消下载；已取得的部分保留，再次下载会接着进行") from None
    sums = _checked(target, files, cancelled)
    write_sums(target, sums)
    write_origin(target, kind="downloaded", base=model_id, revision=revision)
    (target / COMPLETE).touch()
    return f"{model_id}@{revision}"


def target_dir(settings: Settings, model_id: str, revision: str) -> Path:
    """Where a model is or will be; the same place that `core.model.checkpoint.locate` looks at."""
    return settings.download_dir / model_id.replace("/", "--") / revision


def discard(settings: Settings, model_id: str, revision: str) -> None:
    """Remove what a stopped download has left. Raises CheckpointError for one that is complete."""
    target = target_dir(settings, model_id, revision)
    if (target / COMPLETE).is_file():
        raise CheckpointError(f"{model_id}（版本 {revision}）已经完整：要删除它，请用删除检查点")
    shutil.rmtree(target, ignore_errors=True)


def _listing(model_id: str, revision: str) -> dict[str, tuple[int, str]]:
    """Size and hash of each file that is wanted."""
    from modelscope.hub.api import HubApi

    rows: list[dict[str, Any]] = HubApi(endpoint=hub_endpoint()).get_model_files(
        model_id, revision=revision, recursive=True
    )
    return {
        row["Path"]: (int(row.get("Size") or 0), str(row.get("Sha256") or ""))
        for row in rows
        if row.get("Type") != "tree" and any(fnmatch.fnmatch(row["Path"], pattern) for pattern in WANTED)
    }


def _hub(action: Callable[[], Any], model_id: str, revision: str) -> Any:
    """What the library does, with an error of the product's for whatever it raises: it has no common base class."""
    try:
        return action()
    except Exception as error:
        reasons = getattr(error, "failed_files", None) or {}
        why = "；".join(f"{name}：{reason}" for name, reason in list(reasons.items())[:3]) or str(error) or "？"
        said = f"{type(error).__name__}: {why.splitlines()[0]}"
        raise CheckpointError(
            f"无法从 ModelScope 取得模型 {model_id}（版本 {revision}）：{said}\n"
            "请检查编号、版本和网络后重试，会接着已取得的部分进行。没有网络时：在能上网的机器上运行 "
            f"modelscope download --model {model_id} --revision {revision} --local_dir DIR，"
            "把 DIR 复制过来，再换用这个目录（REX_MODEL=DIR，或在检查点列表里填写它）"
        ) from error


def _check_space(target: Path, total: int) -> None:
    target.mkdir(parents=True, exist_ok=True)
    there = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    free = shutil.disk_usage(target).free
    if free < total - there + FREE_BYTES:
        raise CheckpointError(
            f"磁盘空间不够：{target} 所在的磁盘剩 {free / 2**20:,.0f} MB，还需要 {(total - there) / 2**20:,.0f} MB。"
            "请删除不用的检查点，或用 REX_DATA_DIR 换一个磁盘"
        )


def _checked(target: Path, files: dict[str, tuple[int, str]], cancelled: Callable[[], bool]) -> dict[str, str]:
    """The hash of each file; one that is not what the hub announced is removed and told."""
    sums = {}
    for name, (_, wanted) in files.items():
        if cancelled():
            raise Cancelled("已取消下载；已取得的部分保留，再次下载会接着进行")
        path = target / name
        found = file_sha256(path) if path.is_file() else ""
        if not found or (wanted and found != wanted):
            path.unlink(missing_ok=True)
            raise CheckpointError(f"{name} 的内容与 ModelScope 公布的哈希不同，已删除：请再下载一次")
        sums[name] = found
    return sums


class _Counter:
    """Adds up what all files have received; several come in at once."""

    def __init__(self, total: int, tell: Tell, cancelled: Callable[[], bool]) -> None:
        self._total, self._tell, self._cancelled = total, tell, cancelled
        self._lock = threading.Lock()
        self._done = 0

    def add(self, size: int, name: str) -> None:
        if self._cancelled():
            raise _Stopped
        with self._lock:
            self._done += size
            self._tell(min(self._done, self._total), self._total, name)

    def callback(self) -> type:
        """The class that the library makes an object of for every file."""
        from modelscope.hub.callback import ProgressCallback

        counter = self

        class Callback(ProgressCallback):
            def update(self, size: int) -> None:
                counter.add(size, self.filename)

        return Callback

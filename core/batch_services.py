"""What the desk can do with batches: find their input, start, follow, stop, go on and forget them.

Each is a process of its own, the command `batch`, that outlives the desk; what it tells stands in its output folder.
Input and output lie below one folder of the server, which its administrator fills.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.access.principal import ADMIN, allows
from core.cluster import ray_start
from core.cluster.output import read_progress
from core.cluster.parts import SUFFIXES
from core.config import ROOT
from core.errors import FormatError, InputError, StorageError
from core.guard import guarded
from core.inference.assembly import check_schema
from core.jobs.lease import is_running, process_start
from core.services import Application, make_items
from core.storage import batch_store
from core.storage.batch_store import BatchInfo
from core.types import Document

RESULTS, LOG = "results", "_log.txt"
SHOWN = 500
"""Files offered at most."""


def may_batch(app: Application) -> bool:
    """Whether who acts may work with files of the server."""
    return allows(app.principal, ADMIN)


def batch_folder(app: Application) -> Path:
    """The folder of batches; made on first use."""
    folder = Path(app.settings.batch_dir) if app.settings.batch_dir else app.settings.data_dir / "batch"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FormatError(f"无法创建批量处理的文件夹 {folder}：{error}。请检查权限或 REX_BATCH_DIR") from error
    return folder.resolve()


def find_inputs(app: Application) -> list[str]:
    """Files, and folders of several, that can be given to a batch; relative to the folder of batches."""
    root = batch_folder(app)
    found: list[str] = []
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        if name.parts[0] == RESULTS or any(step.startswith((".", "_")) for step in name.parts):
            continue
        # What a link leads out to could not be given to a batch.
        inside = path.resolve().is_relative_to(root)
        if inside and path.is_file() and path.suffix.lower() in SUFFIXES:
            found.append(str(name))
            if len(name.parts) > 1 and (folder := f"{name.parent}/") not in found:
                found.insert(len(found) - 1, folder)
        if len(found) >= SHOWN:
            break
    return found


def has_ray() -> bool:
    """Whether a batch can be given to a cluster."""
    return ray_start.available()


@guarded(ADMIN, "batch.submit", about="batch {result} {input}")
def submit_batch(
    app: Application,
    *,
    input: str,
    task: str,
    schema: Any = None,
    text_column: str = "",
    id_column: str = "",
    form: str = "jsonl",
    threshold: float | None = None,
    ray: str = "",
    actors: int = 0,
) -> int:
    """Start a batch over a file or folder below the folder of batches; returns its number.

    ray: an address as the command takes it, empty: on this machine. Raises InputError for a path that leads out of the
    folder, without Ray or for an address of no cluster, SchemaError when the schema cannot be asked.
    """
    _inside(app, input)
    if ray:
        ray_start.check_address(ray)
        if not has_ray():
            raise InputError(ray_start.MISSING)
    (item,) = make_items([Document("。")], task=task, schema=schema)
    check_schema(app.settings, item.schema)
    options = {
        "text_column": text_column,
        "id_column": id_column,
        "format": form,
        "threshold": app.settings.threshold if threshold is None else threshold,
        "model": app.settings.model,
        "ray": ray,
        "actors": actors,
    }
    number = batch_store.add_batch(
        app.database,
        input=input,
        output=f"{RESULTS}/{{id}}-{task}",
        task=task,
        schema=item.schema.to_dict(),
        options=options,
    )
    _start(app, batch_store.get_batch(app.database, number))
    return number


def list_batches(app: Application, *, limit: int = 50) -> list[BatchInfo]:
    """Batches as they are now, newest first; only for those who may work with them."""
    return [_look(app, one) for one in batch_store.list_batches(app.database, limit=limit)] if may_batch(app) else []


@guarded(ADMIN, "batch.cancel", about="batch {batch_id}")
def cancel_batch(app: Application, batch_id: int) -> None:
    """Stop a batch; what it has kept stays, and it can go on. Raises StorageError when it does not run."""
    batch = _look(app, batch_store.get_batch(app.database, batch_id))
    if not batch.active:
        raise StorageError(f"批量处理 {batch_id} 没有在运行。")
    if _alive(batch.process):
        os.kill(int(batch.process.partition("/")[0]), signal.SIGTERM)


@guarded(ADMIN, "batch.resume", about="batch {batch_id}")
def resume_batch(app: Application, batch_id: int) -> None:
    """Let a batch that ended early go on where it was. Raises StorageError while it runs."""
    batch = _look(app, batch_store.get_batch(app.database, batch_id))
    if batch.active:
        raise StorageError(f"批量处理 {batch_id} 正在运行。")
    _start(app, batch)


@guarded(ADMIN, "batch.forget", about="batch {batch_id}")
def forget_batch(app: Application, batch_id: int) -> None:
    """Take a batch from the list; its files stay. Raises StorageError while it runs."""
    if _look(app, batch_store.get_batch(app.database, batch_id)).active:
        raise StorageError(f"批量处理 {batch_id} 正在运行：请先停止它。")
    batch_store.forget_batch(app.database, batch_id)


@guarded(ADMIN)
def wait_for_batch(app: Application, batch_id: int, timeout_s: float) -> BatchInfo:
    """The batch once it has ended, or as it is when the time is over."""
    deadline = time.monotonic() + timeout_s
    while True:
        batch = _look(app, batch_store.get_batch(app.database, batch_id))
        if not batch.active or time.monotonic() > deadline:
            return batch
        time.sleep(0.1)


def _inside(app: Application, name: str) -> Path:
    root = batch_folder(app)
    path = (root / name).resolve()
    if not name or not path.is_relative_to(root) or path == root or not path.exists():
        raise InputError(f"“{name}”不在批量处理的文件夹 {root} 里：请从列表中选择")
    return path


def _start(app: Application, batch: BatchInfo) -> None:
    root = batch_folder(app)
    output = root / batch.output
    options = batch.options
    command = [sys.executable, "-m", "core", "batch", "--input", str(_inside(app, batch.input))]
    command += ["--output", str(output), "--task", batch.task, "--format", options["format"]]
    command += ["--threshold", str(options["threshold"]), "--model", options["model"]]
    if batch.schema:
        command += ["--schema", json.dumps(dict(batch.schema), ensure_ascii=False)]
    for name in ("text_column", "id_column"):
        if options[name]:
            command += [f"--{name.replace('_', '-')}", options[name]]
    if options["ray"]:
        command += ["--ray", options["ray"], "--actors", str(options["actors"])]
    logs = root / RESULTS
    try:
        logs.mkdir(exist_ok=True)
        with (logs / f"{output.name}{LOG}").open("wb") as log:
            # A session of its own: it goes on when the desk ends.
            process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
    except OSError as error:
        batch_store.note_batch(
            app.database, batch.id, state="failed", process="", progress=batch.progress, error=str(error)
        )
        raise FormatError(f"批量处理 {batch.id} 没有启动：{error}。请检查文件夹 {root} 的权限") from error
    name = f"{process.pid}/{process_start(process.pid)}"
    batch_store.note_batch(app.database, batch.id, state="running", process=name, progress=batch.progress)


def _look(app: Application, batch: BatchInfo) -> BatchInfo:
    """The batch as it is now; what its process has told is remembered."""
    if not batch.active:
        return batch
    output = batch_folder(app) / batch.output
    alive = _alive(batch.process)  # before the note: the last one is written before the process ends
    note = read_progress(output)
    own = note if batch.process and note.get("process") == batch.process else {}
    state, error = "running", ""
    if not alive:
        state = str(own.get("state", ""))
        error = str(own.get("error", ""))
        if state not in batch_store.STATES or state == "running":
            state, error = "failed", _last_words(output) or "进程意外退出：已完成的部分都在，可以继续"
    progress: Mapping[str, Any] = own or batch.progress
    if (state, dict(progress)) != (batch.state, dict(batch.progress)):
        batch_store.note_batch(
            app.database, batch.id, state=state, process=batch.process, progress=progress, error=error
        )
        return batch_store.get_batch(app.database, batch.id)
    return batch


def _alive(name: str) -> bool:
    pid, _, began = name.partition("/")
    return pid.isdecimal() and is_running(int(pid), began)


def _last_words(output: Path) -> str:
    """The last line that the command wrote, when it is an error of ours."""
    try:
        lines = (output.parent / f"{output.name}{LOG}").read_text("utf-8", "replace").strip().splitlines()
    except OSError:
        return ""
    return next((line.removeprefix("错误：") for line in reversed(lines) if line.startswith("错误：")), "")

"""Starts fine-tunings in processes of their own, sees that they live, and takes up what a killed desk has left."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine

from core.checkpoints.choice import place
from core.config import ROOT, Settings
from core.jobs.lease import is_gone
from core.storage import tuning_store
from core.storage.tuning_store import Tuning

ATTEMPTS = 3
"""So many processes may begin one fine-tuning; what ended them all would end the next one too."""

START_S = 120.0
"""A process that has not said a word for so long after it was started never will."""

STOP_S = 10.0
LOG = "log.txt"
SHOWN = 600


class Tuner:
    """The fine-tunings that this process has started.

    A process of its own each, which ends when this one does: the pipe to it closes, however this one ends. What it had
    learnt by the end of its last pass is on the disk.
    """

    def __init__(self, database: Engine, settings: Settings) -> None:
        self._database, self._settings = database, settings
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()
        self._closed = False

    def begin(self, tuning: Tuning) -> None:
        """Start the process of a fine-tuning that nobody works on."""
        with self._lock:
            if not self._closed:
                self._start(tuning)

    def settle(self) -> None:
        """Close those whose process ended without a word, and go on with those that a killed desk has left."""
        with self._lock:
            if self._closed:
                return
            for tuning in tuning_store.running(self._database):
                process = self._processes.get(tuning.id)
                if process is not None and process.poll() is None:
                    continue
                if process is not None:
                    del self._processes[tuning.id]
                    self._fail(tuning, f"训练进程意外结束（退出码 {process.returncode}）")
                elif _is_lost(tuning):
                    if tuning.attempts >= ATTEMPTS:
                        self._fail(tuning, f"训练进程已经 {tuning.attempts} 次没有做完就结束")
                    else:
                        self._start(tuning)

    def close(self) -> None:
        """End the processes; the next start goes on with them."""
        with self._lock:
            self._closed = True
            for process in self._processes.values():
                _end(process)
            self._processes.clear()

    def stop(self, tuning_id: int) -> None:
        """End the process of one that was cancelled, if it is ours."""
        with self._lock:
            process = self._processes.pop(tuning_id, None)
            if process is not None:
                _end(process)

    def _start(self, tuning: Tuning) -> None:
        init = place(self._settings, tuning.source)
        if init is None:
            self._fail(tuning, f"起点检查点 {tuning.source} 已不在这台机器上")
            return
        code = (
            f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
            "from core.checkpoints.tuning_process import main; main()"
        )  # fmt: skip
        folder = Path(tuning.folder)
        try:
            with (folder / LOG).open("ab") as log:
                process = subprocess.Popen(
                    [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT
                )
        except OSError as error:
            self._fail(tuning, f"训练进程没有启动：{error}")
            return
        order = {
            "database": self._settings.resolved_database_url,
            "tuning": tuning.id,
            "before": tuning.owner,
            "init": str(init),
            "threads": self._settings.cpu_threads,
        }
        assert process.stdin is not None
        try:  # the pipe stays open: its end tells the process that the desk is gone
            process.stdin.write(json.dumps(order).encode() + b"\n")
            process.stdin.flush()
        except OSError:
            pass  # it has ended already, which `settle` sees
        self._processes[tuning.id] = process

    def _fail(self, tuning: Tuning, reason: str) -> None:
        last = _last_words(Path(tuning.folder))
        error = f"{reason}。可以接着训练，或丢弃它" + (f"。最后的输出：{last}" if last else "")
        tuning_store.move(self._database, tuning.id, ("running",), "failed", error=error, finished_at=datetime.now(UTC))


def _is_lost(tuning: Tuning) -> bool:
    if tuning.owner:
        return is_gone(tuning.owner, tuning.heartbeat_at)
    return datetime.now(UTC) - tuning.created_at > timedelta(seconds=START_S)


def _last_words(folder: Path) -> str:
    try:
        return (folder / LOG).read_bytes()[-SHOWN:].decode("utf-8", "replace").strip()
    except OSError:
        return ""


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

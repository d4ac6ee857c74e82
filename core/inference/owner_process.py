"""The network in a process of its own: the screens stay responsive, unloading gives all GPU memory back, and a CUDA
fault ends that process instead of this one.

The process is started from a command line, never by forking or by importing `__main__` again: under Streamlit and
pytest that is another program. It talks over one socket and ends when that closes, so it cannot outlive its parent.
"""

from __future__ import annotations

import pickle
import subprocess
import threading
from collections import deque
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import IO, Any

from core.config import Settings
from core.errors import WorkerError
from core.gpu.flush import FlushReport, MemoryReading
from core.gpu.records import TorchMemory
from core.gpu.tenant import TenantStatus
from core.inference.matching import Matched
from core.inference.owner import PROCESS, OwnerInfo, Pause, Recalled, Record, silent
from core.inference.packing import Ragged
from core.inference.standby import take
from core.inference.worker import RECALL, Reply, Report

STOP_S = 5.0
STDERR_SHOWN = 600


class WorkerGone(Exception):
    """The process ended or lost its card."""


class ProcessOwner:
    """Starts the process on first use, again when it dies, and ends it on unload."""

    def __init__(self, settings: Settings, *, record: Record = silent) -> None:
        self._settings, self._record = settings, record
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._stderr: IO[bytes] | None = None
        self._begun: deque[Ragged] = deque()
        self._sent = 0  # how many of the first ones begun the process has got
        self._sending = threading.Lock()
        self._info: OwnerInfo | None = None
        self._report = Report({}, None)
        self._closed = False

    depth = 2

    @property
    def info(self) -> OwnerInfo | None:
        """What is or was loaded last; None before the first load."""
        return self._info

    @property
    def loaded(self) -> bool:
        """Whether the process is there with its network."""
        process = self._process
        return process is not None and process.poll() is None

    def load(self) -> OwnerInfo:
        """Start the process unless it runs; it loads the network."""
        if not self.loaded or self._info is None:
            if self._process is not None:
                self._record("restart", f"推理进程意外退出，重新启动：{self._last_words()}")
            self._stop()
            try:
                self._begin()
            except WorkerGone as gone:
                self._stop()
                raise WorkerError(f"推理进程没有启动：{gone}。可设 REX_WORKER=thread 改在本进程中运行") from gone
            except BaseException:
                self._stop()
                raise
        assert self._info is not None
        return self._info

    def unload(self) -> None:
        """End the process: all its memory goes back to the machine and to the card."""
        if self._process is not None:
            self._stop()
            self._record("unload", "已卸载模型，推理进程已结束")

    def start(self, batch: Ragged) -> None:
        """Send the batch; what goes wrong is dealt with by `finish`."""
        self._begun.append(batch)
        if self.loaded and self._sent == len(self._begun) - 1:
            try:
                self._send("run", batch)
                self._sent += 1
            except WorkerGone:
                return

    def recall(self) -> None:
        """Call back the batch behind the one that runs, if it waits there."""
        with self._sending, suppress(OSError):  # whoever waits for an answer finds out when the process is gone
            if self._connection is not None:
                self._connection.send_bytes(pickle.dumps((RECALL, None)))

    def finish(self, pause: Pause | None = None) -> Matched:
        """The answer; when the process is lost, a new one gets the batch once more. Knows no pauses.

        The new process gets it alone: what follows may be what the old one died of.
        """
        if not self._begun:
            raise ValueError("no batch was begun")
        try:
            return self._answered(self._begun[0])
        finally:
            self._begun.popleft()

    def _answered(self, batch: Ragged) -> Matched:
        try:
            return self._answer(batch)
        except WorkerGone as gone:
            if self._closed:
                raise WorkerError("推理进程已关闭") from gone
            self._record("restart", f"推理进程意外退出，重新启动：{gone}")
        self._stop()
        try:
            return self._answer(batch)
        except WorkerGone as gone:
            self._stop()
            raise WorkerError(
                f"推理进程在处理同一批文字时连续两次退出：{gone}。"
                "请减小 REX_BATCH_TOKENS，或查看显卡状态（nvidia-smi、dmesg）"
            ) from gone

    def run(self, batch: Ragged) -> Matched:
        """Send a batch and wait for its answer."""
        self.start(batch)
        return self.finish()

    def memory(self) -> MemoryReading:
        """What the process holds now; nothing while there is none."""
        reading: MemoryReading | None = self._ask("memory")
        return reading or MemoryReading(rss_bytes=0)

    def cards(self) -> dict[str, TorchMemory] | None:
        """PyTorch's memory by card as the process last told it, at most a second old while it works."""
        return self._report.cards if self.loaded else {}

    def status(self) -> TenantStatus | None:
        """Card, profile and budget as the process last told them; None while there is none."""
        return self._report.status if self.loaded else None

    def new_window(self) -> dict[str, TorchMemory] | None:
        """Begin a new window of PyTorch's peaks in the process; empty while there is none."""
        if not self.loaded:
            return {}
        readings: dict[str, TorchMemory] | None = self._ask("new_window")
        return readings

    def flush(self) -> FlushReport:
        """Give the process's cached memory back."""
        report: FlushReport | None = self._ask("flush")
        if report is not None:
            return report
        nothing = MemoryReading(rss_bytes=0)
        return FlushReport(nothing, nothing, waited_s=0.0, duration_s=0.0, objects=0, trimmed=True, on_gpu=False)

    def trim(self) -> None:
        """Give the process's cached memory back in a pause."""
        self._ask("trim")

    def close(self) -> None:
        """End the process, for good."""
        self._closed = True
        self._stop()

    def _answer(self, batch: Ragged) -> Matched:
        self.load()
        if not self._sent:
            self._send("run", batch)
            self._sent = 1
        try:
            matched: Matched = self._receive()
        finally:
            self._sent -= 1
        return matched

    def _ask(self, verb: str) -> Any:
        """The process's answer; None when there is none, or none any more: then it holds nothing either."""
        if not self.loaded:
            return None
        try:
            self._send(verb)
            return self._receive()
        except WorkerGone as gone:
            self._stop()
            self._record("restart", f"推理进程意外退出，下一次分析会重新启动它：{gone}")
            return None

    def _begin(self) -> None:
        if self._closed:
            raise WorkerGone("程序正在关闭")
        started = take()
        self._process, self._connection, self._stderr = started.process, started.connection, started.stderr
        self._send("begin", self._settings)
        self._info = replace(self._receive(), worker=PROCESS, pid=self._process.pid)

    def _send(self, verb: str, value: Any = None) -> None:
        message = pickle.dumps((verb, value), protocol=5)
        try:
            with self._sending:
                if self._connection is None:
                    raise WorkerGone("没有推理进程")
                self._connection.send_bytes(message)
        except OSError as error:
            raise WorkerGone(self._last_words()) from error

    def _receive(self) -> Any:
        if self._connection is None:
            raise WorkerGone("没有推理进程")
        try:
            # Only the process that this one started holds the other end.
            reply: Reply = pickle.loads(self._connection.recv_bytes())
        except (EOFError, OSError) as error:
            raise WorkerGone(self._last_words()) from error
        for kind, text in reply.events:
            self._record(kind, text)
        self._report = reply.report or self._report
        if reply.fault:
            raise WorkerGone(str(reply.error))
        if reply.error is not None:
            raise reply.error
        if reply.recalled:
            raise Recalled
        return reply.value

    def _last_words(self) -> str:
        """How the process ended, with the last lines that it wrote."""
        if self._process is None or self._stderr is None:
            return "已关闭"
        try:
            code = self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            return "没有回应"
        self._stderr.seek(0)
        written = self._stderr.read().decode("utf-8", "replace").strip()[-STDERR_SHOWN:]
        return f"退出码 {code}" + (f"，最后的输出：{written}" if written else "")

    def _stop(self) -> None:
        process, self._process = self._process, None
        with self._sending:
            connection, self._connection = self._connection, None
        stderr, self._stderr = self._stderr, None
        self._sent = 0
        if connection is not None:
            connection.close()  # the process ends when it reads the end of the socket
        if process is not None:
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if stderr is not None:
            stderr.close()

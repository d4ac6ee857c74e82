"""One sampler thread per process: the last reading, half an hour of history, and marks of what happened."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from dataclasses import replace
from typing import Protocol

from core.gpu.cards import read_cards
from core.gpu.host import read_host
from core.gpu.nvml import Driver, NvmlDriver, NvmlFailure
from core.gpu.records import Event, GpuSnapshot, Sample, TorchMemory
from core.gpu.torch_view import torch_memory

EVENTS_KEPT = 200


class WorkerInfo(Protocol):
    """What is known of a worker."""

    @property
    def pid(self) -> int:
        """Its process."""


class Worker(Protocol):
    """Who holds the network."""

    @property
    def info(self) -> WorkerInfo | None:
        """None before it was loaded."""

    def cards(self) -> dict[str, TorchMemory] | None:
        """Its memory by card as last heard; None when CUDA refuses to answer."""


NO_CARD = "NVIDIA 驱动正常，但没有可见的 GPU：请检查 CUDA_VISIBLE_DEVICES 与容器的 --gpus 设置"


class GpuMonitor:
    """Reads cards and host every `interval_s` once somebody has asked; readers never touch the driver."""

    def __init__(self, interval_s: float = 2.0, history_s: float = 1800.0, *, backend: Driver | None = None) -> None:
        self.interval_s = interval_s
        self._driver = backend or NvmlDriver()
        self._opened = False
        self._samples: deque[Sample] = deque(maxlen=max(1, round(history_s / interval_s)))
        self._latest: Sample | None = None
        self._worker: Worker | None = None
        self._events: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self._reading = threading.Lock()  # NVML is asked by one thread at a time
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def follow(self, worker: Worker) -> None:
        """Count what another part of the product holds on the cards, in this process or in its own, as ours."""
        self._worker = worker

    def snapshot(self) -> Sample:
        """The latest reading; the first call takes one and starts the sampler."""
        latest = self._latest or self.sample()
        with self._reading:
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(target=self._run, name="gpu-monitor", daemon=True)
                self._thread.start()
        return latest

    def sample(self) -> Sample:
        """Read everything now and add it to the history."""
        with self._reading:
            cards, reason = self._read_cards()
            sample = Sample(time_s=time.time(), host=read_host(), cards=cards, reason=reason)
            self._latest = sample
            # Who was on the card half an hour ago is not drawn: do not keep the lists.
            lean = tuple(replace(card, processes=None, missing={}) for card in cards)
            self._samples.append(replace(sample, cards=lean))
            return sample

    def history(self) -> tuple[Sample, ...]:
        """Past readings, oldest first, without processes."""
        with self._reading:
            return tuple(self._samples)

    def mark(self, event: str, text: str = "") -> None:
        """Remember that something happened now; drawn as a line in the history."""
        self._events.append(Event(time_s=time.time(), kind=event, text=text))

    def events(self) -> tuple[Event, ...]:
        """What was marked, oldest first."""
        return tuple(self._events)

    def close(self) -> None:
        """Stop the sampler and let the driver go; the last readings stay."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=self.interval_s + 5)
        with self._reading:
            self._shut()

    def _run(self) -> None:
        while not self._stop.wait(self.interval_s):
            self.sample()

    def _read_cards(self) -> tuple[tuple[GpuSnapshot, ...], str | None]:
        try:
            if not self._opened:
                self._driver.query("nvmlInit")
                self._opened = True
            cards = read_cards(self._driver, self._torch_memory(), own_pids=self._own_pids())
        except NvmlFailure as failure:
            # Begin again next time: the driver may come back.
            self._shut()
            return (), failure.reason
        except Exception as error:  # a sampler that died would leave an old reading on the screen for ever
            return (), f"读取 GPU 时出错（{type(error).__name__}：{error}）：请把这句话连同驱动版本反馈给维护者"
        return cards, None if cards else NO_CARD

    def _shut(self) -> None:
        if self._opened:
            self._opened = False
            try:
                self._driver.query("nvmlShutdown")
            except NvmlFailure:
                return  # the driver is gone already; there is nothing left to release

    def _torch_memory(self) -> dict[str, TorchMemory] | None:
        """PyTorch's memory here and in the worker, None when CUDA refuses to answer (for instance after a fault)."""
        try:
            own = torch_memory()
        except RuntimeError:
            return None
        if self._worker is None:
            return own
        told = self._worker.cards()
        return None if told is None else {**own, **told}

    def _own_pids(self) -> tuple[int, ...]:
        """The worker's process, then this one."""
        info = None if self._worker is None else self._worker.info
        return (os.getpid(),) if info is None else (info.pid, os.getpid())

"""One sampler thread per process: the last reading, half an hour of history, and marks of what happened.

Screens read what the thread has read: however many they are, the driver is asked once per interval, and one that does
not answer holds up nobody. With no screen open and no job running the thread pauses.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from core.errors import RexError
from core.gpu.driver_session import DriverSession
from core.gpu.host import peak_rss_bytes, process_rss_bytes, read_host, rss_bytes
from core.gpu.nvml import Driver, NvmlDriver
from core.gpu.peak_ledger import PeakLedger
from core.gpu.records import Event, GpuSnapshot, Peaks, Sample, SamplerStatus, TorchMemory
from core.gpu.visible import Visible
from core.gpu.watch import Watch
from core.telemetry.measures import engine_event

EVENTS_KEPT = 200
PATIENCE_S = 5.0
"""How long somebody waits for a reading that has been asked for."""
STALLED_INTERVALS = 5
NO_ANSWER = "驱动没有回答：读数停住了。请在终端运行 nvidia-smi，若同样没有反应，需要重启机器"

NewWindow = Callable[[], Mapping[str, TorchMemory] | None]


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


class GpuMonitor:
    """Reads cards and host every `interval_s` once somebody has asked, until nobody has for `pause_after_s`.

    `clock` gives the time of a reading, in seconds since 1970.
    """

    def __init__(
        self,
        interval_s: float = 2.0,
        history_s: float = 1800.0,
        *,
        backend: Driver | None = None,
        visible: Visible | None = None,
        pause_after_s: float = 90.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.interval_s, self.pause_after_s = interval_s, pause_after_s
        self._clock = clock
        self._session = DriverSession(backend or NvmlDriver(), visible or Visible())
        self._new_window: NewWindow = lambda: {}
        self._samples: deque[Sample] = deque(maxlen=max(1, round(history_s / interval_s)))
        self._events: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self._ledger = PeakLedger(clock())
        self._latest: Sample | None = None
        self._readers: dict[str, float] = {}
        self._watches: set[Watch] = set()
        self._reading = threading.Lock()  # NVML is asked by one thread at a time
        self._changed = threading.Condition()  # guards everything else; never held while the driver is asked
        self._asked = self._paused = self._waited = self._closed = False
        self._thread: threading.Thread | None = None

    def follow(self, worker: Worker, *, new_window: NewWindow = lambda: {}) -> None:
        """Count what another part of the product holds on the cards, in this process or in its own, as ours.

        `new_window` begins a new window of PyTorch's peaks there and returns the memory with those of the old one.
        """
        self._session.worker, self._new_window = worker, new_window

    def snapshot(self, reader: str = "") -> Sample:
        """The latest reading; the first call starts the sampler, as does one after a pause.

        `reader` names a screen, so that those that are open can be counted.
        """
        with self._changed:
            self._readers[reader] = time.monotonic()
            running = self._thread is not None and not self._paused
            waited, self._waited = self._waited, True
        return self._latest_now() if running and waited else self.refresh()

    def refresh(self, timeout_s: float = PATIENCE_S) -> Sample:
        """A reading begun after this call; the last one where the driver does not answer in time."""
        asked_s = time.monotonic()
        deadline = asked_s + timeout_s
        with self._changed:
            if self._closed:
                return self._latest_now()
            seen = self._latest
            self._asked = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="gpu-monitor", daemon=True)
                self._thread.start()
            self._changed.notify_all()
            while (self._latest is seen or self._asked) and not self._closed and time.monotonic() < deadline:
                self._changed.wait(max(0.0, deadline - time.monotonic()))
        return self._latest_now()

    def sample(self) -> Sample:
        """Read everything now, on this thread, and add it to the history."""
        with self._reading:
            cards, reason, xids = self._session.read()
            host = read_host(self._session.worker_pid)
            sample = Sample(time_s=self._clock(), host=host, cards=cards, reason=reason)
            # Who was on the card half an hour ago is not drawn: do not keep the lists.
            lean = tuple(replace(card, processes=None, missing={}) for card in cards)
            with self._changed:
                self._latest = sample
                self._samples.append(replace(sample, cards=lean))
                self._ledger.hear(sample)
                watches = list(self._watches)
                self._changed.notify_all()
            for watch in watches:
                watch.hear(sample)
            for one in xids:
                self.mark("xid", f"XID {one.number}")
            return sample

    def history(self) -> tuple[Sample, ...]:
        """Past readings, oldest first, without processes."""
        with self._changed:
            return tuple(self._samples)

    def status(self) -> SamplerStatus:
        """How the readings come."""
        with self._changed:
            age_s = None if self._latest is None else max(0.0, self._clock() - self._latest.time_s)
            paused = self._paused
            sessions = sum(bool(name) for name in self._awake())
        stalled = not paused and age_s is not None and age_s > STALLED_INTERVALS * self.interval_s
        return SamplerStatus(age_s, self.interval_s, stalled, paused, sessions)

    def mark(self, event: str, text: str = "") -> None:
        """Remember that something happened now; drawn as a line in the history."""
        self._events.append(Event(time_s=self._clock(), kind=event, text=text))
        engine_event(event)

    def events(self) -> tuple[Event, ...]:
        """What was marked, oldest first."""
        return tuple(self._events)

    def peaks(self) -> tuple[Peaks, Peaks]:
        """The most since the monitor was made, and since `reset_peaks`."""
        with self._changed:
            return self._ledger.peaks()

    def reset_peaks(self) -> None:
        """Begin to look for the most anew; waits for the batch in flight where the model is on a card."""
        self._end_window()
        with self._changed:
            self._ledger.reset(self._clock())
        self.mark("peak_reset")

    def watch(self, *, exact: bool = False) -> Watch:
        """Follow the memory of what begins now; keeps the sampler awake until the watch is closed.

        `exact`: from peaks of PyTorch that begin now, which waits for the batch in flight; else from readings.
        """
        if exact:
            self._end_window()
            self.refresh()
        peak_before = peak_rss_bytes()
        watch = Watch(lambda one: self._look(one, peak_before, exact=exact), self._leave)
        self._tell(watch)
        with self._changed:
            self._watches.add(watch)
        return watch

    def close(self) -> None:
        """Stop the sampler and let the driver go; the last readings stay."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(timeout=self.interval_s + PATIENCE_S)
        if self._reading.acquire(timeout=PATIENCE_S):
            try:
                self._session.close()
            finally:
                self._reading.release()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._asked = False
            self.sample()
            with self._changed:
                due = time.monotonic() + self.interval_s
                while not (self._closed or self._asked) and (left := due - time.monotonic()) > 0:
                    self._changed.wait(left)
                while not (self._closed or self._asked or self._watches or self._awake()):
                    self._paused = True
                    self._changed.wait()
                self._paused = False
                if self._closed:
                    return

    def _awake(self) -> list[str]:
        """The screens that asked lately; forgets the others."""
        oldest = time.monotonic() - self.pause_after_s
        self._readers = {name: asked for name, asked in self._readers.items() if asked >= oldest}
        return list(self._readers)

    def _latest_now(self) -> Sample:
        """The last reading; while there is none, the host with the reason."""
        return self._latest or Sample(time_s=self._clock(), host=read_host(), reason=NO_ANSWER)

    def _end_window(self) -> None:
        """Fold the peaks of PyTorch's window, and begin the next one."""
        latest = self._latest
        if latest is None or not any(card.torch for card in latest.cards):
            return  # nothing of ours is on a card: there is no window, and nobody to wait for
        try:
            readings = self._new_window() or {}
        except RexError:  # the model is being let go: its last reading has to do
            readings = {}
        cards = tuple(_with_peaks(card, readings) for card in latest.cards)
        ended = replace(latest, cards=cards)
        with self._changed:
            self._ledger.hear(ended)
            watches = list(self._watches)
        for watch in watches:
            watch.hear(ended)

    def _look(self, watch: Watch, peak_before: int | None, *, exact: bool) -> None:
        if exact:
            self._end_window()
            self.refresh()
        self._tell(watch)
        peak = peak_rss_bytes()
        if peak is not None and peak_before is not None and peak > peak_before:
            watch.hear_host(peak + self._worker_rss())

    def _tell(self, watch: Watch) -> None:
        """What is known without asking the driver: somebody may be waiting for what the watch follows."""
        if (rss := rss_bytes()) is not None:
            watch.hear_host(rss + self._worker_rss())
        if self._latest is not None and self._thread is not None and not self._paused:
            watch.hear(self._latest)

    def _worker_rss(self) -> int:
        pid = self._session.worker_pid
        return 0 if pid is None else process_rss_bytes(pid) or 0

    def _leave(self, watch: Watch) -> None:
        with self._changed:
            self._watches.discard(watch)


def _with_peaks(card: GpuSnapshot, readings: Mapping[str, TorchMemory]) -> GpuSnapshot:
    """The card with the peaks of a window that has ended; what is held stays as it was read with the driver's part."""
    if card.torch is None:
        return card
    number = card.torch.device_index
    ended = next((one for one in readings.values() if one.device_index == number), card.torch)
    top = {"peak_allocated_bytes": ended.peak_allocated_bytes, "peak_reserved_bytes": ended.peak_reserved_bytes}
    return replace(card, torch=replace(card.torch, **top))

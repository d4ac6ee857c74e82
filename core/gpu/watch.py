"""What a job takes: the highest memory and the energy while it runs, folded from every reading meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from core.gpu.records import GpuSnapshot, Sample


@dataclass(frozen=True, slots=True)
class Taken:
    """Bytes and joules; None where nothing could be measured.

    `gpu_bytes`: all that the product holds on its cards; `host_bytes`: its processes together; `energy_j`: the whole
    cards, others' work included, since the last time it was asked.
    """

    gpu_bytes: int | None = None
    host_bytes: int | None = None
    energy_j: float | None = None


def held_bytes(card: GpuSnapshot) -> int | None:
    """The most that we have held on a card in its present window; None when we are not on it."""
    if card.torch is None:
        return None
    # What lies outside PyTorch hardly moves: the context and the loaded kernels.
    outside = max(0, card.own_bytes - card.torch.reserved_bytes) if card.own_bytes is not None else 0
    return max(card.own_bytes or 0, card.torch.peak_reserved_bytes + outside)


def energy_j(sample: Sample) -> float | None:
    """The counters of our cards together; None when there is none."""
    counters = [card.energy_j for card in sample.cards if card.torch is not None and card.energy_j is not None]
    return sum(counters) if counters else None


class Watch:
    """Open while a job runs; the monitor tells it every reading. `close` ends it."""

    def __init__(self, look: Callable[[Watch], None], leave: Callable[[Watch], None]) -> None:
        self._look, self._leave = look, leave
        self.open = True
        self._lock = threading.Lock()
        self._gpu: int | None = None
        self._host: int | None = None
        self._energy: tuple[float, float] | None = None

    def hear(self, sample: Sample) -> None:
        """Fold one reading."""
        held = [bytes_ for card in sample.cards if (bytes_ := held_bytes(card)) is not None]
        counter = energy_j(sample)
        with self._lock:
            if held:
                self._gpu = max(self._gpu or 0, sum(held))
            if counter is not None:
                self._energy = (self._energy[0] if self._energy else counter, counter)
        rss = sample.host.rss_bytes
        if rss is not None:
            self.hear_host(rss + (sample.host.worker_rss_bytes or 0))

    def hear_host(self, size_bytes: int) -> None:
        """Fold the memory of our processes at one moment."""
        with self._lock:
            self._host = max(self._host or 0, size_bytes)

    def take(self) -> Taken:
        """Everything so far, the present moment included; energy begins anew, so that parts may be added up."""
        self._look(self)
        with self._lock:
            spent = None if self._energy is None else max(0.0, self._energy[1] - self._energy[0])
            if self._energy is not None:
                self._energy = (self._energy[1], self._energy[1])
            return Taken(self._gpu, self._host, spent)

    def close(self) -> None:
        """Hear nothing any more."""
        self.open = False
        self._leave(self)

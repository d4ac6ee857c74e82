"""Readings of a moment for Prometheus: queue, model, memory, jobs by state; taken when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.registry import Collector

from core import services
from core.errors import RexError
from core.gpu.records import GpuSnapshot
from core.health.readiness import Preload, readiness
from core.services import Application
from core.storage.job_queries import count_by_state

STATES = ("queued", "running", "paused", "done", "failed", "cancelled")


class Readings(Collector):
    """Of one application."""

    def __init__(self, app: Application, preload: Preload | None = None) -> None:
        self._app, self._preload = app, preload

    def collect(self) -> Iterator[Gauge]:
        """All gauges; what is not known, for instance of a model that was never loaded, is left out."""
        now = readiness(self._app, self._preload)
        yield Gauge("rex_ready", "1 when requests can be answered", value=float(now.ready))
        yield Gauge("rex_model_loaded", "1 while the model is in memory", value=float(now.model == "loaded"))
        yield from self._queue()
        yield from self._memory()
        yield from self._jobs()

    def _queue(self) -> Iterator[Gauge]:
        engine = self._app.loaded_engine
        waiting = 0 if engine is None else engine.scheduler.waiting_tokens
        yield Gauge("rex_queue_tokens", "Tokens that wait for the model", value=waiting)
        yield Gauge(
            "rex_queue_limit_tokens", "Tokens that may wait for it", value=float(self._app.settings.queue_tokens)
        )

    def _memory(self) -> Iterator[Gauge]:
        sample = self._app.monitor.snapshot()
        if sample.host.rss_bytes is not None:
            yield Gauge("rex_memory_rss_bytes", "Resident memory of this process", value=sample.host.rss_bytes)
        if sample.host.available_bytes is not None:
            yield Gauge("rex_memory_available_bytes", "Memory left on the machine", value=sample.host.available_bytes)
        family = Gauge("rex_gpu_memory_bytes", "Memory of a card by what it is", labels=["card", "what"])
        for card in sample.cards:
            for what, value in _amounts(card).items():
                if value is not None:
                    family.add_metric([str(card.index), what], value)
        yield family
        tenant = services.model_status(self._app).tenant
        if tenant is not None and tenant.memory.budget_bytes:
            yield Gauge("rex_gpu_budget_bytes", "What the desk may hold on the card", value=tenant.memory.budget_bytes)

    def _jobs(self) -> Iterator[Gauge]:
        try:
            counts = count_by_state(self._app.own_database)
        except RexError:
            return  # rex_ready is 0 then
        family = Gauge("rex_jobs", "Stored jobs by state", labels=["state"])
        for state in dict.fromkeys((*STATES, *counts)):
            family.add_metric([state], counts.get(state, 0))
        yield family


def _amounts(card: GpuSnapshot) -> dict[str, int | None]:
    torch = card.torch
    return {
        "total": card.total_bytes,
        "used": card.used_bytes,
        "own": card.own_bytes,
        "torch_allocated": None if torch is None else torch.allocated_bytes,
        "torch_reserved": None if torch is None else torch.reserved_bytes,
    }

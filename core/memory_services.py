"""Giving memory back at three levels, each with what was held before and after, and the reset of the peaks."""

from __future__ import annotations

import time
from dataclasses import dataclass

from core import services
from core.access.principal import ADMIN
from core.gpu.host import process_rss_bytes, rss_bytes
from core.gpu.records import Sample
from core.guard import guarded
from core.services import Application
from core.storage import queries

FLUSH, UNLOAD, RESTART = LEVELS = ("flush", "unload", "restart")


@dataclass(frozen=True, slots=True)
class Holding:
    """Bytes at one moment on the cards of the model together, and on the host; None where it cannot be told.

    `own_bytes` is all of ours by the driver, the context included, `card_bytes` everybody's; `worker_rss_bytes` is
    the process of the model, None where it has none of its own.
    """

    allocated_bytes: int | None = None
    reserved_bytes: int | None = None
    own_bytes: int | None = None
    card_bytes: int | None = None
    worker_rss_bytes: int | None = None
    rss_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """What one level did: `lowest` is the moment between the end of the old process and the new one's start.

    `apart`: the model has a process of its own. `waited_s`: for the batch in flight; `objects`: collected garbage.
    """

    level: str
    before: Holding
    after: Holding
    lowest: Holding | None
    duration_s: float
    waited_s: float
    apart: bool
    objects: int | None = None
    trimmed: bool = True


@guarded(ADMIN)
def release(app: Application, level: str) -> Release:
    """Give memory back at one of `LEVELS`; waits for the batch in flight, and running jobs go on afterwards.

    flush: cached, unused blocks. unload: the model too, loaded again by its next use. restart: the same at once, in a
    new process where the model has one. Raises CheckpointError or DeviceError when the model cannot be loaded again.
    """
    status = services.model_status(app)
    sample = app.monitor.refresh()
    uuids = _ours(sample)
    before = _holding(app, sample, uuids)
    lowest, objects, trimmed, waited_s = None, None, True, 0.0
    started = time.perf_counter()
    if level == FLUSH:
        report = services.flush_memory(app)
        objects, trimmed, waited_s = report.objects, report.trimmed, report.waited_s
    elif level in (UNLOAD, RESTART):
        services.unload_model(app)
        if level == RESTART:
            lowest = _holding(app, app.monitor.refresh(), uuids)
            services.reload_model(app)
            app.monitor.mark("restart", "手动重启")
    else:
        raise ValueError(f"unknown level {level}")
    duration_s = time.perf_counter() - started
    return Release(
        level=level,
        before=before,
        after=_holding(app, app.monitor.refresh(), uuids),
        lowest=lowest,
        duration_s=duration_s,
        waited_s=waited_s,
        apart=status.worker == "process",
        objects=objects,
        trimmed=trimmed,
    )


@dataclass(frozen=True, slots=True)
class Demand:
    """What waits for the model, in tokens and jobs, and the seconds since it was used last (None: never)."""

    waiting_tokens: int = 0
    running_jobs: int = 0
    waiting_jobs: int = 0
    unused_s: float | None = None


def demand(app: Application) -> Demand:
    """What is asked of the model now; does not load it."""
    engine = app.loaded_engine
    used_at = None if engine is None else engine.scheduler.used_at
    return Demand(
        waiting_tokens=0 if engine is None else engine.scheduler.waiting_tokens,
        running_jobs=queries.count_runs(app.database, states=("running",)),
        waiting_jobs=queries.count_runs(app.database, states=("queued",)),
        unused_s=None if used_at is None else time.monotonic() - used_at,
    )


@guarded(ADMIN)
def reset_peaks(app: Application) -> None:
    """Look for the highest memory anew from now on."""
    app.monitor.reset_peaks()


def _ours(sample: Sample) -> frozenset[str | None]:
    """The cards of the model; every readable card while it is on none, so that others' work is not taken for ours."""
    used = frozenset(card.uuid for card in sample.cards if card.torch is not None)
    return used or frozenset(card.uuid for card in sample.cards if card.visible is not False and not card.problem)


def _holding(app: Application, sample: Sample, uuids: frozenset[str | None]) -> Holding:
    cards = [card for card in sample.cards if card.uuid in uuids]
    own = [card.own_bytes for card in cards if card.own_bytes is not None]
    used = [card.used_bytes for card in cards if card.used_bytes is not None]
    status = services.model_status(app)
    worker = None
    if status.worker == "process" and status.pid is not None:
        worker = (process_rss_bytes(status.pid) or 0) if status.loaded else 0
    return Holding(
        allocated_bytes=sum(card.torch.allocated_bytes for card in cards if card.torch) if cards else None,
        reserved_bytes=sum(card.torch.reserved_bytes for card in cards if card.torch) if cards else None,
        own_bytes=sum(own) if cards and len(own) == len(cards) else None,
        card_bytes=sum(used) if cards and len(used) == len(cards) else None,
        worker_rss_bytes=worker,
        rss_bytes=rss_bytes(),
    )

"""Numbers for Prometheus that are counted where things happen; readings of a moment are in `core.health.collector`."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any, ParamSpec, Protocol, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from core.errors import Cancelled
from core.telemetry.logs import known, log, log_error, logs_info

disable_created_metrics()  # when a counter began says nothing here, and doubles the page
REGISTRY = CollectorRegistry()
"""Of this process; not the library's global one, in which two desks of one process would meet."""
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)

KINDS = ("interactive", "background")
OUTCOMES = ("ok", "failed", "cancelled")
BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.85, 1.5, 3.0, 6.0, 15.0, 60.0, 300.0)
"""Upper bounds of the latencies; 0.85 s is the mean that a short text may take."""
ENGINE_EVENTS = ("load", "model", "unload", "oom", "shrink", "trim", "flush", "restart", "error")
GRAVE = ("oom", "restart", "error", "xid")

REQUESTS = Counter(
    "rex_requests", "Calls for annotations that ended, by kind and outcome", ["kind", "outcome"], registry=REGISTRY
)
LATENCY = Histogram(
    "rex_request_seconds",
    "Time from a call for annotations to its last result",
    ["kind"],
    buckets=BUCKETS_S,
    registry=REGISTRY,
)
DOCUMENTS = Counter("rex_documents", "Documents that were read, by outcome", ["outcome"], registry=REGISTRY)
TOKENS = Counter("rex_tokens", "Tokens that the network has read, without padding", registry=REGISTRY)
BATCHES = Counter("rex_batches", "Batches that the network has read", registry=REGISTRY)
EVENTS = Counter(
    "rex_engine_events",
    "What happened to the model and its memory: oom, restart, trim, shrink, load, unload, flush, error",
    ["kind"],
    registry=REGISTRY,
)

DOCUMENTS_READ, TOKENS_READ, BATCHES_READ = "rex_documents_total", "rex_tokens_total", "rex_batches_total"

# A series that appears only with its first event cannot be watched for it. Those of a request are kept: looking them up
# by their labels takes longer than counting.
_SECONDS = {kind: LATENCY.labels(kind) for kind in KINDS}
_ENDED = {(kind, outcome): REQUESTS.labels(kind, outcome) for kind in KINDS for outcome in OUTCOMES}
_READ = {outcome: DOCUMENTS.labels(outcome) for outcome in OUTCOMES[:2]}
for _event in ENGINE_EVENTS:
    EVENTS.labels(_event)


class Result(Protocol):
    """A document that was read."""

    @property
    def error(self) -> str:
        """Why it could not be, empty when it was."""


R = TypeVar("R", bound=Result)
P = ParamSpec("P")


def total(name: str) -> float:
    """A counter of this process, summed over its labels."""
    return sum(one.value for family in REGISTRY.collect() for one in family.samples if one.name == name)


def engine_event(kind: str) -> None:
    """Count something that happened to the model or its memory, and log it by its kind."""
    EVENTS.labels(kind).inc()
    log(f"engine.{kind}", level="warning" if kind in GRAVE else "info")


def batch_read(tokens: int) -> None:
    """Count one batch."""
    BATCHES.inc()
    TOKENS.inc(tokens)


def measured(annotate: Callable[P, Iterator[tuple[int, R]]]) -> Callable[P, Iterator[tuple[int, R]]]:
    """Count, time and log the calls of a function that yields (index, result); `urgent` says who waits for it."""

    @wraps(annotate)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Iterator[tuple[int, R]]:
        return _watched(annotate(*args, **kwargs), KINDS[0] if kwargs.get("urgent") else KINDS[1])

    return wrapper


def _watched(results: Iterator[tuple[int, R]], kind: str) -> Iterator[tuple[int, R]]:
    began = time.perf_counter()
    counted: dict[str, int] = dict.fromkeys(OUTCOMES[:2], 0)
    outcome, fault = "cancelled", None  # when whoever asks goes away in the middle
    try:
        for index, result in results:
            one = "failed" if result.error else "ok"
            counted[one] += 1
            _READ[one].inc()
            yield index, result
        outcome = "ok"
    except Cancelled:
        raise
    except Exception as error:
        outcome, fault = "failed", error
        raise
    finally:
        seconds = time.perf_counter() - began
        _ENDED[kind, outcome].inc()
        _SECONDS[kind].observe(seconds)
        if fault is not None or logs_info():
            _tell(kind, outcome, counted, seconds, fault)


def _tell(kind: str, outcome: str, counted: Mapping[str, int], seconds: float, fault: Exception | None) -> None:
    facts: dict[str, Any] = {
        "request": known("request") or uuid.uuid4().hex[:12],
        "kind": kind,
        "outcome": outcome,
        "documents": counted["ok"] + counted["failed"],
        "failed": counted["failed"],
        "seconds": round(seconds, 4),
    }
    if fault is None:
        log("request", **facts)
    else:
        log_error("request", fault, **facts)

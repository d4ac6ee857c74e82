"""The process of one fine-tuning: trains, writes down how far it is, stops when told to or when the desk is gone."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from sqlalchemy import Engine

from core.errors import Cancelled, RexError
from core.jobs.lease import make_owner
from core.storage import tuning_store
from core.storage.database import open_database
from core.storage.tuning_store import Tuning
from core.training.finetune import finetune
from core.training.options import FinetuneConfig
from core.training.progress import Progress

DATA, RESULT, STATE = "data", "result", "state.pt"
EVERY_S = 0.5
POINTS = 400
NICE = 5
DESK_IS_GONE = 75


def main() -> None:
    """Read the order from standard input and carry it out."""
    order = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_follow_desk, daemon=True).start()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s")
    if hasattr(os, "nice"):
        os.nice(NICE)  # whoever sits at the desk comes first
    if order["threads"]:
        torch.set_num_threads(order["threads"])
    database = open_database(order["database"])
    owner = make_owner()
    if tuning_store.take(database, order["tuning"], owner, before=order["before"]):
        tune(database, tuning_store.get(database, order["tuning"]), owner, init=order["init"])
    database.dispose()


def tune(database: Engine, tuning: Tuning, owner: str, *, init: str) -> None:
    """Train and close the fine-tuning as done or failed; one that was cancelled or taken away is left as it is."""
    folder = Path(tuning.folder)
    try:
        options = tuning.options
        config = FinetuneConfig(
            data=(str(folder / DATA),),
            init=init,
            out=str(folder / RESULT),
            overwrite=True,
            epochs=options["epochs"],
            patience=options["patience"],
            lr=options["lr"],
            tokens=options["tokens"],
            device=options["device"],
            score_rows=options["score_rows"],
        )
        result = finetune(config, watch=Recorder(database, tuning, owner), state=folder / STATE)
    except Cancelled:
        return
    except Exception as problem:  # nobody stands above: whoever looks must learn what happened
        tuning_store.end(database, tuning.id, owner, "failed", error=_reason(problem))
        return
    scores = {
        "before": [asdict(score) for score in result.before],
        "after": [asdict(score) for score in result.after],
        "epoch": result.epoch,
        "steps": result.steps,
        "seconds": round(result.seconds, 1),
    }
    tuning_store.end(database, tuning.id, owner, "done", scores=scores)


class Recorder:
    """Writes progress and the curve into the database, at most twice a second; raises Cancelled once it is not ours."""

    def __init__(self, database: Engine, tuning: Tuning, owner: str) -> None:
        self._database, self._id, self._owner = database, tuning.id, owner
        self._points: list[dict[str, Any]] = [dict(point) for point in tuning.history]
        self._losses: list[float] = []
        self._scores: dict[str, Any] = {}
        self._told = 0.0
        self._start: Progress | None = None

    def __call__(self, now: Progress) -> None:
        if now.phase == "train" and self._start is None:
            self._start = now  # what an earlier process has trained is behind this point
            self._points = [point for point in self._points if point["step"] <= now.steps]
            self._scores = {"before": [asdict(score) for score in now.before]}
        if now.loss is not None:
            self._losses.append(now.loss)
        scored = now.held_back_loss is not None
        if not scored and now.loss is not None and time.monotonic() - self._told < EVERY_S:
            return
        if scored or self._losses:
            self._points.append(self._point(now))
            self._points = thinned(self._points)
        self._told = time.monotonic()
        values: dict[str, Any] = {"progress": self._progress(now), "history": self._points}
        if not tuning_store.tell(self._database, self._id, self._owner, **values, scores=self._scores):
            raise Cancelled("已取消")

    def _point(self, now: Progress) -> dict[str, Any]:
        point: dict[str, Any] = {
            "step": now.steps,
            "seconds": round(now.seconds, 1),
            "tokens": now.tokens,
            "epoch": now.epoch,
        }
        if self._losses:
            point["loss"] = round(sum(self._losses) / len(self._losses), 4)
            self._losses.clear()
        if now.held_back_loss is not None:
            point |= {"held_back_loss": round(now.held_back_loss, 4), "held_back_f1": now.held_back_f1}
        return point

    def _progress(self, now: Progress) -> dict[str, Any]:
        shown = {name: getattr(now, name) for name in ("phase", "epoch", "epochs", "steps", "tokens")}
        shown |= {"share": round(now.share, 4), "seconds": round(now.seconds, 1)}
        if (start := self._start) is not None and now.share > start.share and now.seconds > start.seconds:
            spent_s = now.seconds - start.seconds
            shown["tokens_per_s"] = round((now.tokens - start.tokens) / spent_s)
            shown["left_s"] = round(spent_s / (now.share - start.share) * (1 - now.share), 1)
        return shown


def thinned(points: Sequence[Mapping[str, Any]], limit: int = POINTS) -> list[dict[str, Any]]:
    """At most about `limit` points: every second one goes, but never the end of a pass."""
    if len(points) <= limit:
        return [dict(point) for point in points]
    return [dict(point) for number, point in enumerate(points) if number % 2 or "held_back_loss" in point]


def _reason(problem: Exception) -> str:
    if isinstance(problem, RexError):
        return str(problem)
    if isinstance(problem, torch.OutOfMemoryError):
        return f"显存不够：{problem}。请改在 CPU 上训练，或调小每步的词元数"
    if isinstance(problem, MemoryError):
        return "内存不够：请关闭其他程序，或用更小的检查点"
    return f"{type(problem).__name__}: {problem}"


def _follow_desk() -> None:
    """End at once when the desk has gone: its end of the pipe is closed. What counts is on the disk after each pass."""
    sys.stdin.buffer.read()
    os._exit(DESK_IS_GONE)


if __name__ == "__main__":
    main()

"""A batch on a Ray cluster: Ray Data hands parts to actors, each with an engine on a card or a share of the cores."""

from __future__ import annotations

import logging
import pickle
import queue
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from core.cluster.batch import Batch, Parts, Seen, Work
from core.cluster.output import Record
from core.cluster.ray_start import connected, share
from core.cluster.reading import annotate_parts
from core.config import Settings
from core.errors import Cancelled, DeviceError, RexError
from core.inference.assembly import load_engine

TASK_RETRIES = 3
"""How often a part goes to another actor when its actor dies: one whose text kills actors must not go on for ever."""

POLL_S = 0.3

PARTS_AT_ONCE = 2
"""Parts that an actor has in hand: while one ends, the other keeps the device busy."""


class PartReader:
    """The actor: one engine, and parts, several at a time in threads of their own."""

    def __init__(self, batch: Batch, settings: Settings) -> None:
        self._batch = batch
        self._engine = load_engine(settings)

    def __call__(self, rows: dict[str, Any]) -> dict[str, Any]:
        """Annotate the part of a block of one row. The answer has a record with its file, or what stopped it.

        Errors of ours travel as words: Ray would answer with a trace, and try again what cannot be.
        """
        batch, (packed,) = self._batch, rows["part"]
        try:
            ((record, data),) = annotate_parts(
                self._engine, [pickle.loads(packed)], batch.asked, threshold=batch.threshold, form=batch.form
            )
        except RexError as error:
            return {"record": [b""], "data": [b""], "error": [str(error)]}
        return {"record": [pickle.dumps(record)], "data": [data], "error": [""]}


def on_ray(address: str, *, actors: int = 0) -> Work:
    """Work on the cluster at `address` (local: one of this machine alone, auto: the one that runs here).

    actors: 0 for one on each card, or one on each 4 cores where there is no card. Raises InputError without Ray.
    """

    def work(
        parts: Parts, batch: Batch, settings: Settings, cancelled: Callable[[], bool], seen: Seen
    ) -> Iterator[tuple[Record, bytes]]:
        del seen  # actors tell of whole parts only
        with connected(address) as ray:
            from ray import data

            _quiet(data)
            lot = share(ray, settings, actors=actors)
            rows = [{"part": pickle.dumps(part)} for part in parts]
            with warnings.catch_warnings():
                # There is no other way yet to say how often a part is tried again.
                warnings.filterwarnings("ignore", message=".*ray_remote_args.*")
                found = data.from_items(rows, override_num_blocks=len(rows)).map_batches(
                    PartReader,
                    fn_constructor_args=(batch, lot.settings),
                    batch_size=1,
                    batch_format="numpy",
                    compute=data.ActorPoolStrategy(
                        size=lot.actors,
                        enable_true_multi_threading=True,
                        max_concurrent_calls_per_actor=PARTS_AT_ONCE,
                    ),
                    num_cpus=None if lot.gpus else lot.cpus,
                    num_gpus=lot.gpus or None,
                    max_restarts=-1,
                    max_task_retries=TASK_RETRIES,
                )
            for row in _until(cancelled, _rows(found, ray)):
                if row["error"]:
                    raise DeviceError(row["error"])
                yield pickle.loads(row["record"]), row["data"]

    return work


def _quiet(data: Any) -> None:
    """Our own lines tell how far it is; parts arrive as they are finished, for nobody waits for the first one."""
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_options.preserve_order = False


def _rows(found: Any, ray: Any) -> Iterator[Any]:
    """The answers as they come. Raises DeviceError for a part that no actor survives."""
    try:
        yield from found.iter_rows()
    except ray.exceptions.RayError as error:
        cause = str(error).strip().splitlines()
        raise DeviceError(
            f"Ray 上的处理没有完成（{cause[-1] if cause else type(error).__name__}）。已完成的部分都在，"
            "重新运行同一条命令即可继续；若总停在同一处，请查看 Ray 的日志和机器的内存"
        ) from error


def _until(cancelled: Callable[[], bool], rows: Iterator[Any]) -> Iterator[Any]:
    """The rows; raises Cancelled soon after `cancelled()` is true, also while none comes."""
    coming: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue()
    end = object()

    def pull() -> None:
        try:
            for row in rows:
                coming.put((row, None))
            coming.put((end, None))
        except BaseException as error:  # whatever it was, the one who waits must hear of it
            coming.put((end, error))

    threading.Thread(target=pull, name="ray-rows", daemon=True).start()
    while True:
        if cancelled():
            raise Cancelled("已取消")
        try:
            row, error = coming.get(timeout=POLL_S)
        except queue.Empty:
            continue
        if error is not None:
            raise error
        if row is end:
            return
        yield row

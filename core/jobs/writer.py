"""Keeps finished documents in a thread of its own: whatever finished while one transaction ran goes into the next."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby

from sqlalchemy import Engine

from core.storage import job_store
from core.storage.rows import Finished

TOGETHER = 50
"""Documents of one transaction at most."""

Item = tuple[int, Finished]


@contextmanager
def kept(
    database: Engine, owner: str, *, lost: Callable[[int, None], object]
) -> Iterator[Callable[[int, Finished], None]]:
    """Yield a function (job, finished) that keeps a document as soon as the database takes it.

    `lost(job, None)` is called once for a job that `owner` does not hold any more. All is kept when the block ends,
    however it ends; raises what the database refuses with, at the next document or at the end.
    """
    waiting: queue.Queue[Item | None] = queue.Queue(4 * TOGETHER)
    refused: list[Exception] = []

    def write() -> None:
        gone: set[int] = set()
        while some := _next(waiting):
            if refused:
                continue  # whoever fills the queue must not wait for ever
            try:
                for job_id, group in groupby(sorted(some, key=lambda one: one[0]), key=lambda one: one[0]):
                    finished = [one for _, one in group]
                    if job_id not in gone and not job_store.save(database, job_id, owner, finished=finished):
                        gone.add(job_id)
                        lost(job_id, None)
            except Exception as error:  # whatever it was, the worker must hear of it
                refused.append(error)

    def keep(job_id: int, finished: Finished) -> None:
        if refused:
            raise refused[0]
        waiting.put((job_id, finished))

    thread = threading.Thread(target=write, name=f"{threading.current_thread().name}-writer", daemon=True)
    thread.start()
    try:
        yield keep
    finally:
        waiting.put(None)
        thread.join()
    if refused:
        raise refused[0]


def _next(waiting: queue.Queue[Item | None]) -> list[Item]:
    """What waits, at least one; nothing after the end."""
    some: list[Item] = []
    one = waiting.get()
    while one is not None:
        some.append(one)
        if len(some) == TOGETHER:
            return some
        try:
            one = waiting.get_nowait()
        except queue.Empty:
            return some
    if some:
        waiting.put(None)  # for the next call
    return some

"""Loads the model ahead of the first request if asked to, and says whether requests can be answered."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from sqlalchemy import text

from core import services
from core.errors import EngineAwayError, RexError
from core.services import Application
from core.storage.database import storage_errors
from core.telemetry.logs import log, log_error

WAITING, LOADING, LOADED, FAILED = "waiting", "loading", "loaded", "failed"
MAX_WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Readiness:
    """`model`: waiting (for its first use), loading, loaded, failed; `reason` says in plain words why not ready."""

    ready: bool
    model: str
    database: bool
    name: str
    reason: str = ""


class Preload:
    """Loads the model of an application in a thread, again after a failure, until it has succeeded or is closed."""

    def __init__(self, app: Application, *, retry_s: float = 5.0) -> None:
        self._app, self._retry_s = app, retry_s
        self.error: Exception | None = None
        self.running = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="preload", daemon=True)

    def start(self) -> None:
        """Begin; `error` holds why the last attempt failed."""
        self.running = True
        self._thread.start()

    def close(self) -> None:
        """Try no further; an attempt that runs ends by itself."""
        self._closed.set()

    def _run(self) -> None:
        wait_s, attempt = self._retry_s, 1
        while not self._closed.is_set():
            began = time.perf_counter()
            try:
                if self._app.remote is None:
                    self._app.engine  # noqa: B018  # the first use loads it
                elif away := self._app.engine_away:
                    raise EngineAwayError(away)
            except Exception as error:  # a missing file or an unreachable hub may be mended meanwhile
                self.error = error
                log_error("model.failed", error, attempt=attempt)
            else:
                self.error, self.running = None, False
                status = services.model_status(self._app)
                seconds = round(time.perf_counter() - began, 3)
                log("model.ready", model=status.name, device=status.device, dtype=status.dtype, seconds=seconds)
                return
            self._closed.wait(wait_s)
            wait_s, attempt = min(2 * wait_s, MAX_WAIT_S), attempt + 1


def readiness(app: Application, preload: Preload | None = None) -> Readiness:
    """Whether a request would be answered now: the database answers, and no model is still being waited for.

    Without preloading a model that was never used does not stand in the way: the first request loads it.
    """
    status = services.model_status(app)
    waits = preload is not None and preload.running
    model = LOADED if status.loaded else (FAILED if preload and preload.error else LOADING) if waits else WAITING
    reason = ""
    if waits:
        error = preload.error if preload is not None else None
        # Errors of our own name a file or a setting; others may say anything.
        known = str(error) if isinstance(error, RexError) else type(error).__name__
        reason = f"模型载入失败，稍后重试：{known}" if error else "模型正在载入"
    database = True
    try:
        with storage_errors(app.own_database), app.own_database.connect() as connection:
            connection.execute(text("SELECT 1"))
    except RexError as error:
        database, reason = False, str(error)
    if not reason:
        reason = app.engine_away  # the model is elsewhere, and does not answer
    return Readiness(not reason, model, database, status.name, reason)

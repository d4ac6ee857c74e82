"""An export in the background: how many documents are written, and a way to stop it."""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy import Engine

from core.errors import Cancelled, RexError
from core.exporters import export_run

STOPPED = "导出已停止，没有留下文件。"


class ExportJob:
    """One export on a thread of its own; read its fields from any thread."""

    def __init__(self, database: Engine, run_id: int, format: str, *, path: Path, which: str) -> None:
        self.path = path
        self.documents = 0
        self.losses: list[str] = []
        self.error = ""
        self._order = (database, run_id, format, which)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="export", daemon=True)

    def start(self) -> ExportJob:
        """Begin; returns itself."""
        self._thread.start()
        return self

    def cancel(self) -> None:
        """Stop after the document in hand; no file is left."""
        self._stop.set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the end; whether it came."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        database, run_id, format, which = self._order
        try:
            losses = export_run(database, run_id, format, path=self.path, which=which, on_document=self._count)
            self.losses = [str(loss) for loss in losses]
        except Cancelled:
            self.error = STOPPED
        except RexError as error:
            self.error = str(error)
        except Exception as error:  # a thread must not end without a word
            self.error = f"程序出错：{type(error).__name__}: {error}"

    def _count(self, number: int) -> None:
        if self._stop.is_set():
            raise Cancelled(STOPPED)
        self.documents = number

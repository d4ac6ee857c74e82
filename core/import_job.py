"""An import in the background: files one after the other, how far it is, and a way to stop it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.access.principal import ANALYST
from core.errors import Cancelled, RexError
from core.guard import guarded
from core.imports import import_annotated
from core.readers import FileReport, Importer, ReadOptions, from_path
from core.storage.search_index import catch_up
from core.storage.store import Store
from core.types import Document

STOPPED = "导入已停止：此前的文档已经保存，其余没有导入。"


@dataclass(frozen=True, slots=True)
class ImportOrder:
    """What to import and how: `format` is one of ANNOTATED_FORMATS, or empty for documents without annotations.

    `encodings` are those chosen by hand, by the name of the file; they go before the one of the options.
    """

    paths: tuple[Path, ...]
    options: ReadOptions = field(default_factory=ReadOptions)
    format: str = ""
    encodings: dict[str, str] = field(default_factory=dict)
    drop_duplicates: bool = False
    offsets: str = "auto"


class ImportJob:
    """One import on a thread of its own; read its fields from any thread. `folder`, if any, is removed at the end."""

    def __init__(self, store: Store, order: ImportOrder, *, folder: Path | None = None) -> None:
        self.total = len(order.paths)
        self.files = 0
        self.name = ""
        self.documents = 0
        self.state = "running"  # then "indexing", then "done"
        self.reports: list[FileReport] = []
        self._store, self._order, self._folder = store, order, folder
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="import", daemon=True)

    def start(self) -> ImportJob:
        """Begin; returns itself."""
        self._thread.start()
        return self

    def __str__(self) -> str:
        return f"{self.total} files"

    def cancel(self) -> None:
        """Stop after the batch in hand; what is stored stays."""
        self._stop.set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the end; whether it came."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        try:
            self._import()
            self.state = "indexing"
            catch_up(self._store.engine, cancelled=self._stop.is_set)
        except RexError as error:
            self.reports.append(FileReport(self.name, error=str(error)))
        except Exception as error:  # a thread must not end without a word
            self.reports.append(FileReport(self.name, error=f"程序出错：{type(error).__name__}: {error}"))
        finally:
            self.state = "done"
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)

    def _import(self) -> None:
        order = self._order
        importer = Importer(self._keep, order.options, duplicates="drop" if order.drop_duplicates else "keep")
        for path in order.paths:
            if self._stop.is_set():
                self.reports.append(FileReport(path.name, error=STOPPED))
                continue
            self.name = path.name
            encoding = order.encodings.get(path.name) or order.options.encoding
            importer.options = replace(order.options, encoding=encoding)
            before = self.documents
            try:
                self.reports += self._reports(importer, path, encoding)
            except Cancelled:
                self.reports.append(FileReport(path.name, self.documents - before, error=STOPPED))
            except RexError as error:
                self.reports.append(FileReport(path.name, self.documents - before, error=str(error)))
            self.files += 1

    def _reports(self, importer: Importer, path: Path, encoding: str | None) -> Iterable[FileReport]:
        if not self._order.format:
            return importer.source(from_path(path))
        report, runs = import_annotated(
            self._store, path, self._order.format, encoding=encoding, offsets=self._order.offsets
        )
        self.documents += report.documents
        found = f"{report.annotations} 个标注，运行记录 {'、'.join(map(str, runs))}"
        said = (found, *report.repaired, *report.notes)
        return [FileReport(path.name, report.documents, problems=report.problems, notes=said)]

    def _keep(self, batch: Sequence[Document]) -> None:
        if self._stop.is_set():
            raise Cancelled(STOPPED)
        self._store.add_documents(batch)
        self.documents += len(batch)


@guarded(ANALYST, "document.import", about="{result}")
def start_import(store: Store, order: ImportOrder, *, folder: Path | None = None) -> ImportJob:
    """Begin an import in the background; `folder`, if any, is removed at its end."""
    return ImportJob(store, order, folder=folder).start()

"""Many files -> documents in batches, with a report for each file; a bad file never stops the others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from core.errors import FormatError
from core.readers.archive import members
from core.readers.files import ARCHIVES, LIMIT_BYTES, read_documents
from core.readers.options import ReadOptions
from core.readers.report import Account, Tally
from core.readers.source import Source, from_path
from core.types import Document

# Documents handed over at once, and their characters: whichever comes first.
BATCH_DOCUMENTS = 2000
BATCH_CHARACTERS = 4 * 2**20

Keep = Callable[[Sequence[Document]], Any]
Duplicates = Literal["keep", "drop"]


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of one file (or of one in an archive, named "archive.zip/file").

    `documents` were handed over; `duplicates` have the text of one before them in this import, and are among the
    documents unless dropped. `error` says why the file could not be read, or not to its end; empty when it could.
    """

    name: str
    documents: int = 0
    duplicates: int = 0
    encoding: str = ""
    columns: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    error: str = ""


@dataclass(slots=True)
class Importer:
    """One import of several files: hands documents to `keep` in batches and remembers the texts it has seen."""

    keep: Keep
    options: ReadOptions = field(default_factory=ReadOptions)
    duplicates: Duplicates = "keep"
    _seen: set[bytes] = field(default_factory=set)

    def paths(self, paths: Iterable[Path]) -> Iterator[FileReport]:
        """Import files from disk one after the other; a report as each is done."""
        for path in paths:
            try:
                source = from_path(path)
            except OSError as error:
                yield FileReport(path.name, error=f"无法打开“{path}”：{error.strerror or error}。请检查路径。")
                continue
            if path.is_dir():
                yield FileReport(path.name, error=f"“{path}”是文件夹。请选择文件，或把文件夹压缩成 zip。")
                continue
            yield from self.source(source)

    def source(self, source: Source) -> Iterator[FileReport]:
        """Import one file; an archive gives a report for each file in it."""
        if source.extension not in ARCHIVES:
            yield self._one(source)
            return
        skipped = Tally()
        try:
            if source.size_bytes > LIMIT_BYTES:
                size, limit = source.size_bytes // 2**20, LIMIT_BYTES // 2**20
                raise FormatError(f"“{source.name}”有 {size} MB，超过上限 {limit} MB。请分成几个压缩包。")
            if not source.size_bytes:
                raise FormatError(f"“{source.name}”是空文件。请检查后重新导入。")
            count = 0
            for member in members(source, skipped=skipped):
                count += 1
                if isinstance(member, FormatError):
                    yield FileReport(source.name, error=str(member))
                else:
                    yield self._one(member)
            if not count:
                raise FormatError(f"压缩包“{source.name}”里没有文件。")
        except (FormatError, OSError) as error:
            yield FileReport(source.name, error=str(error))
        if skipped.count:
            yield FileReport(source.name, notes=(f"跳过 {skipped.count} 个文件夹或系统文件",))

    def _one(self, source: Source) -> FileReport:
        account = Account()
        batch: list[Document] = []
        characters = count = repeated = 0
        error = ""

        def hand_over() -> int:
            given = len(batch)
            if batch:
                self.keep(tuple(batch))
                batch.clear()
            return given

        try:
            for document, _ in read_documents(source, self.options, account=account):
                if self._known(document):
                    repeated += 1
                    if self.duplicates == "drop":
                        continue
                batch.append(document)
                characters += len(document.text)
                if len(batch) >= BATCH_DOCUMENTS or characters >= BATCH_CHARACTERS:
                    count += hand_over()
                    characters = 0
        except (FormatError, MemoryError) as failure:
            error = str(failure) or f"“{source.name}”：内存不足。请拆分后重新导入。"
        count += hand_over()
        if error and count:
            error += f" 出错前的 {count} 个文档已导入。"
        return FileReport(
            source.name,
            count,
            repeated,
            encoding=account.encoding,
            columns=account.columns,
            problems=tuple(account.problems),
            # how an unread file would have been read is of no use
            notes=() if error and not count else tuple(account.notes),
            error=error,
        )

    def _known(self, document: Document) -> bool:
        """Whether this text (and second text) came before; remembers it."""
        digest = content_hash(document)
        if digest in self._seen:
            return True
        self._seen.add(digest)
        return False


def content_hash(document: Document) -> bytes:
    """16 bytes that two documents share when their text and second text are equal."""
    pair = "" if document.text_pair is None else f"\x00{document.text_pair}"
    return hashlib.blake2b((document.text + pair).encode("utf-8", "surrogatepass"), digest_size=16).digest()

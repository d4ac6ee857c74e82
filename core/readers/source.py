"""A file to read, on disk or in memory: opened as often as a reader needs it."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

CHUNK_BYTES = 2**20
# Longest name that the database keeps.
_NAME_CHARACTERS = 255


@dataclass(frozen=True, slots=True)
class Source:
    """A file: `name` as it is shown and stored, its size, and a function that opens it for reading bytes."""

    name: str
    size_bytes: int
    open: Callable[[], BinaryIO]
    path: Path | None = None

    @property
    def extension(self) -> str:
        """Lower-case, without the dot; empty when there is none."""
        return PurePosixPath(self.name).suffix.lower().lstrip(".")

    @property
    def stem(self) -> str:
        """The last part of the name without its extension."""
        return PurePosixPath(self.name).stem

    def chunks(self) -> Iterator[bytes]:
        """The content in pieces of at most 1 MiB."""
        with self.open() as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

    def head(self, size: int) -> bytes:
        """The first bytes."""
        with self.open() as file:
            return file.read(size)

    @contextmanager
    def on_disk(self) -> Iterator[Path]:
        """A path with this content, for readers that need one; removed afterwards when it was made for this."""
        if self.path is not None:
            yield self.path
            return
        with tempfile.NamedTemporaryFile(prefix="rex-", suffix=".upload") as copy:
            with self.open() as file:
                shutil.copyfileobj(file, copy, CHUNK_BYTES)
            copy.flush()
            yield Path(copy.name)


def from_bytes(name: str, data: bytes) -> Source:
    """Bytes in memory under a name that a browser sent."""
    return Source(base_name(name), len(data), lambda: io.BytesIO(data))


def from_path(path: Path, *, name: str | None = None) -> Source:
    """A file on disk, shown as `name` or by its own. Raises OSError when it cannot be looked at."""
    size = path.stat().st_size
    return Source(base_name(name or path.name), size, lambda: path.open("rb"), path)


def base_name(name: str) -> str:
    """The last part of a path of either system, without characters that no name should hold.

    A browser or an archive may send a path; only its last part is the file's name.
    """
    last = PurePosixPath(name.replace("\\", "/")).name
    return clean_name(last)


def clean_name(name: str) -> str:
    """A name without control and direction characters and broken surrogates, at most 255 characters long."""
    kept = "".join(c if c.isprintable() and not "\ud800" <= c <= "\udfff" else "_" for c in name)
    if len(kept) > _NAME_CHARACTERS:
        suffix = PurePosixPath(kept).suffix[-16:]
        kept = kept[: _NAME_CHARACTERS - len(suffix)] + suffix
    return kept

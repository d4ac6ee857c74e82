"""A format of several files -> a zip, files side by side, or a folder; each appears only when it is complete."""

from __future__ import annotations

import shutil
import uuid
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from core.errors import InputError
from core.exporters.report import About, Losses
from core.types import AnnotatedDocument

Results = Iterable[AnnotatedDocument]
OpenFile = Callable[[str], AbstractContextManager[BinaryIO]]
WriteFiles = Callable[[Results, OpenFile, Losses, About], None]

# Lists what an export put into a folder, so that a later one may replace it and nothing else.
MARKER = ".export-files.txt"


def zipped(write_files: WriteFiles) -> Callable[[Results, BinaryIO, Losses, About], None]:
    """The writer of one zip made from a writer of several files."""

    def write(results: Results, target: BinaryIO, losses: Losses, about: About) -> None:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:

            @contextmanager
            def open_file(name: str) -> Iterator[BinaryIO]:
                with archive.open(_entry(name), "w", force_zip64=True) as file:
                    yield file  # type: ignore[misc]

            write_files(results, open_file, losses, about)

    return write


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry


def write_beside(write: Callable[[OpenFile], None], places: Mapping[str, Path]) -> None:
    """Call `write` with files that stand at `places` by name; none is there before all are complete.

    Raises OSError.
    """
    parts = {name: part_of(path) for name, path in places.items()}
    try:
        write(lambda name: parts[name].open("wb"))
        for name, path in places.items():
            parts[name].replace(path)
    finally:
        for part in parts.values():
            with suppress(OSError):
                part.unlink()


def write_folder(write: Callable[[OpenFile], None], folder: Path) -> None:
    """Call `write` with files in `folder`, which is there as a whole or not at all.

    A folder that holds only what an earlier export wrote is replaced. Raises InputError for one that holds anything
    else, and OSError.
    """
    refuse_foreign(folder)
    part = part_of(folder)
    part.mkdir(parents=True)
    try:
        with (part / MARKER).open("w", encoding="utf-8", newline="\n") as marker:

            def open_file(name: str) -> AbstractContextManager[BinaryIO]:
                marker.write(name + "\n")
                return (part / name).open("wb")

            write(open_file)
        refuse_foreign(folder)  # it may have been filled in the meantime
        old = part_of(folder)
        if folder.exists():
            folder.rename(old)
        try:
            part.rename(folder)
        except OSError:
            with suppress(OSError):
                old.rename(folder)
            raise
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def refuse_foreign(folder: Path) -> None:
    """Raise InputError when a folder holds files that no export put there."""
    if not folder.is_dir():
        return
    marker = folder / MARKER
    known = set(marker.read_text("utf-8").split("\n")) | {MARKER} if marker.is_file() else set()
    foreign = sorted(one.name for one in folder.iterdir() if one.name not in known)
    if foreign:
        shown = "、".join(foreign[:3]) + (f" 等 {len(foreign)} 个" if len(foreign) > 3 else "")
        raise InputError(f"文件夹 {folder} 里有不是导出写下的文件（{shown}），没有写入。请换一个空的或新的文件夹。")


def choose(path: Path, *, format: str, beside: Mapping[str, str]) -> Mapping[str, Path] | None:
    """Where the files go: by name beside `path`, all in the folder `path` (empty), or in a zip (None).

    `beside` gives the suffix of each file where the format may stand side by side; the first is that of `path`.
    Raises InputError for a name that says none of these.
    """
    if path.is_dir():
        return {}
    suffix = path.suffix.lower()
    if suffix == ".zip":
        return None
    if not suffix:
        if path.exists():
            raise InputError(f"{path} 已经是一个文件，不能作为 {format} 的文件夹。请换一个名字，或用 .zip。")
        return {}
    main = next(iter(beside.values()), "")
    if beside and suffix == main:
        return {name: path if end == main else path.with_suffix(end) for name, end in beside.items()}
    choices = ["一个压缩包：名字以 .zip 结尾"]
    choices += [f"{'、'.join(beside.values())} 几个文件：名字以 {main} 结尾"] if beside else []
    choices.append("一个文件夹：名字没有后缀，或是已有的空文件夹")
    raise InputError(f"{format} 是几个文件，不能写成 {path.name}。可以写成{'；'.join(choices)}。")


def part_of(path: Path) -> Path:
    """A name beside `path` for what is not complete yet; two people may export the same at once."""
    return path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.part")

"""A zip archive -> the files in it, one at a time on disk, never by the path that the archive gives."""

from __future__ import annotations

import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from core.errors import FormatError
from core.readers.encoding import decode
from core.readers.kinds import is_zip, kind_of
from core.readers.report import Tally
from core.readers.source import CHUNK_BYTES, Source, clean_name

MEMBERS = 10_000
EXPANDED_BYTES = 2 * 2**30
MEMBER_BYTES = 200 * 2**20
# What text and tables reach at best is about 1:30; a bomb has thousands.
RATIO = 300
# Below this size a high ratio does no harm.
_RATIO_FROM_BYTES = 10 * 2**20
DEPTH = 3
_UTF8_FLAG, _ENCRYPTED_FLAG = 0x800, 0x1
_NOISE = ("__MACOSX/", ".DS_Store", "Thumbs.db", "desktop.ini")
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError)


class Budget:
    """What may still be unpacked of one archive and all that are nested in it."""

    def __init__(self) -> None:
        self.members = MEMBERS
        self.bytes = EXPANDED_BYTES


def members(
    source: Source, *, skipped: Tally, budget: Budget | None = None, depth: int = 1
) -> Iterator[Source | FormatError]:
    """Each file in the archive and in the archives in it, unpacked into a temporary file that is gone afterwards.

    A file that cannot be unpacked comes as the error to show; folders and the litter of operating systems are
    counted in `skipped`. Raises FormatError when the archive itself cannot be read.
    """
    head = source.head(8)
    if not is_zip(head):
        kind = kind_of(head) or "别的内容"
        raise FormatError(f"“{source.name}”不是完好的 zip 压缩包（像是{kind}）。请重新压缩后导入。")
    budget = budget or Budget()
    try:
        with (
            source.open() as file,
            zipfile.ZipFile(file) as archive,
            tempfile.TemporaryDirectory(prefix="rex-") as folder,
        ):
            infos = archive.infolist()
            names = member_names(infos)
            for number, (info, inner) in enumerate(zip(infos, names, strict=True)):
                if info.is_dir() or any(mark in inner for mark in _NOISE):
                    skipped.add(inner)
                    continue
                title = f"{source.name}/{clean_name(inner)}"
                try:
                    path = _unpack(archive, info, Path(folder) / str(number), title=title, budget=budget)
                except FormatError as error:
                    yield error
                    if budget.members <= 0 or budget.bytes <= 0:
                        return
                    continue
                member = Source(title, path.stat().st_size, lambda path=path: path.open("rb"), path)  # type: ignore[misc]
                yield from _nested(member, skipped=skipped, budget=budget, depth=depth)
                path.unlink()
    except _BROKEN as error:
        raise FormatError(f"压缩包“{source.name}”已损坏（{error}）。请重新压缩后导入。") from error


def _nested(member: Source, *, skipped: Tally, budget: Budget, depth: int) -> Iterator[Source | FormatError]:
    if member.extension != "zip":
        yield member
    elif depth >= DEPTH:
        yield FormatError(f"“{member.name}”：压缩包套了超过 {DEPTH} 层，没有打开。请解压后导入。")
    else:
        try:
            yield from members(member, skipped=skipped, budget=budget, depth=depth + 1)
        except FormatError as error:
            yield error


def _unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, *, title: str, budget: Budget) -> Path:
    """The member as a file at `target`. Raises FormatError for what must not or cannot be unpacked."""
    budget.members -= 1
    if budget.members <= 0:
        raise FormatError(f"“{title}”：压缩包里的文件超过 {MEMBERS} 个，其余没有读取。请分成几个压缩包。")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise FormatError(f"“{title}”是符号链接，没有读取。请把它指向的文件放进压缩包。")
    if info.flag_bits & _ENCRYPTED_FLAG:
        raise FormatError(f"“{title}”已加密（压缩包有密码）。请去掉密码后重新导入。")
    size = 0
    try:
        with archive.open(info) as packed, target.open("wb") as file:
            while data := packed.read(CHUNK_BYTES):
                size += len(data)
                budget.bytes -= len(data)
                _refuse_bomb(size, info.compress_size, title=title, budget=budget)
                file.write(data)
    except FormatError:
        target.unlink(missing_ok=True)
        raise
    except _BROKEN as error:
        target.unlink(missing_ok=True)
        raise FormatError(f"“{title}”无法解压（{error}）。请重新压缩后导入。") from error
    return target


def _refuse_bomb(size: int, packed: int, *, title: str, budget: Budget) -> None:
    if size > MEMBER_BYTES:
        raise FormatError(f"“{title}”解压后超过 {MEMBER_BYTES // 2**20} MB。请拆分后分别导入。")
    if size > _RATIO_FROM_BYTES and size > RATIO * max(packed, 1):
        raise FormatError(f"“{title}”的压缩比超过 {RATIO}，可能是压缩炸弹，没有读取。")
    if budget.bytes <= 0:
        raise FormatError(f"“{title}”：压缩包解压后超过 {EXPANDED_BYTES // 2**30} GB，其余没有读取。请分成几个压缩包。")


def member_names(infos: list[zipfile.ZipInfo]) -> list[str]:
    """The names as their maker wrote them: Windows in Chinese writes GBK where the standard says CP437.

    All unmarked names of one archive are decoded together, for one name is too short to tell encodings apart.
    """
    raw: dict[int, bytes] = {}
    for number, info in enumerate(infos):
        if not info.flag_bits & _UTF8_FLAG:
            try:
                raw[number] = info.orig_filename.encode("cp437")
            except UnicodeEncodeError:
                continue
    names = [info.orig_filename for info in infos]
    try:
        decoded = decode(b"\n".join(raw.values())).text.split("\n") if raw else []
    except FormatError:
        decoded = []
    if len(decoded) == len(raw):
        for number, name in zip(raw, decoded, strict=True):
            names[number] = name
    return [name.partition("\x00")[0].replace("\\", "/") or "未命名" for name in names]

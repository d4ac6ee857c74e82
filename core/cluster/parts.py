"""Input files -> parts: stretches of rows that are read, kept and, after a kill, read again as a whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from core.errors import FormatError, InputError
from core.readers.jsonl import LINE_CHARACTERS

SUFFIXES = (".jsonl", ".ndjson", ".parquet")
PART_BYTES = 8 * 2**20
"""Bytes of JSON lines in a part at most, so that a few large documents do not fill the memory."""

S3 = "s3"
S3_HINT = (
    "请检查桶名、网络，以及 AWS_ACCESS_KEY_ID、AWS_SECRET_ACCESS_KEY、AWS_DEFAULT_REGION；"
    "自建的对象存储另设 AWS_ENDPOINT_URL"
)


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file of the input: where it is, how it is named in results, and what tells whether it has changed."""

    uri: str
    name: str
    size_bytes: int
    changed: str


@dataclass(frozen=True, slots=True)
class Part:
    """Rows `first` to `first + rows - 1` of a file, counted from 1; `offset`: where they begin in a file of lines.

    `skip`: rows whose documents were kept from an older state of the file.
    """

    file: InputFile
    first: int
    rows: int
    offset: int = 0
    skip: tuple[int, ...] = ()

    @property
    def key(self) -> str:
        """The same for the same rows of the same state of a file, another one otherwise."""
        told = f"{self.file.name}\0{self.file.size_bytes}\0{self.file.changed}\0{self.first}\0{self.rows}"
        return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def list_files(given: str) -> list[InputFile]:
    """The files of a folder, a pattern (`reports/*.jsonl`), a path, or the same below `file:///…` or `s3://bucket/…`.

    In the order of their names. Raises InputError when there is none, FormatError when the place cannot be read.
    """
    filesystem, place = _place(given)
    head, pattern = _divide(place)
    try:
        (root,) = filesystem.get_file_info([head or "."])
        if root.type == fs.FileType.NotFound:
            raise InputError(f"输入 {given} 不存在：请检查路径")
        if root.type == fs.FileType.File:
            found, base = [root], str(PurePosixPath(root.path).parent)
        else:
            found, base = filesystem.get_file_info(fs.FileSelector(root.path, recursive=True)), root.path
    except OSError as error:
        hint = "请检查路径和权限" if isinstance(filesystem, fs.LocalFileSystem) else S3_HINT
        raise FormatError(f"无法读取输入 {given}：{error}。{hint}") from error
    files = []
    for one in found:
        name = str(PurePosixPath(one.path).relative_to(base))
        if one.type == fs.FileType.File and (not pattern or _matches(name, pattern)):
            if not name.lower().endswith(SUFFIXES):
                if pattern or root.type == fs.FileType.File:
                    raise InputError(f"不支持 {name}：批量处理读取 {'、'.join(SUFFIXES)}，请先转换")
                continue
            if any(step.startswith((".", "_")) for step in PurePosixPath(name).parts):
                continue  # what other programs keep beside their data
            uri = one.path if isinstance(filesystem, fs.LocalFileSystem) else f"{S3}://{one.path}"
            files.append(InputFile(uri, name, one.size, str(one.mtime_ns)))
    if not files:
        raise InputError(f"输入 {given} 里没有 {'、'.join(SUFFIXES)} 文件")
    return sorted(files, key=lambda file: file.name)


def open_file(uri: str) -> pa.NativeFile:
    """A file of the input, to read from any place. Raises FormatError when this machine cannot."""
    filesystem, path = _place(uri)
    try:
        return filesystem.open_input_file(path)
    except OSError as error:
        raise FormatError(f"这台机器读不到 {uri}：{error}。多台机器一起读时，请放在共享的文件夹或 s3:// 里") from error


def divide(file: InputFile, *, documents: int) -> Iterator[Part]:
    """The parts of a file, at most `documents` rows each. Raises FormatError for a file that is damaged."""
    if file.name.lower().endswith(".parquet"):
        rows = parquet_file(file).metadata.num_rows
        for first in range(1, rows + 1, documents):
            yield Part(file, first, min(documents, rows - first + 1))
        return
    first = rows = size = offset = 0
    with open_file(file.uri) as stream:
        for number, line in enumerate(lines_of(stream), start=1):
            if rows and (rows == documents or size + len(line) > PART_BYTES):
                yield Part(file, first, rows, offset)
                offset, rows, size = offset + size, 0, 0
            first = first if rows else number
            rows, size = rows + 1, size + len(line)
    if rows:
        yield Part(file, first, rows, offset)


def lines_of(stream: pa.NativeFile) -> Iterator[bytes]:
    """The lines with their line feeds. Raises FormatError for one that is too long for any document."""
    rest = b""
    while block := stream.read(2**20):
        *whole, rest = (rest + block).split(b"\n")
        yield from (line + b"\n" for line in whole)
        if len(rest) > 4 * LINE_CHARACTERS:
            raise FormatError(f"有一行超过 {4 * LINE_CHARACTERS // 2**20} MB，无法读取。请拆分后再试")
    if rest:
        yield rest


def parquet_file(file: InputFile) -> pq.ParquetFile:
    """The opened file. Raises FormatError when it is not Parquet."""
    stream = open_file(file.uri)
    try:
        return pq.ParquetFile(stream)
    except (OSError, pa.ArrowException) as error:
        stream.close()
        raise FormatError(f"“{file.name}”不是完好的 Parquet 文件（{error}）。请重新生成") from error


def _place(given: str) -> tuple[fs.FileSystem, str]:
    """The file system, and the path in it, percent signs and wildcards as they stand."""
    scheme, found, place = given.partition("://")
    if not found:
        return fs.LocalFileSystem(), str(Path(given).expanduser().absolute())
    if scheme == "file":
        if not place.startswith("/"):
            raise InputError(f"输入地址 {given} 无效：file:// 后应为完整路径，例如 file:///data/reports")
        return fs.LocalFileSystem(), place
    if scheme != S3:
        raise InputError(f"不支持的输入地址 {given}：可以写文件夹、文件、file:///路径 或 s3://桶/目录")
    bucket = place.partition("/")[0]
    if not bucket or any(sign in bucket for sign in "@?*[]"):
        raise InputError(f"输入地址 {given} 无效：s3:// 后应为桶的名称。凭据和端点请写在 AWS_* 环境变量里")
    return _bucket(bucket), place.rstrip("/")


@lru_cache(maxsize=8)
def _bucket(name: str) -> fs.FileSystem:
    """The file system of a bucket; finding its region asks the network. Raises FormatError when it cannot be found."""
    try:
        return fs.FileSystem.from_uri(f"{S3}://{name}")[0]
    except (OSError, ValueError, pa.ArrowException) as error:
        raise FormatError(f"无法打开 {S3}://{name}：{error}。{S3_HINT}") from error


def _divide(place: str) -> tuple[str, str]:
    """The folder before the first wildcard, and the pattern below it; no pattern: "" ."""
    if Path(place).exists() or not any(sign in place for sign in "*?["):
        return place, ""
    steps = place.split("/")
    first = next(number for number, step in enumerate(steps) if any(sign in step for sign in "*?["))
    return "/".join(steps[:first]) or "/", "/".join(steps[first:])


def _matches(name: str, pattern: str) -> bool:
    """Whether every step of the path matches; `**` stands for any number of them, `a|b` for one of two endings."""
    if "|" in pattern:
        head, _, last = pattern.rpartition(".")
        return any(_matches(name, f"{head}.{ending}") for ending in last.split("|"))
    if "**" in pattern:
        return fnmatch(name, pattern.replace("**/", "*").replace("**", "*"))
    return name.count("/") == pattern.count("/") and fnmatch(name, pattern)

"""Bytes of an upload -> text, without guessing where the bytes decide."""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TextIO

from charset_normalizer import from_bytes

from core.errors import FormatError
from core.readers.characters import plausibility
from core.readers.kinds import refuse_binary
from core.readers.source import Source
from core.readers.survey import Survey, survey

# Longest mark first: UTF-32's little-endian mark begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Windows' code page 950 first: it holds what people really save; the Hong Kong set is the wider one.
_BIG5 = ("cp950", "big5hkscs")
# Below this, neither Chinese reading is believable (see `plausibility`).
_BELIEVABLE = 0.4
# A few characters may look as good either way; GB18030 files are by far the more usual.
_BIG5_HANDICAP = 0.15
# A file is damaged UTF-8, rather than something else, when at most one character in this many is bad.
_DAMAGE = 50
# Fewer characters than this are no evidence of UTF-16 without a mark.
_UNMARKED_CHARACTERS = 12
PREVIEWED = ("utf-8", "gb18030", "big5", "utf-16-le", "utf-16-be")
_PREVIEW_BYTES = 16_384

Chunks = Callable[[], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Decoded:
    """The text of a file, its encoding, and in `note` what was changed or assumed ("" for nothing)."""

    text: str
    encoding: str
    note: str


@dataclass(frozen=True, slots=True)
class Found:
    """How to decode a file: the codec, what to do with bytes that do not fit, and a word to the user."""

    encoding: str
    errors: str
    note: str


@dataclass(frozen=True, slots=True)
class Preview:
    """The first lines of a file under one encoding; `fits` is False when some bytes do not belong to it."""

    encoding: str
    lines: tuple[str, ...]
    fits: bool


def decode(data: bytes, *, encoding: str | None = None) -> Decoded:
    """The text of `data`, line ends as "\\n": byte order mark, strict UTF-8, GB18030 or Big5, then a detector.

    `encoding` overrides the search. Raises FormatError for binary data, an unknown encoding name, bytes
    that do not fit the named encoding, and bytes that fit none.
    """
    found = find_encoding(lambda: [data], encoding=encoding)
    text = data.decode(_codec(found.encoding), errors=found.errors)
    return Decoded(text.replace("\r\n", "\n").replace("\r", "\n"), found.encoding, found.note)


def open_text(source: Source, found: Found) -> TextIO:
    """The file as text with "\\n" line ends."""
    return io.TextIOWrapper(source.open(), encoding=_codec(found.encoding), errors=found.errors)


def find_encoding(chunks: Chunks, *, encoding: str | None = None) -> Found:
    """How a file is to be decoded, from its bytes (read several times, in pieces) or as `encoding` says.

    Raises as `decode` does.
    """
    result, read = _as_told(chunks, encoding) if encoding else _search(chunks)
    if read.nul:
        raise FormatError("文件中含有空字符（NUL），不是纯文本。请另存为 UTF-8 文本后重新导入。")
    return Found(result.encoding, result.errors, "；".join(filter(None, (result.note, read.newlines))))


def preview(data: bytes, *, lines: int = 5, encodings: Iterable[str] = PREVIEWED) -> list[Preview]:
    """The first lines of a file's first bytes under several encodings, for the user to choose by eye."""
    shown = []
    head = data[:_PREVIEW_BYTES]
    for name in encodings:
        decoder = codecs.getincrementaldecoder(_codec(name))
        try:
            text, fits = decoder().decode(head), True
        except UnicodeDecodeError:
            text, fits = decoder("replace").decode(head), False
        shown.append(Preview(name, tuple(text.splitlines()[:lines]), fits))
    return shown


def _codec(encoding: str) -> str:
    # "utf-8" by name must not leave the mark in the text
    return "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding


def _as_told(chunks: Chunks, encoding: str) -> tuple[Found, Survey]:
    try:
        b"x".decode(encoding, errors="replace")  # refuses what is no text encoding
        return Found(encoding, "strict", ""), survey(chunks(), _codec(encoding))
    except UnicodeError as error:
        raise FormatError(f"文件无法按 {encoding} 解码（{error}）。请换一种编码，或选择自动识别。") from error
    except (LookupError, ValueError) as error:
        raise FormatError(f"不认识编码“{encoding}”。可用的例如 utf-8、gb18030、big5、utf-16。") from error


def _search(chunks: Chunks) -> tuple[Found, Survey]:
    head = next(iter(chunks()), b"")
    for mark, name in _MARKS:
        if head.startswith(mark):
            return _as_told(chunks, name)
    unmarked = _unmarked_utf16(chunks, head)
    if unmarked is not None:
        return unmarked
    refuse_binary(chunks())
    try:
        return Found("utf-8", "strict", ""), survey(chunks(), "utf-8")
    except UnicodeDecodeError as error:
        first_fault = error.start
    damaged = survey(chunks(), "utf-8", errors="replace")
    # three bytes a Chinese character
    if damaged.faults * _DAMAGE <= damaged.beyond_ascii_bytes // 3:
        note = f"有 {damaged.faults} 处字节不是有效的 UTF-8（首处在第 {first_fault + 1} 字节），已显示为 �"
        return Found("utf-8", "replace", note), damaged
    return _chinese(chunks) or _detected(chunks, head)


def _unmarked_utf16(chunks: Chunks, head: bytes) -> tuple[Found, Survey] | None:
    """UTF-16 without its mark, when the text has ASCII (so zero bytes) and reads as Chinese or plain ASCII."""
    if b"\x00" not in head:
        return None
    for name in ("utf-16-le", "utf-16-be"):
        try:
            read = survey(chunks(), name)
        except UnicodeDecodeError:
            continue
        controls = any(ord(c) < 0x20 and c not in "\t\n\r" for c in read.opening)
        enough = not read.nul and not controls and read.characters >= _UNMARKED_CHARACTERS
        if enough and plausibility(read.sample) >= _BELIEVABLE:
            return Found(name, "strict", f"没有字节顺序标记，按 {name} 读取，请核对内容"), read
    return None


def _chinese(chunks: Chunks) -> tuple[Found, Survey] | None:
    """The more plausible of GB18030 and Big5, or None. Most Big5 files are also valid GB18030, as nonsense."""
    readings = []
    for name in ("gb18030", *_BIG5):
        try:
            read = survey(chunks(), name)
        except UnicodeDecodeError:
            continue
        handicap = 0.0 if name == "gb18030" else _BIG5_HANDICAP
        readings.append((plausibility(read.sample) - handicap, name, read))
    readings.sort(key=lambda reading: reading[0], reverse=True)
    if not readings or readings[0][0] < _BELIEVABLE - _BIG5_HANDICAP:
        return None
    score, name, read = readings[0]
    rivals = [other for other in readings[1:] if other[2].sample != read.sample and score - other[0] < _BIG5_HANDICAP]
    note = f"按 {name} 读取；若内容是乱码，请改选 {rivals[0][1]}" if rivals else ""
    return Found(name, "strict", note), read


def _detected(chunks: Chunks, head: bytes) -> tuple[Found, Survey]:
    guess = from_bytes(head).best()
    try:
        if guess is not None:
            read = survey(chunks(), guess.encoding)
            return Found(guess.encoding, "strict", f"编码不明确，推测为 {guess.encoding}，请核对内容"), read
    except UnicodeDecodeError:
        pass  # the rest of the file does not fit what its head looked like
    raise FormatError("无法识别文件的编码。请另存为 UTF-8 文本，或在导入时指定编码。")

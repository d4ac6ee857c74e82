"""Bytes of an upload -> text, without guessing where the bytes decide."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from charset_normalizer import from_bytes

from core.errors import FormatError
from core.readers.characters import plausibility

# Longest mark first: UTF-32's little-endian mark begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MAGIC = (
    (b"PK\x03\x04", "Office 或压缩文件"),
    (b"\xd0\xcf\x11\xe0", "旧版 Office 文件"),
    (b"%PDF", "PDF 文件"),
    (b"\x1f\x8b", "gzip 压缩文件"),
    (b"SQLite format 3", "SQLite 数据库"),
    (b"\x89PNG", "图片"),
    (b"\xff\xd8\xff", "图片"),
)
# Windows' code page 950 first: it holds what people really save; the Hong Kong set is the wider one.
_BIG5 = ("cp950", "big5hkscs")
# Below this, neither Chinese reading is believable (see `plausibility`).
_BELIEVABLE = 0.4
# A few characters may look as good either way; GB18030 files are by far the more usual.
_BIG5_HANDICAP = 0.15
# A file is damaged UTF-8, rather than something else, when at most one character in this many is bad.
_DAMAGE = 50
_CONTROL = re.compile(rb"[\x01-\x08\x0e-\x19\x1c-\x1f]")
_CONTROL_SHARE = 0.01
_ASCII = bytes(range(0x80))


@dataclass(frozen=True, slots=True)
class Decoded:
    """The text of a file, its encoding, and in `note` what was changed or assumed ("" for nothing)."""

    text: str
    encoding: str
    note: str


def decode(data: bytes, *, encoding: str | None = None) -> Decoded:
    """The text of `data`, line ends as "\\n": byte order mark, strict UTF-8, GB18030 or Big5, then a detector.

    `encoding` overrides the search. Raises FormatError for binary data, an unknown encoding name, bytes
    that do not fit the named encoding, and bytes that fit none.
    """
    text, used, note = _decode_as(data, encoding) if encoding else _search(data)
    if "\x00" in text:
        raise FormatError("文件中含有空字符（NUL），不是纯文本。请另存为 UTF-8 文本后重新导入。")
    lines, changed = _normalise_newlines(text)
    notes = [part for part in (note, changed) if part]
    return Decoded(lines, used, "；".join(notes))


def _decode_as(data: bytes, encoding: str) -> tuple[str, str, str]:
    try:
        # "utf-8" by name must not leave the mark in the text
        name = "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding
        return data.decode(name), encoding, ""
    except LookupError as error:
        raise FormatError(f"不认识编码“{encoding}”。可用的例如 utf-8、gb18030、big5、utf-16。") from error
    except UnicodeError as error:
        raise FormatError(f"文件无法按 {encoding} 解码（{error}）。请换一种编码，或选择自动识别。") from error


def _search(data: bytes) -> tuple[str, str, str]:
    for mark, name in _MARKS:
        if data.startswith(mark):
            return _decode_as(data, name)
    _refuse_binary(data)
    try:
        return data.decode("utf-8"), "utf-8", ""
    except UnicodeDecodeError as error:
        first_fault = error.start
    damaged = _damaged_utf8(data, first_fault)
    if damaged is not None:
        return damaged
    chinese = _chinese(data)
    if chinese is not None:
        return chinese
    guess = from_bytes(data).best()
    if guess is None:
        raise FormatError("无法识别文件的编码。请另存为 UTF-8 文本，或在导入时指定编码。")
    return str(guess), guess.encoding, f"编码不明确，推测为 {guess.encoding}，请核对内容"


def _refuse_binary(data: bytes) -> None:
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            raise FormatError(f"这是{kind}，不是纯文本。请导出为 txt、csv 或 jsonl 后重新导入。")
    if b"\x00" in data or len(_CONTROL.findall(data)) > len(data) * _CONTROL_SHARE:
        raise FormatError("这是二进制文件或没有标记的 UTF-16 文本。请另存为 UTF-8 文本后重新导入。")


def _damaged_utf8(data: bytes, first_fault: int) -> tuple[str, str, str] | None:
    """UTF-8 with a few bad bytes (a cut-off end, a broken copy), or None when it is something else."""
    text = data.decode("utf-8", errors="replace")
    faults = text.count("\ufffd") - data.count("\ufffd".encode())
    # three bytes a Chinese character
    beyond_ascii = len(data.translate(None, delete=_ASCII)) // 3
    if faults * _DAMAGE > beyond_ascii:
        return None
    return text, "utf-8", f"有 {faults} 处字节不是有效的 UTF-8（首处在第 {first_fault + 1} 字节），已显示为 �"


def _chinese(data: bytes) -> tuple[str, str, str] | None:
    """The more plausible of GB18030 and Big5, or None. Most Big5 files are also valid GB18030, as nonsense."""
    readings = []
    for name in ("gb18030", *_BIG5):
        try:
            text = data.decode(name)
        except UnicodeDecodeError:
            continue
        handicap = 0.0 if name == "gb18030" else _BIG5_HANDICAP
        readings.append((plausibility(text) - handicap, name, text))
    readings.sort(key=lambda reading: reading[0], reverse=True)
    if not readings or readings[0][0] < _BELIEVABLE - _BIG5_HANDICAP:
        return None
    score, name, text = readings[0]
    rival = next((other for other in readings[1:] if other[2] != text and score - other[0] < _BIG5_HANDICAP), None)
    return text, name, f"按 {name} 读取；若内容是乱码，请改选 {rival[1]}" if rival else ""


def _normalise_newlines(text: str) -> tuple[str, str]:
    windows = text.count("\r\n")
    old_mac = text.count("\r") - windows
    if not windows and not old_mac:
        return text, ""
    found = "、".join(f"{name} {count} 处" for name, count in (("CRLF", windows), ("CR", old_mac)) if count)
    return text.replace("\r\n", "\n").replace("\r", "\n"), f"换行已统一为 LF（原有 {found}）"

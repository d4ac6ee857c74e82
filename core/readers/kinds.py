"""What a file is by its first bytes, whatever its name says."""

from __future__ import annotations

import re
from collections.abc import Iterable

from core.errors import FormatError

ZIP, OLE, PDF = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"%PDF-"
# A PDF may begin with some other bytes.
PDF_WITHIN = 1024
_EMPTY_ZIP = b"PK\x05\x06"
_MAGIC = (
    (ZIP, "Office 或压缩文件"),
    (_EMPTY_ZIP, "空的压缩文件"),
    (OLE[:4], "旧版 Office 文件"),
    (b"%PDF", "PDF 文件"),
    (b"\x1f\x8b", "gzip 压缩文件"),
    (b"7z\xbc\xaf\x27\x1c", "7z 压缩文件"),
    (b"Rar!", "RAR 压缩文件"),
    (b"SQLite format 3", "SQLite 数据库"),
    (b"\x89PNG", "图片"),
    (b"\xff\xd8\xff", "图片"),
    (b"GIF8", "图片"),
    (b"MZ", "Windows 程序"),
    (b"\x7fELF", "Linux 程序"),
    (b"{\\rtf", "RTF 文档"),
)
_TEXTUAL = ("Windows 程序", "RTF 文档")
_CONTROL = re.compile(rb"[\x01-\x08\x0e-\x19\x1c-\x1f]")
_CONTROL_SHARE = 0.01
_HTML = re.compile(rb"^(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|\?xml|table|meta)", re.IGNORECASE)


def kind_of(head: bytes) -> str:
    """What the first bytes say in words; empty when they say nothing."""
    found = next((kind for magic, kind in _MAGIC if head.startswith(magic)), "")
    return found or ("网页或 XML 文件" if _HTML.match(head) else "")


def is_zip(head: bytes) -> bool:
    """Whether a file begins as a zip archive, which docx and xlsx are too."""
    return head.startswith((ZIP, _EMPTY_ZIP))


def refuse_binary(chunks: Iterable[bytes]) -> None:
    """Raise FormatError when a file that should be text is none."""
    size = controls = 0
    for number, chunk in enumerate(chunks):
        kind = kind_of(chunk) if number == 0 else ""
        # "MZ" may begin a text; a program is found by its zero bytes
        if kind and not _HTML.match(chunk) and kind not in _TEXTUAL:
            raise FormatError(f"这是{kind}，不是纯文本。请导出为 txt、csv 或 jsonl 后重新导入。")
        if b"\x00" in chunk:
            controls = size = -1
            break
        size += len(chunk)
        controls += len(_CONTROL.findall(chunk))
    if controls < 0 or controls > size * _CONTROL_SHARE:
        raise FormatError("这是二进制文件或没有标记的 UTF-16 文本。请另存为 UTF-8 文本后重新导入。")

"""Plain text and Markdown -> documents: the whole file, one a line, or one a paragraph."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Literal

from core.readers.report import Parsed
from core.types import Document

Split = Literal["auto", "file", "line", "paragraph"]

# A file of short lines is a list of messages; longer lines are the paragraphs of one text.
MESSAGE_CHARACTERS = 300
_PARAGRAPH = re.compile(r"\n[^\S\n]*\n\s*")
_HOW = {"file": "整个文件作为一个文档", "line": "每个非空行作为一个文档", "paragraph": "每个段落作为一个文档"}


def parse_plain(text: str, name: str, *, split: Split = "auto", markdown: bool = False) -> Parsed:
    """Documents named `name`, with ids "<stem>" or "<stem>-<line or paragraph number>".

    "auto" takes each line of a list of short lines, and the whole file otherwise; Markdown is one text.
    """
    stem = PurePath(name).stem
    chosen = _choose(text, markdown) if split == "auto" else split
    notes = [_HOW[chosen] + ("（自动判断，可在导入选项中更改）" if split == "auto" else "")]
    if chosen == "file":
        documents = [Document(text, id=stem, name=name)]
    else:
        parts = text.split("\n") if chosen == "line" else _PARAGRAPH.split(text)
        documents = [
            Document(part.strip("\n"), id=f"{stem}-{number}", name=name)
            for number, part in enumerate(parts, start=1)
            if part.strip()
        ]
        blank = len(parts) - len(documents)
        if blank and chosen == "line":
            notes.append(f"跳过 {blank} 个空行")
    return Parsed(tuple(documents), (None,) * len(documents), notes=tuple(notes))


def _choose(text: str, markdown: bool) -> Split:
    lines = [line for line in text.split("\n") if line.strip()]
    if markdown or len(lines) < 2:
        return "file"
    mean = sum(len(line) for line in lines) / len(lines)
    return "line" if mean < MESSAGE_CHARACTERS else "file"

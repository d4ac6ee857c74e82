"""Raw text files -> token streams for pre-training."""

from __future__ import annotations

import gzip
import json
import lzma
from collections.abc import Iterator
from pathlib import Path

from core.errors import InputError

_OPENERS = {".xz": lzma.open, ".gz": gzip.open}


def read_paragraphs(path: Path) -> Iterator[str]:
    """The paragraphs of a corpus file, stripped; an empty string stands between two documents.

    `.txt` holds a paragraph a line and blank lines between documents, `.jsonl` one document a line in the field
    "text"; either may be packed as `.xz` or `.gz`. Raises InputError for a file that cannot be read.
    """
    opener = _OPENERS.get(path.suffix, open)
    is_json = ".jsonl" in path.suffixes
    try:
        with opener(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not is_json:
                    yield line.strip()
                    continue
                yield from (part.strip() for part in _json_text(line, path, number).split("\n"))
                yield ""
    except (OSError, EOFError, UnicodeDecodeError, lzma.LZMAError) as error:
        raise InputError(f"无法读取语料文件 {path}：{error}。请检查文件是否完整、是否为 UTF-8。") from error


def _json_text(line: str, path: Path, number: int) -> str:
    try:
        text = json.loads(line)["text"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"语料文件 {path} 第 {number} 行不是带 text 字段的 JSON：{error!r}。") from error
    if not isinstance(text, str):
        raise InputError(f"语料文件 {path} 第 {number} 行的 text 字段不是字符串。")
    return text

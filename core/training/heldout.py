"""Texts that no training may see: their normal form, its SHA-1 and the list of the held-out hashes."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import lru_cache
from pathlib import Path

from core.errors import InputError

_SPACE = re.compile(r"\s+")
_MARKER = re.compile(r"^(?:\[classify\]|\[multiclassify\]|#)")
_HASH = re.compile(r"[0-9a-f]{40}")


def normalise(text: str) -> str:
    """NFKC, lower case, no white space, and no leading `[CLASSIFY]`, `[MULTICLASSIFY]` or `#`."""
    return _MARKER.sub("", _SPACE.sub("", unicodedata.normalize("NFKC", text)).lower(), count=1)


def normalised_sha1(text: str) -> str:
    """The SHA-1 (40 hex digits) of the text's normal form.

    For a pair pass first + second text, for reading comprehension the context alone.
    """
    return hashlib.sha1(normalise(text).encode("utf-8", "surrogatepass")).hexdigest()


@lru_cache(maxsize=4)
def load_heldout(path: Path) -> frozenset[str]:
    """The hashes listed in a file, one a line; raises InputError for a missing file or a line that is no SHA-1."""
    try:
        lines = path.read_text("ascii").split()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"无法读取留出集哈希文件 {path}：{error}。请检查路径，或重新取得该文件。") from error
    for number, line in enumerate(lines, 1):
        if not _HASH.fullmatch(line):
            raise InputError(f"留出集哈希文件 {path} 第 {number} 项“{line[:60]}”不是 SHA-1（40 位小写十六进制）。")
    return frozenset(lines)

"""One pass over a file in one encoding: does it fit, and what does the text hold."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from dataclasses import dataclass

_ASCII = bytes(range(0x80))
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")
_REPLACEMENT = "\ufffd"
SAMPLE_CHARACTERS = 20_000


@dataclass(slots=True)
class Survey:
    """Counts over the whole text; `sample` are its first characters beyond ASCII, `opening` its first ones."""

    characters: int = 0
    beyond_ascii_bytes: int = 0
    faults: int = 0
    windows_newlines: int = 0
    old_mac_newlines: int = 0
    nul: bool = False
    sample: str = ""
    opening: str = ""

    @property
    def newlines(self) -> str:
        """What reading with line feeds alone changes, in words; empty for nothing."""
        counts = (("CRLF", self.windows_newlines), ("CR", self.old_mac_newlines))
        found = "、".join(f"{name} {count} 处" for name, count in counts if count)
        return f"换行已统一为 LF（原有 {found}）" if found else ""


def survey(chunks: Iterable[bytes], codec: str, *, errors: str = "strict") -> Survey:
    """Decode the whole file piece by piece. Raises UnicodeDecodeError; its `start` counts from the file's begin."""
    result = Survey()
    decoder = codecs.getincrementaldecoder(codec)(errors)
    consumed = genuine = 0
    held = ""
    for data in chunks:
        waiting = len(decoder.getstate()[0])
        try:
            text = held + decoder.decode(data)
        except UnicodeDecodeError as error:
            error.start += consumed - waiting
            raise
        consumed += len(data)
        genuine += data.count(_REPLACEMENT.encode())
        result.beyond_ascii_bytes += len(data.translate(None, delete=_ASCII))
        # the line feed of a final CR may begin the next piece
        held = "\r" if text.endswith("\r") else ""
        _count(result, text[: len(text) - len(held)])
    waiting = len(decoder.getstate()[0])
    try:
        _count(result, held + decoder.decode(b"", True))
    except UnicodeDecodeError as error:
        error.start += consumed - waiting
        raise
    result.faults -= genuine
    return result


def _count(result: Survey, text: str) -> None:
    result.characters += len(text)
    windows = text.count("\r\n")
    result.windows_newlines += windows
    result.old_mac_newlines += text.count("\r") - windows
    result.nul = result.nul or "\x00" in text
    result.faults += text.count(_REPLACEMENT)
    if len(result.sample) < SAMPLE_CHARACTERS:
        found = "".join(match.group() for match in _BEYOND_ASCII.finditer(text))
        result.sample += found[: SAMPLE_CHARACTERS - len(result.sample)]
    if len(result.opening) < SAMPLE_CHARACTERS:
        result.opening += text[: SAMPLE_CHARACTERS - len(result.opening)]

"""A Word document -> its paragraphs in order, with tables, text boxes, footnotes and endnotes."""

from __future__ import annotations

import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.parsers import expat

from core.errors import FormatError

PART_BYTES = 64 * 2**20
_NOTES = {"footnotes.xml": "脚注", "endnotes.xml": "尾注"}
_BREAKS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
# Fallback repeats what Choice says; the readings above characters (ruby) are no part of the text.
_SKIPPED = frozenset({"Fallback", "rt", "delText", "instrText", "moveFrom"})
_CHUNK = 2**16


def extract(path: Path) -> Iterator[list[Any]]:
    """["text", paragraph number, text] for each paragraph (a table row is one, its cells parted by tabs).

    Raises FormatError for a file that is damaged, no Word document, or declares entities.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            main = _main_part(archive, names)
            if any(name.endswith("vbaProject.bin") for name in names):
                yield ["note", "文件带有宏：没有运行，只读取了文字"]
            number = 0
            for number, text in enumerate(_paragraphs(archive, main), start=1):
                yield ["text", number, text]
            folder = posixpath.dirname(main)
            for part, kind in _NOTES.items():
                if posixpath.join(folder, part) not in names:
                    continue
                notes = [text for text in _paragraphs(archive, posixpath.join(folder, part)) if text.strip()]
                if notes:
                    yield ["note", f"{kind} {len(notes)} 段放在正文之后"]
                for text in notes:
                    number += 1
                    yield ["text", number, text]
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise FormatError(f"不是完好的 Word 文档（{error}）。请用 Word 打开，另存一份后重新导入。") from error
    except (expat.ExpatError, ValueError, LookupError) as error:  # the last: an encoding that does not exist
        raise FormatError(f"文档内部的 XML 已损坏（{error}）。请用 Word 打开，另存一份后重新导入。") from error


def _main_part(archive: zipfile.ZipFile, names: set[str]) -> str:
    """The part that holds the text, as the package's relations say."""
    targets: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if _local(name) == "Relationship" and attributes.get("Type", "").endswith("/officeDocument"):
            targets.append(attributes.get("Target", "").lstrip("/"))

    if "_rels/.rels" in names:
        _parse(archive, "_rels/.rels", start=start)
    found = next((target for target in (*targets, "word/document.xml") if target in names), None)
    if found is None or not found.startswith("word/"):
        raise FormatError("这不是 Word 文档（压缩包里没有 word/document.xml）。请检查扩展名。")
    return found


def _paragraphs(archive: zipfile.ZipFile, part: str) -> Iterator[str]:
    walker = _Walker()
    for _ in _pieces(archive, part, start=walker.start, end=walker.end, text=walker.text):
        yield from walker.done
        walker.done.clear()
    yield from walker.done


class _Walker:
    """Collects paragraphs while the XML is read; a paragraph in a cell goes into its row, wherever it is nested."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self._open: list[list[str]] = []  # paragraphs being read, a text box's inside its own
        self._rows: list[list[list[str]]] = []  # rows being read: cells, each a list of paragraphs
        self._writing = False
        self._skipped = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        del attributes
        local = _local(name)
        if self._skipped or local in _SKIPPED:
            self._skipped += 1
        elif local == "p":
            self._open.append([])
        elif local == "tr":
            self._rows.append([])
        elif local == "tc" and self._rows:
            self._rows[-1].append([])
        elif local == "t":
            self._writing = True
        elif local in _BREAKS and self._open:
            self._open[-1].append(_BREAKS[local])

    def text(self, data: str) -> None:
        if self._writing and not self._skipped and self._open:
            self._open[-1].append(data)

    def end(self, name: str) -> None:
        local = _local(name)
        if self._skipped:
            self._skipped -= 1
        elif local == "t":
            self._writing = False
        elif local == "p" and self._open:
            self._keep("".join(self._open.pop()))
        elif local == "tr" and self._rows:
            cells = self._rows.pop()
            row = "\t".join(" ".join(part for part in cell if part) for cell in cells)
            self._keep(row)

    def _keep(self, text: str) -> None:
        if self._rows and self._rows[-1]:
            self._rows[-1][-1].append(text)
        else:
            self.done.append(text)


def _local(name: str) -> str:
    return name.rpartition(" ")[2]


def _parse(archive: zipfile.ZipFile, part: str, *, start: Any) -> None:
    for _ in _pieces(archive, part, start=start):
        pass


def _pieces(archive: zipfile.ZipFile, part: str, *, start: Any, end: Any = None, text: Any = None) -> Iterator[None]:
    """Parse a part, pausing after every piece so that the caller can take what was found."""
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = _refuse_doctype
    size = 0
    with archive.open(part) as file:
        while data := file.read(_CHUNK):
            size += len(data)
            if size > PART_BYTES:
                raise FormatError(f"文档内容展开后超过 {PART_BYTES // 2**20} MB，可能是压缩炸弹，没有读取。")
            parser.Parse(data, False)
            yield
        parser.Parse(b"", True)
        yield


def _refuse_doctype(*declared: Any) -> None:
    raise FormatError("文档声明了 DTD 实体，可能用于攻击，没有读取。请用 Word 打开，另存一份后重新导入。")

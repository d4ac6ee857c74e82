"""Plain text and Markdown -> documents: the whole file, one a line, or one a paragraph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from core.readers.encoding import find_encoding, open_text
from core.readers.options import LINE, PARAGRAPH, ReadOptions, Split
from core.readers.report import Account, Item
from core.readers.source import Source
from core.types import Document

# A file of short lines is a list of messages; longer lines are the paragraphs of one text.
MESSAGE_CHARACTERS = 300
_HOW = {"file": "整个文件作为一个文档", "line": "每个非空行作为一个文档", "paragraph": "每个段落作为一个文档"}


def read_plain(source: Source, options: ReadOptions, *, account: Account) -> Iterator[Item]:
    """Documents with ids "<stem>" or "<stem>-<line or paragraph number>".

    "auto" takes each line of a list of short lines, and the whole file otherwise; Markdown is one text.
    """
    found = find_encoding(source.chunks, encoding=options.encoding)
    account.encoding = found.encoding
    if found.note:
        account.notes.append(found.note)
    split = options.split
    if split == "auto":
        with open_text(source, found) as lines:
            split = _choose(lines, markdown=source.extension == "md")
    if split not in _HOW:
        account.notes.append(f"纯文本没有“{options.split}”这种拆分，已按整个文件读取")
        split = "file"
    account.notes.append(_HOW[split] + ("（自动判断，可在导入选项中更改）" if options.split == "auto" else ""))
    with open_text(source, found) as lines:
        if split == "file":
            text = lines.read()
            if text.strip():
                yield Document(text, id=source.stem, name=source.name), None
        elif split == "line":
            yield from _lines(lines, source, account=account)
        else:
            for number, text in enumerate(paragraphs(lines), start=1):
                yield (
                    Document(text, id=f"{source.stem}-{number}", name=source.name, metadata={PARAGRAPH: str(number)}),
                    None,
                )


def paragraphs(lines: Iterable[str]) -> Iterator[str]:
    """Runs of lines between blank ones, joined, without the blank ends."""
    run: list[str] = []
    for line in lines:
        if line.strip():
            run.append(line)
        elif run:
            yield "".join(run).rstrip("\n")
            run = []
    if run:
        yield "".join(run).rstrip("\n")


def _lines(lines: Iterable[str], source: Source, *, account: Account) -> Iterator[Item]:
    blank = 0
    for number, line in enumerate(lines, start=1):
        text = line.rstrip("\n")
        if text.strip():
            yield (
                Document(text, id=f"{source.stem}-{number}", name=source.name, metadata={LINE: str(number)}),
                None,
            )
        else:
            blank += 1
    if blank:
        account.notes.append(f"跳过 {blank} 个空行")


def _choose(lines: Iterable[str], *, markdown: bool) -> Split:
    lengths = [len(line.rstrip("\n")) for line in lines if line.strip()]
    if markdown or len(lengths) < 2:
        return "file"
    return "line" if sum(lengths) / len(lengths) < MESSAGE_CHARACTERS else "file"

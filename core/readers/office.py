"""docx, pdf, xlsx and xls -> documents with the page, paragraph, sheet and row that they stand on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from typing import Any

from core.errors import FormatError
from core.readers.kinds import OLE, PDF, PDF_WITHIN, is_zip, kind_of
from core.readers.options import PAGE, PAGE_STARTS, PARAGRAPH, ROW, SHEET, ReadOptions
from core.readers.plain import paragraphs
from core.readers.report import LISTED, Account, Item
from core.readers.rows import Row, read_rows
from core.readers.sandbox import extract
from core.readers.source import Source
from core.types import Document

_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_FILE = "整个文件作为一个文档"


def read_docx(source: Source, options: ReadOptions, *, account: Account) -> Iterator[Item]:
    """The whole text, paragraph n being its n-th when none is blank, or one document a paragraph."""
    _expect_zip(source, "Word 文档", "docx")
    found = _texts(source, "docx", account)
    if options.split in ("line", "paragraph"):
        account.notes.append("每个段落作为一个文档")
        for number, text in found:
            if text.strip():
                metadata = {PARAGRAPH: str(number)}
                yield Document(text, id=f"{source.stem}-{number}", name=source.name, metadata=metadata), None
        return
    account.notes.append(_FILE)
    text = "\n".join(text for _, text in found)
    if text.strip():
        yield Document(text, id=source.stem, name=source.name), None


def read_pdf(source: Source, options: ReadOptions, *, account: Account) -> Iterator[Item]:
    """The whole text with the offsets at which its pages begin, or one document a page, paragraph or line."""
    head = source.head(PDF_WITHIN)
    if PDF not in head:
        raise FormatError(_mismatch(source, "PDF"))
    seen: dict[int, bool] = {}
    pages = _with_text(_texts(source, "pdf", account), seen)
    if options.split in ("page", "line", "paragraph"):
        account.notes.append({"page": "每页", "line": "每行", "paragraph": "每个段落"}[options.split] + "作为一个文档")
        yield from _parts(source, options.split, pages)
    else:
        account.notes.append(_FILE)
        yield from _whole(source, list(pages))
    blank = [number for number, filled in seen.items() if not filled]
    if blank:
        listed = "、".join(map(str, blank[:LISTED])) + (" 等" if len(blank) > LISTED else "")
        share = f"全文 {max(seen)} 页中的 {len(blank)} 页"
        account.problems.append(
            f"第 {listed} 页没有文字（{share}，可能是扫描图片），没有导入；需要先做文字识别（OCR）。"
        )


def _with_text(pages: Iterator[tuple[int, str]], seen: dict[int, bool]) -> Iterator[tuple[int, str]]:
    """The pages that have text; `seen` notes for every page whether it has."""
    for number, text in pages:
        seen[number] = bool(text.strip())
        if seen[number]:
            yield number, text


def _parts(source: Source, split: str, pages: Iterator[tuple[int, str]]) -> Iterator[Item]:
    for page, text in pages:
        lines = text.split("\n")
        parts = {"page": [text], "line": lines}.get(split) or list(paragraphs(line + "\n" for line in lines))
        for number, part in enumerate(parts, start=1):
            if not part.strip():
                continue
            if split == "page":
                yield Document(part, id=f"{source.stem}-{page}", name=source.name, metadata={PAGE: str(page)}), None
            else:
                metadata = {PAGE: str(page), PARAGRAPH: str(number)}
                yield Document(part, id=f"{source.stem}-{page}-{number}", name=source.name, metadata=metadata), None


def _whole(source: Source, pages: list[tuple[int, str]]) -> Iterator[Item]:
    if not pages:
        return
    by_number = dict(pages)
    starts, parts, length = [], [], 0
    first, last = pages[0][0], pages[-1][0]
    for number in range(first, last + 1):
        starts.append(length)
        part = by_number.get(number, "").rstrip("\n") + "\n"
        parts.append(part)
        length += len(part)
    metadata = {PAGE: f"{first}-{last}", PAGE_STARTS: " ".join(map(str, starts))}
    yield Document("".join(parts), id=source.stem, name=source.name, metadata=metadata), None


def read_workbook(source: Source, options: ReadOptions, *, account: Account) -> Iterator[Item]:
    """One document a row of every sheet; a sheet without a text column is reported, the others are read."""
    head = source.head(8)
    if head == OLE:
        _refuse_encrypted(source)
    elif not is_zip(head):
        raise FormatError(_mismatch(source, "Excel 工作簿"))
    if options.split not in ("auto", "row", "line"):
        account.notes.append("表格总是每行一个文档")
    messages = _noting(extract(source, "workbook"), account)
    failed: list[str] = []
    sheets = 0
    for sheet, rows in groupby(messages, key=lambda message: message[1]):
        sheets += 1
        own = Account()
        try:
            for number, (document, schema) in read_rows(
                (Row(row, cells) for _, _, row, cells in rows),
                options,
                title=sheet,
                name=source.name,
                stem=f"{source.stem}-{sheet}",
                account=own,
            ):
                metadata = {**document.metadata, SHEET: sheet, ROW: str(number)}
                yield replace(document, metadata=metadata), schema
        except FormatError as error:
            for _ in rows:
                pass  # the child goes on with the next sheet
            failed.append(f"工作表“{sheet}”：{error}")
        account.columns = tuple(dict.fromkeys((*account.columns, *own.columns)))
        account.notes += [f"工作表“{sheet}”：{note}" for note in own.notes]
        account.problems += [f"工作表“{sheet}”：{problem}" for problem in own.problems]
    if failed and len(failed) == sheets:
        raise FormatError(" ".join(failed))
    account.problems += failed


def _texts(source: Source, kind: str, account: Account) -> Iterator[tuple[int, str]]:
    for _, number, text in _noting(extract(source, kind), account):
        yield number, text


def _noting(messages: Iterator[list[Any]], account: Account) -> Iterator[list[Any]]:
    for message in messages:
        if message[0] == "note":
            account.notes.append(message[1])
        else:
            yield message


def _expect_zip(source: Source, what: str, extension: str) -> None:
    head = source.head(PDF_WITHIN)
    if head.startswith(OLE):
        _refuse_encrypted(source)
        raise FormatError(f"这是旧版 Office 文件，不是 {extension}。请用 Word 打开，另存为 {extension} 后重新导入。")
    if not is_zip(head):
        raise FormatError(_mismatch(source, what))


def _refuse_encrypted(source: Source) -> None:
    before = b""
    for chunk in source.chunks():
        if _ENCRYPTED in before + chunk:
            raise FormatError("文件已加密（有打开密码）。请去掉密码后重新导入。")
        before = chunk[-len(_ENCRYPTED) :]


def _mismatch(source: Source, what: str) -> str:
    kind = kind_of(source.head(PDF_WITHIN)) or "别的内容"
    return (
        f"扩展名是 {source.extension or '空的'}，内容却不是{what}（像是{kind}）。"
        "请改正扩展名或格式，或用原程序另存一份后重新导入。"
    )

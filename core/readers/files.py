"""The one entry to reading: a file's name and bytes -> documents and an account of how they were read."""

from __future__ import annotations

from pathlib import PurePosixPath

from core.errors import FormatError
from core.readers.encoding import decode
from core.readers.jsonl import parse_json
from core.readers.plain import Split, parse_plain
from core.readers.report import Parsed, ReadReport
from core.readers.tables import parse_table

EXTENSIONS = ("txt", "md", "csv", "tsv", "json", "jsonl")
LIMIT_BYTES = 200 * 1024**2


def read(
    name: str,
    data: bytes,
    *,
    split: Split = "auto",
    text_column: str | None = None,
    encoding: str | None = None,
) -> ReadReport:
    """The documents of an uploaded file, chosen by its extension (txt, md, csv, tsv, json, jsonl).

    `split` is for plain text, `text_column` for tables; `encoding` None is found from the bytes.
    Raises FormatError, in words for the user, when nothing can be read.
    """
    # A browser may send a path; only the last part is the file's name, on either system.
    name = PurePosixPath(name.replace("\\", "/")).name
    extension = PurePosixPath(name).suffix.lower().lstrip(".")
    if extension not in EXTENSIONS:
        supported = "、".join(EXTENSIONS)
        raise FormatError(f"不支持“{name}”的格式。请转换为以下格式之一后重新导入：{supported}。")
    if len(data) > LIMIT_BYTES:
        size, limit = len(data) / 1024**2, LIMIT_BYTES // 1024**2
        raise FormatError(f"“{name}”有 {size:.0f} MB，超过上限 {limit} MB。请拆分成几个文件后分别导入。")
    if not data:
        raise FormatError(f"“{name}”是空文件。请检查后重新导入。")
    try:
        decoded = decode(data, encoding=encoding)
        if not decoded.text.strip():
            raise FormatError("文件中只有空白。请检查后重新导入。")
        parsed = _parse(extension, decoded.text, name, split=split, text_column=text_column)
    except FormatError as error:
        raise FormatError(str(error) if name in str(error) else f"“{name}”：{error}") from error
    if not parsed.documents:
        raise FormatError(f"“{name}”中没有可用的文档。" + " ".join(parsed.problems))
    notes = (*((decoded.note,) if decoded.note else ()), *parsed.notes)
    return ReadReport(
        parsed.documents,
        parsed.schemas,
        decoded.encoding,
        problems=parsed.problems,
        notes=notes,
        columns=parsed.columns,
    )


def _parse(extension: str, text: str, name: str, *, split: Split, text_column: str | None) -> Parsed:
    if extension in ("csv", "tsv"):
        return parse_table(text, name, tabs=extension == "tsv", text_column=text_column)
    if extension in ("json", "jsonl"):
        return parse_json(text, name)
    return parse_plain(text, name, split=split, markdown=extension == "md")

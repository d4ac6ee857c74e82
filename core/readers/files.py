"""The one entry to reading: a file -> documents and an account of how they were read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from core.errors import FormatError
from core.readers.jsonl import read_json
from core.readers.office import read_docx, read_pdf, read_workbook
from core.readers.options import ReadOptions, Split
from core.readers.plain import read_plain
from core.readers.report import Account, Item, ReadReport
from core.readers.source import Source, from_bytes
from core.readers.tables import read_table

LIMIT_BYTES = 200 * 1024**2

Reader = Callable[..., Iterator[Item]]


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A kind of file: its extensions, its reader, what becomes a document, and the anchors kept in its metadata."""

    extensions: tuple[str, ...]
    reader: Reader
    documents: str
    anchors: str = ""


FORMATS = (
    FileFormat(("txt", "md"), read_plain, "整个文件、每行或每段", "行号、段落号"),
    FileFormat(("csv", "tsv"), read_table, "每行（可选正文、编号、元数据列）"),
    FileFormat(("xlsx", "xls", "xlsm"), read_workbook, "每个工作表的每行", "工作表、行号"),
    FileFormat(("json", "jsonl"), read_json, "每个对象或字符串"),
    FileFormat(("docx", "docm"), read_docx, "整个文件或每段", "段落号"),
    FileFormat(("pdf",), read_pdf, "整个文件、每页、每段或每行", "页码"),
)
_READERS = {extension: one.reader for one in FORMATS for extension in one.extensions}
ARCHIVES = ("zip",)
EXTENSIONS = tuple(_READERS)
_ADVICE = {
    "doc": "请用 Word 打开，另存为 docx 后重新导入。",
    "xlsb": "请用 Excel 打开，另存为 xlsx 后重新导入。",
    "rar": "请解压后导入，或改用 zip 压缩。",
    "7z": "请解压后导入，或改用 zip 压缩。",
    "gz": "请解压后导入，或改用 zip 压缩。",
}


def read_documents(
    source: Source, options: ReadOptions, *, account: Account, kind: str | None = None
) -> Iterator[Item]:
    """The documents of one file, one by one; what there is to say goes into `account`.

    `kind` is the extension whose reader is to be used, whatever the name says; None: the file's own.

    Raises FormatError, in words for the user and with the file's name, when nothing can be read; also, while
    documents are being taken, where a damaged file ends.
    """
    name = source.name
    reader = _READERS.get(source.extension if kind is None else kind)
    if reader is None:
        supported = "、".join((*EXTENSIONS, *ARCHIVES))
        advice = _ADVICE.get(source.extension, f"请转换为以下格式之一后重新导入：{supported}。")
        raise FormatError(f"不支持“{name}”的格式。{advice}")
    if source.size_bytes > LIMIT_BYTES:
        size, limit = source.size_bytes / 1024**2, LIMIT_BYTES // 1024**2
        raise FormatError(f"“{name}”有 {size:.0f} MB，超过上限 {limit} MB。请拆分成几个文件后分别导入。")
    if not source.size_bytes:
        raise FormatError(f"“{name}”是空文件。请检查后重新导入。")
    count = 0
    try:
        if all(not chunk.strip() for chunk in source.chunks()):
            raise FormatError("文件中只有空白。请检查后重新导入。")
        for item in reader(source, options, account=account):
            count += 1
            yield item
    except FormatError as error:
        raise FormatError(str(error) if name in str(error) else f"“{name}”：{error}") from error
    except OSError as error:
        raise FormatError(f"“{name}”无法读取：{error}。请检查文件和磁盘空间后重新导入。") from error
    if not count:
        problems, account.problems = account.problems, []
        raise FormatError(f"“{name}”中没有可用的内容。" + " ".join(problems))


def read(
    name: str,
    data: bytes,
    *,
    split: Split = "auto",
    text_column: str | None = None,
    encoding: str | None = None,
    id_column: str | None = None,
    metadata_columns: tuple[str, ...] | None = None,
    pair_column: str | None = None,
) -> ReadReport:
    """All documents of a file in memory at once, chosen by its extension; see `EXTENSIONS`.

    `split` is for texts, docx and pdf, the columns for tables; `encoding` None is found from the bytes.
    Raises FormatError, in words for the user, when nothing can be read.
    """
    options = ReadOptions(encoding, split, text_column, id_column, metadata_columns, pair_column)
    account = Account()
    items = list(read_documents(from_bytes(name, data), options, account=account))
    return ReadReport(
        tuple(document for document, _ in items),
        tuple(schema for _, schema in items),
        account.encoding,
        problems=tuple(account.problems),
        notes=tuple(account.notes),
        columns=account.columns,
    )


def formats_table() -> str:
    """The files that can be imported, as a Markdown table for the documents."""
    rows = ["| 文件 | 一个文档是 | 元数据中记下 |", "|---|---|---|"]
    for one in FORMATS:
        rows.append(f"| {'、'.join(one.extensions)} | {one.documents} | {one.anchors or '—'} |")
    archives = "、".join(ARCHIVES)
    return "\n".join([*rows, f"| {archives} | 其中每个文件按自己的格式读取，最多套 3 层 | 文件名前有压缩包的名字 |"])

"""The one entry to reading findings again: a file and the name of its format -> annotated documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from core.errors import FormatError
from core.exporters.csv_back import is_own_table, read_own_table
from core.exporters.table import READ_AS, TABLES, readable
from core.exporters.xlsx_back import is_own_workbook, read_own_workbook
from core.readers import Account, ReadOptions, from_path, read_annotated, read_documents
from core.types import AnnotatedDocument

Say = Callable[[str], object]


def read_back(source: Path, format: str, *, say: Say) -> Iterable[AnnotatedDocument]:
    """The annotated documents of a file, whatever its name; what was repaired or could not be used is said.

    A table of another program has texts only. Raises FormatError for a format that cannot be read, and as its
    reader does.
    """
    from core.readers.parquet import read_parquet  # slow to import, needed only here

    if not source.exists():
        raise FormatError(f"没有找到 {source}。请检查路径。")
    if format not in (*readable(), *READ_AS):
        raise FormatError(f"不能读取格式“{format}”的标注。可读的格式：{'、'.join(readable())}。")
    if format in (*TABLES, "parquet") and source.is_dir():
        raise FormatError(f"{source} 是文件夹，{format} 是一个文件。请给出文件。")
    if format == "parquet":
        return read_parquet(source)
    if format == "csv" and is_own_table(source):
        return read_own_table(source)
    if format == "xlsx" and is_own_workbook(source):
        return read_own_workbook(source)
    if format in TABLES:
        return _texts(source, format, say)
    documents, report = read_annotated(source, READ_AS.get(format, format))
    for line in (*report.repaired, *report.problems, *report.notes):
        say(line)
    return documents


def _texts(source: Path, format: str, say: Say) -> Iterator[AnnotatedDocument]:
    """The rows of a table as documents without findings."""
    account = Account()
    kind = "tsv" if source.suffix.lower() == ".tsv" else format
    for document, _ in read_documents(from_path(source), ReadOptions(), account=account, kind=kind):
        yield AnnotatedDocument(document, "ner", ())
    for line in (*account.problems, *account.notes, "这是普通表格：只有正文，没有标注"):
        say(line)

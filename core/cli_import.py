"""The command `import`: files of any kind → stored documents, with a report for each file."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from core import readers
from core.config import Settings
from core.errors import FormatError, RexError
from core.imports import import_annotated
from core.readers import FileReport
from core.storage.database import migrate, open_database
from core.storage.queries import count_documents
from core.storage.search_index import catch_up
from core.storage.store import Store

SplitName = StrEnum("SplitName", {name: name for name in readers.SPLITS})  # type: ignore[misc]
AUTO = SplitName("auto")


class Duplicates(StrEnum):
    """What happens to a text that came before in the same import."""

    keep = "keep"
    drop = "drop"


def import_files(
    files: Annotated[list[Path], typer.Argument(help=f"文件：{' '.join((*readers.EXTENSIONS, *readers.ARCHIVES))}")],
    encoding: Annotated[str | None, typer.Option(help="编码，如 utf-8、gb18030、big5；缺省自动识别")] = None,
    format: Annotated[
        str | None, typer.Option(help=f"带标注的文件的格式：{' '.join(readers.ANNOTATED_FORMATS)}；标注存为一次运行")
    ] = None,
    offsets: Annotated[str, typer.Option(help="带标注的文件中位置的单位：auto codepoint utf16 utf8")] = "auto",
    split: Annotated[SplitName, typer.Option(help="拆分：缺省按文件类型")] = AUTO,
    text_column: Annotated[str | None, typer.Option(help="表格的正文列")] = None,
    id_column: Annotated[str | None, typer.Option(help="表格的编号列")] = None,
    metadata_column: Annotated[list[str] | None, typer.Option(help="保留的元数据列，可重复；缺省全部")] = None,
    duplicates: Annotated[
        Duplicates, typer.Option(help="正文相同的文档：keep 保留，drop 只留第一份")
    ] = Duplicates.keep,
) -> None:
    """Store the documents of files; every file is reported, a bad one does not stop the others (status 1)."""
    if format is not None and format not in readers.ANNOTATED_FORMATS:
        raise FormatError(f"不认识标注格式“{format}”。可选：{'、'.join(readers.ANNOTATED_FORMATS)}。")
    options = readers.ReadOptions(
        encoding,
        split.value,  # type: ignore[arg-type]
        text_column,
        id_column,
        None if metadata_column is None else tuple(metadata_column),
    )
    database = open_database(Settings().resolved_database_url)
    try:
        migrate(database)
        store = Store(database)
        before = count_documents(database)
        if format is not None:
            failed = [_annotated(store, path, format, encoding=encoding, offsets=offsets) for path in files]
        else:
            importer = readers.Importer(store.add_documents, options, duplicates=duplicates.value)
            reports = []
            for report in importer.paths(files):
                _tell(report)
                reports.append(report)
            failed = [bool(report.error) for report in reports]
            _total(reports, new=count_documents(database) - before, stored=count_documents(database))
        catch_up(database)
    finally:
        database.dispose()
    if any(failed):
        raise typer.Exit(1)


def _tell(report: FileReport) -> None:
    counted = f"{report.documents} 个文档"
    counted += f"，{report.duplicates} 个正文重复" if report.duplicates else ""
    counted += f"，编码 {report.encoding}" if report.encoding else ""
    typer.echo(f"{report.name}\t{counted}" if not report.error else f"{report.name}\t未导入\t{report.error}")
    for line in (*report.problems, *report.notes):
        typer.echo(f"  {line}")


def _total(reports: Sequence[FileReport], *, new: int, stored: int) -> None:
    documents, repeated = sum(one.documents for one in reports), sum(one.duplicates for one in reports)
    failed = sum(bool(one.error) for one in reports)
    typer.echo(f"合计\t{documents} 个文档，{repeated} 个正文重复，{failed} 个文件有错误")
    typer.echo(f"文档库\t新增 {new} 个（其余与库中的完全相同，不重复保存），现有 {stored} 个", err=True)


def _annotated(store: Store, path: Path, format: str, *, encoding: str | None, offsets: str) -> bool:
    """Import one annotated file as documents and runs; whether that failed."""
    try:
        report, runs = import_annotated(store, path, format, encoding=encoding, offsets=offsets)
    except RexError as error:
        typer.echo(f"{path.name}\t未导入\t{error}")
        return True
    numbers = "、".join(map(str, runs))
    typer.echo(f"{path.name}\t{report.documents} 个文档，{report.annotations} 个标注，运行记录 {numbers}")
    for line in (*report.repaired, *report.problems, *report.notes):
        typer.echo(f"  {line}")
    return False

"""The commands that move data in and out: import, export, convert."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli_import import import_files
from core.config import Settings
from core.errors import FormatError, InputError
from core.exporters import FORMATS, Loss, export_run, find_format, write_file
from core.exporters.csv_back import is_own_table, read_own_table
from core.exporters.table import READ_AS, TEXTS_ONLY, readable
from core.readers import Account, ReadOptions, from_path, read_annotated, read_documents
from core.storage.database import migrate, open_database
from core.types import AnnotatedDocument

FormatName = Annotated[str, typer.Option("--format", help=f"格式：{' '.join(FORMATS)}")]


def export(
    job: Annotated[int, typer.Option("--job", help="作业的编号（网页“作业”中的编号）")],
    format: FormatName,
    output: Annotated[Path, typer.Option("--output", help="写到这个文件")],
    which: Annotated[
        str, typer.Option("--which", help="current：有修正的用修正；reviewed：只要复核完的；machine：机器原结果")
    ] = "current",
) -> None:
    """Write a stored run to a file, with its corrections; what the format cannot hold is told on standard error."""
    database = open_database(Settings().resolved_database_url)
    try:
        migrate(database)
        tell(export_run(database, job, format, path=output, which=which), output)
    finally:
        database.dispose()


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="已标注的文件")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="写到这个文件")],
    from_: Annotated[str, typer.Option("--from", help="来源的格式")],
    to: Annotated[str, typer.Option("--to", help=f"目标的格式：{' '.join(FORMATS)}")],
) -> None:
    """Turn an annotated file of one tool into that of another; repairs and losses are told on standard error."""
    find_format(to)
    if target.resolve() == source.resolve():
        raise InputError(f"来源和目标是同一个文件 {source}：请换一个目标")
    tell(write_file(annotated(source, from_), to, path=target), target)


def annotated(source: Path, format: str) -> Iterable[AnnotatedDocument]:
    """The annotated documents of a file; what its reader repaired or could not use is told on standard error.

    A table of another program has texts only. Raises FormatError for a format that cannot be read, and as its
    reader does.
    """
    from core.readers.parquet import read_parquet  # slow to import, needed only here

    if not source.exists():
        raise FormatError(f"没有找到 {source}。请检查路径。")
    if format == "parquet":
        return read_parquet(source)
    if format == "csv" and is_own_table(source):
        return read_own_table(source)
    if format in TEXTS_ONLY:
        return _texts(source)
    if format not in readable():
        raise FormatError(f"不能读取格式“{format}”的标注。可读的格式：{'、'.join((*readable(), *TEXTS_ONLY))}。")
    documents, report = read_annotated(source, READ_AS.get(format, format))
    for line in (*report.repaired, *report.problems, *report.notes):
        typer.echo(line, err=True)
    return documents


def _texts(source: Path) -> Iterator[AnnotatedDocument]:
    """The rows of a table as documents without findings."""
    account = Account()
    for document, _ in read_documents(from_path(source), ReadOptions(), account=account):
        yield AnnotatedDocument(document, "ner", ())
    for line in (*account.problems, *account.notes, "这是普通表格：只有正文，没有标注"):
        typer.echo(line, err=True)


def tell(losses: Iterable[Loss], output: Path) -> None:
    """Say on standard error what the written file lacks."""
    for loss in losses:
        typer.echo(f"{loss}。", err=True)
    typer.echo(f"已写入 {output}", err=True)


COMMANDS: dict[str, Callable[..., Any]] = {"import": import_files, "export": export, "convert": convert}

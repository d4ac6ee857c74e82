"""The commands that move data in and out: import, export, convert."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli_import import import_files
from core.config import Settings
from core.errors import InputError
from core.exporters import FORMATS, Loss, export_run, find_format, write_file, written_paths
from core.exporters.back import read_back
from core.storage.database import migrate, open_database

OUTPUT = "写到这个文件；label-studio 和 brat 是几个文件：.zip、文件夹，label-studio 也可以 .json"
FormatName = Annotated[str, typer.Option("--format", help=f"格式：{' '.join(FORMATS)}")]


def export(
    job: Annotated[int, typer.Option("--job", help="作业的编号（网页“作业”中的编号）")],
    format: FormatName,
    output: Annotated[Path, typer.Option("--output", help=OUTPUT)],
    which: Annotated[
        str, typer.Option("--which", help="current：有修正的用修正；reviewed：只要复核完的；machine：机器原结果")
    ] = "current",
) -> None:
    """Write a stored run to a file, with its corrections; what the format cannot hold is told on standard error."""
    database = open_database(Settings().resolved_database_url)
    try:
        migrate(database)
        tell(export_run(database, job, format, path=output, which=which), written_paths(output, format))
    finally:
        database.dispose()


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="已标注的文件")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help=OUTPUT)],
    from_: Annotated[str, typer.Option("--from", help="来源的格式")],
    to: Annotated[str, typer.Option("--to", help=f"目标的格式：{' '.join(FORMATS)}")],
) -> None:
    """Turn an annotated file of one tool into that of another; repairs and losses are told on standard error."""
    find_format(to)
    if target.resolve() == source.resolve():
        raise InputError(f"来源和目标是同一个文件 {source}：请换一个目标")
    tell(write_file(read_back(source, from_, say=_say), to, path=target), written_paths(target, to))


def _say(line: str) -> None:
    typer.echo(line, err=True)


def tell(losses: Iterable[Loss], paths: Iterable[Path]) -> None:
    """Say on standard error what the written file lacks."""
    for loss in losses:
        typer.echo(f"{loss}。", err=True)
    typer.echo(f"已写入 {'、'.join(map(str, paths))}", err=True)


COMMANDS: dict[str, Callable[..., Any]] = {"import": import_files, "export": export, "convert": convert}

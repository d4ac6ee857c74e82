"""The commands `schema …`: list, show, lint, import, export."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import Engine

from core.config import Settings
from core.errors import FormatError, InputError, SchemaError
from core.schemas.lint import lint_schema
from core.schemas.presets import find_preset
from core.schemas.schema import parse_schema
from core.schemas.sharing import Shared, read_shared, write_shared
from core.storage import queries, schema_store
from core.storage.database import migrate, open_database
from core.storage.schema_store import Version
from core.storage.store import Store
from core.tasks import find_task

JsonOption = Annotated[bool, typer.Option("--json", help="以 JSON 输出")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="模式的名称；名称@版本 指某一版，缺省最新")]


def list_(task: Annotated[str | None, typer.Option(help="只列这个任务的")] = None, as_json: JsonOption = False) -> None:
    """List the saved schemas, each with its newest version and the number of runs that used it."""
    if task is not None:
        find_task(task)
    with _database() as database:
        found = queries.latest_schemas(database, task)
        runs = {one.name: len(schema_store.runs_of(database, one.name)) for one in found}
    rows = [
        {
            "name": one.name,
            "task": one.task,
            "version": one.version,
            "types": sum(1 for _ in parse_schema(dict(one.body)).paths()),
            "runs": runs[one.name],
        }
        for one in found
    ]
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    typer.echo("名称\t任务\t版本\t类型数\t运行数")
    for row in rows:
        typer.echo("\t".join(map(str, row.values())))


def show(name: Name, as_json: JsonOption = False) -> None:
    """Show the versions of a schema, newest first, with notes and runs, and the types of the one asked for."""
    with _database() as database:
        chosen, versions = _find(database, name)
    if as_json:
        typer.echo(json.dumps(chosen.schema.to_dict(), ensure_ascii=False, indent=1))
        return
    for one in versions:
        runs = f"运行 {'、'.join(map(str, one.runs))}" if one.runs else "没有运行"
        mark = "→" if one is chosen else " "
        when = f"{one.created_at.astimezone():%Y-%m-%d %H:%M}"
        typer.echo(f"{mark} 第 {one.number} 版\t{when}\t{runs}\t{one.note}".rstrip())
    typer.echo(json.dumps(chosen.schema.to_dict(), ensure_ascii=False, indent=1))


def lint(
    schema: Annotated[str, typer.Argument(help="模式：JSON、文件、已保存的名称（名称@版本）或预设名称")],
    task: Annotated[str | None, typer.Option(help="按这个任务检查；缺省为保存时的任务，否则 ner")] = None,
) -> None:
    """Say what is wrong with a schema and what may disappoint; status 1 when it cannot be asked as it is written."""
    shared = _any(schema)
    kind = find_task(task or shared.task or "ner").name
    hints = lint_schema(shared.schema, kind)
    for line in (*shared.notes, *hints):
        typer.echo(line)
    if not shared.notes and not hints:
        typer.echo(f"没有发现问题（任务 {kind}）。")
    if shared.notes:
        typer.echo(json.dumps(shared.schema.to_dict(), ensure_ascii=False))
        raise typer.Exit(1)


def import_(
    file: Annotated[Path, typer.Argument(help="模式文件：schema export 的输出，或只有模式本身的 JSON")],
    name: Annotated[str | None, typer.Option(help="名称；缺省用文件里的，其次是文件名")] = None,
    task: Annotated[str | None, typer.Option(help="任务；缺省用文件里的")] = None,
) -> None:
    """Save a schema file; a new version of that name when it differs from the last one."""
    shared = read_shared(_read(file))
    chosen = find_task(task or shared.task).name if task or shared.task else ""
    if not chosen:
        raise InputError(f"{file} 没有说明任务：请用 --task 指定，例如 --task ner")
    for line in shared.notes:
        typer.echo(line, err=True)
    label = name or shared.name or file.stem
    with _database() as database:
        Store(database).save_schema(label, chosen, body=shared.schema.to_dict(), note=shared.note)
        newest = schema_store.versions(database, label)[0]
    typer.echo(f"{newest.name}\t第 {newest.number} 版\t{newest.task}")


def export(
    name: Name, output: Annotated[Path | None, typer.Option("--output", help="写到这个文件；缺省写到标准输出")] = None
) -> None:
    """Write a schema as a file to pass on, with its name, task, version and note."""
    with _database() as database:
        one, _ = _find(database, name)
    text = write_shared(one.schema.to_dict(), name=one.name, task=one.task, version=one.number, note=one.note)
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise FormatError(f"无法写入 {output}：{error}。请换一个 --output") from error
    typer.echo(f"已写入 {output}", err=True)


def _any(given: str) -> Shared:
    """A schema given as text, as a file, or as the name of a saved one or of a preset."""
    if given.lstrip().startswith(("{", "[")) or "|" in given:
        return read_shared(given)
    path = Path(given)
    if path.suffix in (".json", ".txt") or path.is_file():
        return read_shared(_read(path))
    with _database() as database:
        if any(one.name == given.rpartition("@")[0] or one.name == given for one in queries.latest_schemas(database)):
            one, _ = _find(database, given)
            return Shared(one.schema, one.name, one.task, one.number, one.note)
    preset = find_preset(given)
    if preset.schema is None:
        raise SchemaError(f"任务 {preset.task} 的模式由程序给出，没有可检查的")
    return Shared(parse_schema(preset.schema), preset.name, preset.task)


def _find(database: Engine, given: str) -> tuple[Version, list[Version]]:
    """The version that NAME or NAME@VERSION means, and all versions of that schema."""
    known = {one.name for one in queries.latest_schemas(database)}
    name, at, number = given.rpartition("@")
    if given in known or not at or not number.isdecimal():
        versions = schema_store.versions(database, given)
        return versions[0], versions
    versions = schema_store.versions(database, name)
    for one in versions:
        if one.number == int(number):
            return one, versions
    raise InputError(f"模式“{name}”没有第 {number} 版：共有 {len(versions)} 版")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SchemaError(f"无法读取模式文件 {path}：{error}") from error


@contextmanager
def _database() -> Iterator[Engine]:
    database = open_database(Settings().resolved_database_url)
    try:
        migrate(database)
        yield database
    finally:
        database.dispose()


COMMANDS: dict[str, Callable[..., Any]] = {
    "list": list_, "show": show, "lint": lint, "import": import_, "export": export,
}  # fmt: skip


def add_to(app: typer.Typer, guard: Callable[[], Any]) -> None:
    """Add the commands to the command line, each inside `guard()`, which tells errors."""
    group = typer.Typer(no_args_is_help=True, help="模式库：list show lint import export。")
    for name, command in COMMANDS.items():
        group.command(name)(guard()(command))
    app.add_typer(group, name="schema")

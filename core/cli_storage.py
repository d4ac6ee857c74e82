"""The commands for the database as a whole: backup, restore, doctor."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from core.config import Settings
from core.doctor import judge
from core.doctor.machine import gather
from core.doctor.records import ERROR, FACTS, OK, WARNING, Facts
from core.errors import InputError
from core.storage.backup import back_up, restore


def backup(target: Annotated[Path, typer.Argument(metavar="PATH", help="写到这个文件；不能已经存在")]) -> None:
    """Write the whole database into one file, also while the desk runs."""
    size = back_up(Settings().resolved_database_url, target)
    typer.echo(f"已备份到 {target}（{size / 2**20:,.1f} MB）", err=True)


def restore_backup(
    source: Annotated[Path, typer.Argument(metavar="PATH", help="backup 写出的文件")],
    in_use: Annotated[bool, typer.Option("--in-use", help="即使工作台正在使用数据库；之后须重启它")] = False,
) -> None:
    """Put a backup in the place of the database, after checking it; the old database is kept beside it."""
    kept = restore(Settings().resolved_database_url, source, in_use=in_use)
    typer.echo(f"已从 {source} 恢复" + (f"；原来的数据库保留为 {kept}" if kept else ""), err=True)


MARKS = {OK: "✓", WARNING: "!", ERROR: "✗"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="以 JSON 输出")] = False,
    port: Annotated[int, typer.Option(help="工作台的端口")] = 8501,
    facts: Annotated[bool, typer.Option("--facts", help="只输出这台机器的事实（JSON），用于报告问题")] = False,
    recorded: Annotated[Path | None, typer.Option(help="不看这台机器，而看 --facts 写出的文件")] = None,
) -> None:
    """Check machine, driver, database, model and ports; status 1 when something is wrong. Changes nothing."""
    found = _recorded(recorded) if recorded else gather(Settings(), port=port)
    if facts:
        typer.echo(FACTS.dump_json(found, indent=1).decode())
        return
    checks = judge(found)
    if as_json:
        rows = [{**asdict(one), "ok": one.ok} for one in checks]
        typer.echo(json.dumps({"ok": all(one.ok for one in checks), "checks": rows}, ensure_ascii=False, indent=1))
    else:
        for one in checks:
            typer.echo(f"{MARKS[one.level]} {one.title}\t{one.detail}" + (f"\n\t→ {one.advice}" if one.advice else ""))
    if not all(one.ok for one in checks):
        raise typer.Exit(1)


def _recorded(path: Path) -> Facts:
    try:
        return FACTS.validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"无法读取事实文件 {path}：{error}。请给出 doctor --facts 写出的文件") from error


COMMANDS: dict[str, Callable[..., Any]] = {"backup": backup, "restore": restore_backup, "doctor": doctor}

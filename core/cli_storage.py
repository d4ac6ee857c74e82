"""The commands for the database as a whole: backup, restore, doctor."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from core.config import Settings
from core.doctor import examine
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


def doctor(as_json: Annotated[bool, typer.Option("--json", help="以 JSON 输出")] = False) -> None:
    """Check database, disk, write access and versions; status 1 when something is wrong."""
    checks = examine(Settings())
    if as_json:
        rows = [{"name": one.name, "ok": one.ok, "detail": one.detail} for one in checks]
        typer.echo(json.dumps({"ok": all(one.ok for one in checks), "checks": rows}, ensure_ascii=False, indent=1))
    else:
        for one in checks:
            typer.echo(f"{'✓' if one.ok else '✗'} {one.title}\t{one.detail}")
    if not all(one.ok for one in checks):
        raise typer.Exit(1)


COMMANDS: dict[str, Callable[..., Any]] = {"backup": backup, "restore": restore_backup, "doctor": doctor}

"""The commands `user …`, `project …` and `audit`: the machine's own user runs them as an administrator."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import Engine

from core import user_services
from core.access.principal import ANALYST, ROLE_WORDS
from core.config import Settings
from core.errors import FormatError
from core.storage.audit_store import AuditFilter
from core.storage.database import migrate, open_database
from core.storage.tables import utc_now

Name = Annotated[str, typer.Argument(metavar="NAME", help="用户名")]
RoleOption = Annotated[str, typer.Option("--role", help="viewer 查看、analyst 分析、admin 管理；第一个用户总是 admin")]
JsonOption = Annotated[bool, typer.Option("--json", help="以 JSON 输出")]


def add(
    name: Name,
    role: RoleOption = ANALYST,
    email: Annotated[str, typer.Option("--email", help="通过登录服务或代理进入的用户的邮箱；这样的用户没有密码")] = "",
) -> None:
    """Add a user; the generated password is printed once and kept nowhere."""
    with _database() as database:
        _tell_password(name, user_services.add_user(database, name, role=role, email=email))


def list_users(as_json: JsonOption = False) -> None:
    """List the users."""
    with _database() as database:
        found = user_services.users(database)
    rows = [
        {
            "name": one.name,
            "role": one.role,
            "email": one.email,
            "disabled": one.disabled,
            "created": one.created_at.isoformat(timespec="seconds"),
            "seen": one.seen_at.isoformat(timespec="seconds") if one.seen_at else None,
        }
        for one in found
    ]
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    for row in rows:
        state = "已停用" if row["disabled"] else ""
        typer.echo("\t".join(str(x) for x in (row["name"], ROLE_WORDS[str(row["role"])], row["email"] or "", state)))


def reset(name: Name) -> None:
    """Give a user a new generated password, lift a lock and end the sessions."""
    with _database() as database:
        _tell_password(name, user_services.reset_password(database, name))


def role(name: Name, role: Annotated[str, typer.Argument(metavar="ROLE", help="viewer、analyst 或 admin")]) -> None:
    """Change what a user may do."""
    with _database() as database:
        user_services.set_role(database, name, role)
    typer.echo(f"{name} 的角色现在是 {role}")


def disable(name: Name) -> None:
    """Keep a user out; documents and runs stay."""
    with _database() as database:
        user_services.disable_user(database, name)
    typer.echo(f"{name} 已停用，所有会话已结束")


def enable(name: Name) -> None:
    """Let a disabled user in again."""
    with _database() as database:
        user_services.enable_user(database, name)
    typer.echo(f"{name} 已启用")


def logout(name: Name) -> None:
    """End every session of a user."""
    with _database() as database:
        typer.echo(f"{name} 的 {user_services.end_sessions(database, name)} 个会话已结束")


def remove(
    name: Name,
    heir: Annotated[str, typer.Option("--give-to", help="文档、作业和模式交给这位用户；缺省归本机用户")] = "",
) -> None:
    """Remove a user; what was his is handed over."""
    with _database() as database:
        user_services.remove_user(database, name, heir=heir)
    typer.echo(f"{name} 已删除")


def add_project(name: Annotated[str, typer.Argument(metavar="PROJECT", help="项目名称")]) -> None:
    """Add a project."""
    with _database() as database:
        typer.echo(f"项目 {user_services.add_project(database, name)} 已建立：{name}")


def list_projects() -> None:
    """List the projects with the numbers of their members and documents."""
    with _database() as database:
        for one in user_services.projects(database):
            typer.echo(f"{one.id}\t{one.name}\t{one.members} 位成员\t{one.documents} 个文档")


def members(
    name: Annotated[str, typer.Argument(metavar="PROJECT", help="项目名称")],
    users: Annotated[list[str] | None, typer.Argument(metavar="NAME...", help="全部成员；不写就没有成员")] = None,
) -> None:
    """Make exactly these users the members of a project."""
    with _database() as database:
        user_services.set_members(database, name, users or [])
    typer.echo(f"项目“{name}”现在有 {len(users or [])} 位成员")


def audit(
    user: Annotated[str, typer.Option("--user", help="只要这位用户")] = "",
    action: Annotated[str, typer.Option("--action", help="只要这个动作，如 job.submit，或一类，如 job")] = "",
    since: Annotated[datetime | None, typer.Option("--since", help="从这一刻起，如 2026-01-31")] = None,
    output: Annotated[Path | None, typer.Option("--output", help="写成 .csv 或 .jsonl；缺省写到标准输出")] = None,
    forget_days: Annotated[int | None, typer.Option("--forget", min=1, help="改为删除早于这些天的记录")] = None,
) -> None:
    """Write the audit log, oldest first: who, when, what, to what; it holds no text of documents."""
    with _database() as database:
        if forget_days is not None:
            count = user_services.prune_audit(database, utc_now() - timedelta(days=forget_days))
            typer.echo(f"已删除 {count} 条记录")
            return
        chosen = AuditFilter(user_name=user, action=action, since=since.astimezone() if since else None)
        form = "csv" if output is not None and output.suffix == ".csv" else "jsonl"
        text = user_services.audit_text(user_services.export_audit(database, chosen), form)
        if output is None:
            typer.echo(text, nl=False)
            return
        try:
            output.write_text(text, "utf-8-sig" if form == "csv" else "utf-8")
        except OSError as error:
            raise FormatError(f"无法写入 {output}：{error}。请换一个 --output") from error


USER = {
    "add": add, "list": list_users, "reset": reset, "role": role, "disable": disable, "enable": enable,
    "logout": logout, "remove": remove,
}  # fmt: skip
PROJECT = {"add": add_project, "list": list_projects, "members": members}


def add_to(app: typer.Typer, guard: Callable[[], Any]) -> None:
    """Add the commands to the command line, each inside `guard()`, which tells errors."""
    for name, help, commands in (
        ("user", "用户：建立、列出、重置密码、改角色、停用、启用、退出登录、删除。", USER),
        ("project", "项目：建立、列出、指定成员。", PROJECT),
    ):
        group = typer.Typer(no_args_is_help=True, help=help)
        for command, function in commands.items():
            group.command(command)(guard()(function))
        app.add_typer(group, name=name)
    app.command("audit")(guard()(audit))


def _tell_password(name: str, password: str) -> None:
    if password:
        typer.echo(f"{name} 的初始密码（只显示这一次，首次登录时须更换）：{password}")
    else:
        typer.echo(f"{name} 已建立，通过登录服务进入")


@contextmanager
def _database() -> Iterator[Engine]:
    database = open_database(Settings().resolved_database_url)
    try:
        migrate(database)
        yield database
    finally:
        database.dispose()

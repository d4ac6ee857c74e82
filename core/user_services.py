"""What administrators do with users, projects and the audit log, one function each."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Engine

from core.access import passwords
from core.access.principal import ADMIN, ANALYST, LOCAL_USER, ROLES, principal_of
from core.errors import AccessError
from core.exporters.csv import FORMULA
from core.guard import guarded
from core.storage import audit_store, session_store, user_store
from core.storage.audit_store import AuditEntry, AuditFilter
from core.storage.tables import utc_now
from core.storage.user_store import Project, User

NAME = re.compile(r"[\w.@+-]{1,64}")


@guarded(ADMIN)
def users(database: Engine) -> list[User]:
    """Everybody who may sign in."""
    return user_store.list_users(database)


@guarded(ADMIN)
def add_user(database: Engine, name: str, *, role: str = ANALYST, email: str = "") -> str:
    """Add a user; returns the generated password, which is kept nowhere, or "" for one with an e-mail address.

    The first user is made an administrator. Raises AccessError for a bad name or role, or one that is taken.
    """
    known = [one.name.casefold() for one in user_store.list_users(database)]
    name = name.strip()
    if not NAME.fullmatch(name) or name.casefold() == "local":
        raise AccessError(f"用户名“{name}”无效：用 1 到 64 个字母、汉字、数字或 . _ - + @，不能是 local。")
    if name.casefold() in known:
        raise AccessError(f"用户名“{name}”已被使用，请换一个。")
    _check_role(role)
    return _add_user(database, name, role=role if known else ADMIN, email=email)


@guarded(ADMIN, "user.add", about="user {name} {role}")
def _add_user(database: Engine, name: str, *, role: str, email: str) -> str:
    if email:
        user_store.add_user(database, name, role=role, email=email.strip().casefold())
        return ""
    password = passwords.generate()
    user_store.add_user(database, name, role=role, password=passwords.hash_password(password))
    return password


@guarded(ADMIN, "user.reset", about="user {name}")
def reset_password(database: Engine, name: str) -> str:
    """Give a user a new generated password, lift a lock, and end the sessions; returns the password."""
    user = user_store.get_user(database, name)
    if user.email:
        raise AccessError(f"“{name}”通过登录服务进入，没有密码。")
    password = passwords.generate()
    user_store.change_user(database, user.id, password=passwords.hash_password(password), temporary=True)
    session_store.end_attempt(database, forget=[f"user:{name.casefold()}"[:255]])
    session_store.close_sessions(database, user.id)
    return password


@guarded(ADMIN, "user.role", about="user {name} {role}")
def set_role(database: Engine, name: str, role: str) -> None:
    """Change what a user may do, from his next click on. Nobody changes his own."""
    _check_role(role)
    user_store.change_user(database, _other(database, name).id, role=role)


@guarded(ADMIN, "user.disable", about="user {name}")
def disable_user(database: Engine, name: str) -> None:
    """Keep a user out; what is his stays. Nobody disables himself."""
    user = _other(database, name)
    user_store.change_user(database, user.id, disabled=True, valid_from=utc_now())
    session_store.close_sessions(database, user.id)


@guarded(ADMIN, "user.enable", about="user {name}")
def enable_user(database: Engine, name: str) -> None:
    """Let a user in again."""
    user_store.change_user(database, _other(database, name).id, disabled=False)


@guarded(ADMIN, "user.sign_out", about="user {name}")
def end_sessions(database: Engine, name: str) -> int:
    """Sign a user out everywhere; returns how many browsers that were."""
    user = user_store.get_user(database, name)
    user_store.change_user(database, user.id, valid_from=utc_now())
    return session_store.close_sessions(database, user.id)


@guarded(ADMIN, "user.remove", about="user {name}")
def remove_user(database: Engine, name: str, *, heir: str = "") -> None:
    """Remove a user; documents, runs and schemas go to the user `heir`, else to the machine's own."""
    user = _other(database, name)
    to = user_store.get_user(database, heir).id if heir else LOCAL_USER
    if to == user.id:
        raise AccessError("不能把数据交给要删除的用户自己，请另选一位。")
    user_store.remove_user(database, user.id, heir=to)


@guarded(ADMIN)
def projects(database: Engine) -> list[Project]:
    """All projects."""
    return user_store.list_projects(database)


@guarded(ADMIN, "project.add", about="project {name}")
def add_project(database: Engine, name: str) -> int:
    """Add a project without members; returns its number."""
    if not name.strip():
        raise AccessError("项目名称为空，请填写名称。")
    return user_store.add_project(database, name.strip()[:255])


@guarded(ADMIN, "project.members", about="project {name} {members}")
def set_members(database: Engine, name: str, members: Sequence[str]) -> None:
    """Make exactly these users the members of a project."""
    found = {one.name: one.id for one in user_store.list_projects(database)}
    if name not in found:
        raise AccessError(f"没有名为“{name}”的项目：现有 {'、'.join(found)}。")
    user_store.set_members(database, found[name], [user_store.get_user(database, one).id for one in members])


@guarded(ADMIN)
def audit_entries(
    database: Engine, chosen: AuditFilter | None = None, *, limit: int = 50, offset: int = 0
) -> list[AuditEntry]:
    """A page of the audit log, newest first."""
    return audit_store.entries(database, chosen, limit=limit, offset=offset)


@guarded(ADMIN)
def count_audit(database: Engine, chosen: AuditFilter | None = None) -> int:
    """How many entries the audit log has."""
    return audit_store.count_entries(database, chosen)


@guarded(ADMIN, "audit.export")
def export_audit(database: Engine, chosen: AuditFilter | None = None) -> Iterator[AuditEntry]:
    """The audit log, oldest first."""
    return audit_store.iter_entries(database, chosen or AuditFilter())


def audit_csv(database: Engine, chosen: AuditFilter) -> bytes:
    """The audit log as a table that a spreadsheet opens."""
    return audit_text(export_audit(database, chosen), "csv").encode("utf-8-sig")


def audit_text(entries: Iterator[AuditEntry], form: str) -> str:
    """The audit log as CSV or JSON lines."""
    names = ["at", "user_name", "address", "action", "object", "outcome"]
    rows = [{name: asdict(one)[name] for name in names} | {"at": one.at.isoformat()} for one in entries]
    if form == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    target = io.StringIO()
    writer = csv.DictWriter(target, names, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return target.getvalue()


def _cell(value: str) -> str:
    """Kept from being run as a formula by a spreadsheet."""
    return f"'{value}" if value.startswith(FORMULA) else value


@guarded(ADMIN, "audit.prune", about="before {before}")
def prune_audit(database: Engine, before: datetime) -> int:
    """Remove the entries of the audit log before a moment; that is itself written down. Returns their number."""
    return audit_store.prune(database, before)


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise AccessError(f"没有“{role}”这个角色：可选 {'、'.join(ROLES)}。")


def _other(database: Engine, name: str) -> User:
    """A user who is not who acts: an administrator must not lock himself out by mistake."""
    user = user_store.get_user(database, name)
    if user.id == principal_of(database).user_id:
        raise AccessError("不能对自己做这一步，请另一位管理员来做。")
    return user

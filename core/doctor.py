"""Is everything in place that the desk needs? One check each, none of which changes anything."""

from __future__ import annotations

import platform
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from core.config import Settings
from core.errors import RexError
from core.storage.backup import integrity_problems
from core.storage.database import open_database, parse_url

FREE_BYTES = 2**30
PACKAGES = ("torch", "streamlit", "sqlalchemy", "alembic", "tokenizers")


@dataclass(frozen=True, slots=True)
class Check:
    """What one check found: `name` for programs, `title` and `detail` for people."""

    name: str
    title: str
    ok: bool
    detail: str


def examine(settings: Settings) -> list[Check]:
    """All checks, in order; one that fails does not stop the others."""
    return [check(settings) for check in CHECKS]


def _database(settings: Settings) -> Check:
    url = settings.resolved_database_url
    title = "数据库"
    try:
        parsed = parse_url(url)
        if parsed.get_backend_name() == "sqlite" and parsed.database and not Path(parsed.database).exists():
            return Check("database", title, True, f"{parsed.database} 还不存在，第一次使用时创建")
        engine = open_database(url)
        try:
            problems = integrity_problems(engine)
        finally:
            engine.dispose()
    except (RexError, ValueError) as error:
        return Check("database", title, False, str(error))
    where = parsed.render_as_string()
    if problems:
        return Check("database", title, False, f"{where} 已损坏：{'；'.join(problems)}。请用 restore 恢复一份备份。")
    return Check("database", title, True, f"{where} 完好")


def _disk(settings: Settings) -> Check:
    folder = settings.data_dir
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    said = f"{settings.data_dir} 所在的磁盘剩 {free / 2**30:,.1f} GiB"
    enough = free >= FREE_BYTES
    return Check("disk", "磁盘空间", enough, said if enough else f"{said}，少于 1 GiB：请腾出空间或更换 REX_DATA_DIR")


def _writable(settings: Settings) -> Check:
    folder, title = settings.data_dir, "写权限"
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return Check("write", title, False, f"不能写入 {folder}：{error}。请检查权限或更换 REX_DATA_DIR")
    return Check("write", title, True, f"可以写入 {folder}")


def _versions(settings: Settings) -> Check:
    found = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    missing = []
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            missing.append(name)
    said = "，".join(f"{name} {number}" for name, number in found.items())
    lacking = f"；缺少 {'、'.join(missing)}：请运行 pip install -r requirements.txt" if missing else ""
    return Check("versions", "版本", not missing, said + lacking)


CHECKS: tuple[Callable[[Settings], Check], ...] = (_database, _disk, _writable, _versions)

"""A copy of the database in one file, the way back, and whether the database is whole."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path

from sqlalchemy import URL, Engine, text

from core.errors import StorageError
from core.storage.database import migrate, open_database, parse_url, storage_errors

# A database with its companions: the write-ahead log and its index.
COMPANIONS = ("", "-wal", "-shm")
_FAULTS = 20


def database_file(url: str) -> Path:
    """The file of a SQLite database. Raises StorageError for another database and for one in memory."""
    parsed: URL = parse_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        raise StorageError(
            f"{parsed.render_as_string()} 不是 SQLite 文件，不能这样备份。PostgreSQL 请用 pg_dump 和 pg_restore。"
        )
    return Path(parsed.database)


def integrity_problems(engine: Engine) -> list[str]:
    """What is wrong inside the database, in the words of the database; empty when it is whole.

    SQLite checks every page, index and foreign key. PostgreSQL keeps its own checks: there only the connection is
    tried. Raises StorageError when the database cannot be read at all.
    """
    with storage_errors(engine), engine.connect() as connection:
        if engine.dialect.name != "sqlite":
            connection.execute(text("SELECT 1"))
            return []
        said = [str(row[0]) for row in connection.execute(text(f"PRAGMA integrity_check({_FAULTS})"))]
        broken = connection.execute(text("PRAGMA foreign_key_check")).fetchmany(_FAULTS)
    return [line for line in said if line != "ok"] + [
        f"表 {row[0]} 的第 {row[1]} 行指向 {row[2]} 中不存在的行" for row in broken
    ]


def back_up(url: str, target: Path) -> int:
    """Write the whole database into one new file, also while a desk uses it; returns its size in bytes.

    Raises StorageError when there is no database, the target exists, or it cannot be written.
    """
    source = database_file(url)
    if not source.is_file():
        raise StorageError(f"没有数据库 {source}：还没有存过任何东西，或 REX_DATA_DIR 指向别处。")
    if target.exists():
        raise StorageError(f"{target} 已经存在，没有覆盖。请换一个文件名。")
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        with closing(sqlite3.connect(source.absolute().as_uri() + "?mode=ro", uri=True)) as connection:
            connection.execute("VACUUM INTO ?", (str(part),))
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(target)
    except (sqlite3.Error, OSError) as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise StorageError(f"无法把 {source} 备份到 {target}：{error}。请检查磁盘空间和权限。") from error
    return target.stat().st_size


def restore(url: str, source: Path, *, in_use: bool = False) -> Path | None:
    """Put a backup in the place of the database; returns where the old one is kept, None when there was none.

    The backup is checked and brought to this version first, as a copy. `in_use` lets it happen although a desk has the
    database open; that desk must be started anew. Raises StorageError, with the old database untouched.
    """
    target = database_file(url)
    if not source.is_file():
        raise StorageError(f"没有找到备份 {source}。请检查路径。")
    if target.is_file() and not in_use and is_open(target):
        raise StorageError(
            f"数据库 {target} 正在被使用（工作台或另一条命令）。请先停止它们；"
            "确实要现在恢复，加上 --in-use，之后重启工作台。"
        )
    if target.is_file() and source.samefile(target):
        raise StorageError(f"{source} 就是现用的数据库，不是备份。请指定备份文件。")
    ready = target.with_name(target.name + ".restoring")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, ready)
        _check(ready, source)
        kept = _set_aside(target)
        ready.replace(target)
    except OSError as error:
        raise StorageError(f"无法恢复到 {target}：{error}。请检查磁盘空间和权限。") from error
    finally:
        for companion in COMPANIONS:
            with suppress(OSError):
                Path(f"{ready}{companion}").unlink(missing_ok=True)
    return kept


def _check(copy: Path, source: Path) -> None:
    """Raise StorageError unless the copy is a whole database of this program; brings it to the newest version."""
    with copy.open("rb") as file:
        if not file.read(16).startswith(b"SQLite format 3"):
            raise StorageError(f"{source} 不是 SQLite 数据库。请指定 backup 命令写出的文件。")
    engine = open_database(f"sqlite:///{copy}")
    try:
        try:
            problems = integrity_problems(engine)
        except StorageError as error:
            problems = [str(error.__cause__)]
        if problems:
            raise StorageError(f"备份 {source} 已损坏，没有恢复：{'；'.join(problems[:3])}。请用另一份备份。")
        with storage_errors(engine), engine.connect() as connection:
            tables = set(connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'table'")))
        if not {"documents", "runs", "alembic_version"} <= tables:
            raise StorageError(f"{source} 不是本程序的数据库。请指定 backup 命令写出的文件。")
        migrate(engine)
        with engine.connect() as connection:
            # leaves one file, which can take the place of the old one in one step
            connection.exec_driver_sql("ROLLBACK")
            connection.exec_driver_sql("PRAGMA journal_mode = DELETE")
            connection.exec_driver_sql("BEGIN")
    finally:
        engine.dispose()


def _set_aside(target: Path) -> Path | None:
    """Move the database and its companions away under a name with the time."""
    if not target.is_file():
        return None
    kept = target.with_name(f"{target.name}.before-restore-{datetime.now():%Y%m%d-%H%M%S-%f}")
    for companion in COMPANIONS:
        one = Path(f"{target}{companion}")
        if one.exists():
            one.replace(f"{kept}{companion}")
    return kept


def is_open(database: Path) -> bool:
    """Whether some process has this SQLite database open.

    Every connection with a write-ahead log holds a shared lock on the byte 128 of the "-shm" file (SQLite's "dead man
    switch") as long as it lives; asking for that byte alone shows it, also across programs. Not to be asked by a
    process that has the database open itself: its own locks do not count, and would be gone afterwards.
    """
    index = Path(f"{database}-shm")
    try:
        with index.open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 128)
            fcntl.lockf(file, fcntl.LOCK_UN, 1, 128)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False

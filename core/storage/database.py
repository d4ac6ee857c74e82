"""Opens the database and brings it to the current version."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import Session

from core.access.principal import ANALYST, principal_of, require
from core.errors import StorageError
from core.storage.refusals import refusal

MIGRATIONS = Path(__file__).resolve().parent / "migrations"
BUSY_TIMEOUT_MS = 15_000
CACHE_KIB = 32 * 1024
# Pages of 4 KiB in the write-ahead log before they are copied into the database.
CHECKPOINT_PAGES = 8_000
# Execution option of connections that will write: see `_begin`.
IMMEDIATE = "rex_immediate"


def open_database(url: str) -> Engine:
    """An engine for `url`; makes the parent folder of a SQLite file.

    SQLite connections use write-ahead logging, enforce foreign keys and wait 15 s for a lock.
    Raises StorageError for a URL that cannot be used or a folder that cannot be made.
    """
    try:
        parsed = parse_url(url)
        engine = create_engine(parsed, json_serializer=partial(json.dumps, ensure_ascii=False))
    except (ArgumentError, NoSuchModuleError) as error:
        raise StorageError(
            f"数据库地址无法使用：{url}。请检查 REX_DATABASE_URL，例如 sqlite:////数据/app.db。"
        ) from error
    except ImportError as error:
        raise StorageError(
            f"缺少数据库 {parsed.drivername} 的驱动（{error}）。"
            "PostgreSQL 的驱动这样安装：pip install -r requirements-postgres.txt。"
        ) from error
    if engine.dialect.name == "sqlite":
        if parsed.database and parsed.database != ":memory:":
            _make_folder(Path(parsed.database).parent)
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin)
    return engine


def parse_url(url: str) -> URL:
    """A database URL as SQLAlchemy reads it; the usual spellings of PostgreSQL get the driver that we pin."""
    parsed = make_url(url)
    return parsed.set(drivername="postgresql+psycopg") if parsed.drivername in ("postgres", "postgresql") else parsed


def migrate(engine: Engine) -> None:
    """Upgrade the database to the newest version in one transaction; does nothing when it is there already.

    Raises StorageError when the file is not a database, cannot be written, or was made by a newer version.
    """
    config = migrations()
    with storage_errors(engine), writing(engine).begin() as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise StorageError(
                f"数据库 {engine.url.render_as_string()} 的版本与本程序不符（{error}）。"
                "它可能由更新的版本创建：请升级程序，或用 REX_DATABASE_URL 指定另一个数据库。"
            ) from error


def migrations() -> Config:
    """Where Alembic finds the migrations; the connection is for the caller to add."""
    config = Config()
    # Config interpolates "%": a folder name may contain it.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def writing(engine: Engine) -> Engine:
    """The same database, whose transactions take the write lock at their start.

    Every write goes through here. Raises AccessError when who acts may only look.
    """
    require(principal_of(engine), ANALYST)
    return engine.execution_options(**{IMMEDIATE: True})


def one_at_a_time(session: Session, what: str) -> None:
    """Let no other transaction that names the same `what` go on until this one has ended.

    For what is read first and written after. SQLite's writers are alone anyway; PostgreSQL's are not.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(hashtext(:what))"), {"what": what})


@contextmanager
def storage_errors(engine: Engine) -> Iterator[None]:
    """Turn what the database refuses into a StorageError that names the database."""
    try:
        yield
    except (SQLAlchemyError, UnicodeEncodeError) as error:
        cause = getattr(error, "orig", None) or error
        raise refusal(engine.url.render_as_string(), cause) from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"无法创建数据库文件夹 {folder}：{error}。请检查权限或更换 REX_DATA_DIR。") from error


def _configure_sqlite(dbapi_connection: Any, _record: object) -> None:
    # Python's driver would begin transactions by itself and too late; `_begin` does it instead.
    dbapi_connection.isolation_level = None
    cursor = dbapi_connection.cursor()
    # The timeout comes first: changing the journal mode may itself have to wait.
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    # Large imports touch pages all over the index of hashes: with 2 MiB, the default, each is read and written often.
    cursor.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    cursor.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    cursor.close()


def _begin(connection: Connection) -> None:
    # A transaction that reads first and writes later cannot wait for the lock: SQLite answers
    # "database is locked" at once, whatever the timeout. Writers therefore lock at the start.
    immediate = connection.get_execution_options().get(IMMEDIATE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

"""The database file: migrations, pragmas, errors."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import IntegrityError

from core.errors import StorageError
from core.storage.database import migrate, migrations, open_database
from core.storage.search_index import INDEX
from core.storage.tables import Base

TABLES = {"documents", "schemas", "runs", "run_documents", "annotations"}


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    engine = open_database(f"sqlite:///{tmp_path / '新 文件夹 100%' / 'app.db'}")
    migrate(engine)
    return engine


def test_a_new_file_gets_every_table_from_any_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    engine = open_database("sqlite:///deep/er/app.db")
    migrate(engine)
    assert set(inspect(engine).get_table_names()) >= TABLES
    assert (tmp_path / "deep" / "er" / "app.db").is_file()


def test_migrations_give_exactly_the_declared_tables(engine: Engine) -> None:
    # the search index keeps tables of its own, which SQLite makes
    options = {"include_name": lambda name, kind, parents: not (kind == "table" and name.startswith(INDEX))}
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata) == []


def test_migrating_twice_changes_nothing(engine: Engine) -> None:
    migrate(engine)
    with engine.connect() as connection:
        versions = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    assert versions == [ScriptDirectory.from_config(migrations()).get_current_head()]


def test_migrating_leaves_logging_alone(tmp_path: Path) -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers), logging.getLogger("alembic").level)
    existing = logging.getLogger("someone.else")
    migrate(open_database(f"sqlite:///{tmp_path / 'log.db'}"))
    assert (root.level, list(root.handlers), logging.getLogger("alembic").level) == before
    assert not existing.disabled


def test_every_connection_has_wal_foreign_keys_and_patience(engine: Engine) -> None:
    with engine.connect() as first, engine.connect() as second:
        for connection in (first, second):
            values = [
                connection.execute(text(f"PRAGMA {name}")).scalar()
                for name in ("journal_mode", "foreign_keys", "busy_timeout", "synchronous")
            ]
            assert values == ["wal", 1, 15_000, 1]


def test_foreign_keys_are_enforced(engine: Engine) -> None:
    row = "INSERT INTO run_documents VALUES (7, 7, 0, 1, '[]', '[]', '', 0.1, '', '')"
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(text(row))


def test_a_database_of_a_newer_version_is_refused_in_plain_words(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageError, match="版本与本程序不符.*9999.*升级程序"):
        migrate(engine)


def test_a_file_that_is_no_database_is_refused_in_plain_words(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_text("这不是数据库" * 100, encoding="utf-8")
    with pytest.raises(StorageError, match="notes.db"):
        migrate(open_database(f"sqlite:///{path}"))


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(StorageError, match="无法创建数据库文件夹"):
        open_database(f"sqlite:///{tmp_path / 'file' / 'app.db'}")


@pytest.mark.parametrize("url", ["not a url", "nosuchdb://x/y"])
def test_an_unusable_url_is_named(url: str) -> None:
    with pytest.raises(StorageError, match="数据库地址无法使用"):
        open_database(url)

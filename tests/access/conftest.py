"""An empty database for each test of access: a file copied from one that was migrated once, or one on a server."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Engine

from core.access import passwords
from core.storage.database import migrate, open_database


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with every table and no user."""
    path = tmp_path_factory.mktemp("access") / "app.db"
    engine = open_database(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()
    return path


@pytest.fixture
def database(empty: Engine, migrated: Path, tmp_path: Path) -> Engine:
    """A database of this test alone; the file is where `Settings` with this test's data directory look for it."""
    if empty.dialect.name == "sqlite":
        shutil.copy(migrated, tmp_path / "app.db")
    else:
        migrate(empty)
    return empty


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same hashes with less work: dozens of them are made here."""
    hasher = PasswordHasher(time_cost=1, memory_cost=256, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", hasher)
    monkeypatch.setattr(passwords, "_NOBODY", hasher.hash("nobody"))

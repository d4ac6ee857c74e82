"""What every room's tests share."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from core.config import EMBEDDED_MODEL, Settings
from core.storage.database import open_database

# Desks of tests answer no probes, unless the test gives them a port.
os.environ.setdefault("REX_HEALTH_PORT", "0")

REPOSITORY = Path(__file__).resolve().parent.parent
TINY_MODEL = REPOSITORY / "tests" / "fixtures" / "tiny"
POSTGRES_URL = os.environ.get("TEST_POSTGRES_URL", "")
KINDS = ("sqlite", "postgresql") if POSTGRES_URL else ("sqlite",)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the tree."""
    return REPOSITORY


@pytest.fixture(scope="session")
def reference_dir() -> Path:
    """Outputs of the reference implementation; not part of the tree, so tests with it may skip."""
    directory = REPOSITORY.parent / "shared" / "rex"
    if not directory.is_dir():
        pytest.skip(f"reference data not found: {directory}")
    return directory


@pytest.fixture(scope="session")
def checkpoint_dir() -> Path:
    """A checkpoint that loads in moments: the tiny one of the tests, else the one that the product ships."""
    for directory in (TINY_MODEL, EMBEDDED_MODEL):
        if (directory / "config.json").is_file():
            return directory
    pytest.skip(f"no checkpoint in {TINY_MODEL} or {EMBEDDED_MODEL}")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings on the CPU with a data directory of this test alone; the environment says the same.

    A test that loads the model asks for `checkpoint_dir` too, which skips where there is none.
    """
    monkeypatch.setenv("REX_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("REX_MODEL", str(TINY_MODEL if TINY_MODEL.is_dir() else EMBEDDED_MODEL))
    monkeypatch.setenv("REX_DEVICE", "cpu")
    monkeypatch.delenv("REX_DATABASE_URL", raising=False)
    return Settings(_env_file=None)


@pytest.fixture(params=KINDS)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database without tables: a file, and on the PostgreSQL server that TEST_POSTGRES_URL names a schema of its own.

    The schema is dropped afterwards.
    """
    if request.param == "sqlite":
        engine = open_database(f"sqlite:///{tmp_path / 'app.db'}")
        yield engine
        engine.dispose()
        return
    server = open_database(POSTGRES_URL)
    name = f"test_{uuid.uuid4().hex}"
    with server.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {name}"))
    engine = open_database(f"{POSTGRES_URL}?options=-csearch_path%3D{name}")
    yield engine
    engine.dispose()
    with server.begin() as connection:
        connection.execute(text(f"DROP SCHEMA {name} CASCADE"))
    server.dispose()

"""Databases for the tests of storage: a file, and a PostgreSQL server when TEST_POSTGRES_URL names one."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from core.storage.database import open_database

POSTGRES_URL = os.environ.get("TEST_POSTGRES_URL", "")
KINDS = ("sqlite", "postgresql") if POSTGRES_URL else ("sqlite",)


@pytest.fixture(params=KINDS)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database without tables; on PostgreSQL a schema of its own, which is dropped afterwards."""
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

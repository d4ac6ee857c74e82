"""What every room's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.config import EMBEDDED_MODEL, Settings

# Desks of tests answer no probes, unless the test gives them a port.
os.environ.setdefault("REX_HEALTH_PORT", "0")

REPOSITORY = Path(__file__).resolve().parent.parent
TINY_MODEL = REPOSITORY / "tests" / "fixtures" / "tiny"


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

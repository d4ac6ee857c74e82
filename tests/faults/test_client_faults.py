"""Thousands of requests from clients that send and read slowly: all are answered or told to come again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.slow_clients import Address, serving, storm

WAIT_S = 240


@pytest.fixture(scope="module")
def address(checkpoint_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    with serving(checkpoint_dir, tmp_path_factory.mktemp("data")) as address:
        yield address


def test_hundreds_of_slow_clients_are_answered_or_told_to_come_again(address: Address) -> None:
    found = storm(address, 250, wait_s=WAIT_S)
    assert not found.problem and found.answered >= found.requests // 10, found


@pytest.mark.slow
def test_thousands_of_slow_clients_are_answered_or_told_to_come_again(address: Address) -> None:
    found = storm(address, 5_000, wait_s=WAIT_S)
    assert not found.problem and found.answered >= found.requests // 10, found

"""Whether the process behind a token is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from core.jobs.lease import LEASE_S, is_gone, make_owner


def test_a_process_that_lives_and_says_so_is_not_gone() -> None:
    owner = make_owner()
    assert not is_gone(owner, datetime.now(UTC))
    assert owner != make_owner(), "two stretches of one process must not be taken for each other"


def test_a_process_that_is_silent_for_too_long_has_lost_its_jobs() -> None:
    owner = make_owner()
    assert not is_gone(owner, datetime.now(UTC) - timedelta(seconds=LEASE_S - 5))
    assert is_gone(owner, datetime.now(UTC) - timedelta(seconds=LEASE_S + 1))
    assert is_gone(owner, None)


def test_a_killed_process_is_gone_at_once() -> None:
    code = "from core.jobs.lease import make_owner; print(make_owner(), flush=True); input()"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
    assert process.stdout is not None
    owner = process.stdout.readline().strip()
    assert not is_gone(owner, datetime.now(UTC))
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended and nobody has asked how
    try:
        assert is_gone(owner, datetime.now(UTC)), "a zombie works no more"
    finally:
        process.communicate()
    assert is_gone(owner, datetime.now(UTC))


@pytest.mark.parametrize(("moved", "gone"), [(0, False), (60_000, True)])
def test_a_number_that_went_to_another_process_is_noticed(moved: int, gone: bool) -> None:
    host, pid, began, token = make_owner().rsplit("/", 3)
    boot, _, ticks = began.partition("+")
    assert is_gone(f"{host}/{pid}/{boot}+{int(ticks) - moved}/{token}", datetime.now(UTC)) is gone
    assert is_gone(f"{host}/{pid}/{'0' * 8}+{ticks}/{token}", datetime.now(UTC)), "the machine was started anew"


def test_of_another_machine_only_silence_tells() -> None:
    _, _, began, token = make_owner().rsplit("/", 3)
    owner = f"anderswo/999999/{began}/{token}"
    assert not is_gone(owner, datetime.now(UTC))
    assert is_gone(owner, datetime.now(UTC) - timedelta(seconds=LEASE_S + 1))

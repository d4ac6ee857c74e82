"""A process for the network that is started before it is known what to load."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.config import ROOT, Settings
from core.inference import standby
from core.inference.assembly import make_owner
from core.inference.owner import LocalOwner
from core.inference.owner_process import ProcessOwner

TINY = Path(__file__).parents[1] / "fixtures" / "tiny"
APART = Settings(model=str(TINY), device="cpu", worker="process")


@pytest.fixture(autouse=True)
def none_left() -> Iterator[None]:
    yield
    standby.dismiss()


def test_the_process_started_ahead_is_the_one_that_loads_and_only_one_is() -> None:
    assert standby.start_ahead(APART) and not standby.start_ahead(APART)
    (ahead,) = standby._ahead
    owner = ProcessOwner(APART)
    try:
        assert owner.load().pid == ahead.process.pid
        assert [name for name, _ in owner.load().stages] == ["device", "weights", "attention", "calibration"]
        assert not standby._ahead
    finally:
        owner.close()
    assert ahead.process.poll() == 0


def test_one_that_died_meanwhile_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    standby.start_ahead(APART)
    (ahead,) = standby._ahead
    ahead.process.kill()
    ahead.process.wait()
    taken = standby.take()
    try:
        assert taken.process.pid != ahead.process.pid and taken.process.poll() is None
    finally:
        standby.end(taken)


def test_none_is_started_where_the_network_stays_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standby, "NVIDIA", Path("/nowhere"))
    for settings in (Settings(worker="auto", device="auto"), Settings(worker="thread"), Settings(device="cpu")):
        assert not standby.start_ahead(settings)


def test_one_that_is_not_needed_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standby, "NVIDIA", Path("/"))  # a driver without a card that can be used
    assert standby.start_ahead(Settings(device="auto"))
    (ahead,) = standby._ahead
    assert isinstance(make_owner(Settings(device="auto"), "cpu"), LocalOwner)
    assert ahead.process.poll() is not None


def test_starting_one_needs_no_torch() -> None:
    code = "import json, sys, core.inference.standby; print(json.dumps([one for one in sys.modules if 'torch' in one]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert json.loads(done.stdout) == []

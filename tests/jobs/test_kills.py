"""A job whose process is killed: nothing is lost, nothing doubled. `python -m scripts.kill_jobs` does it at length."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.config import Settings
from scripts.kill_jobs import Tally, kill_and_count


def check(tally: Tally, *, documents: int, kills: int) -> None:
    assert (tally.state, tally.documents, tally.done, tally.failed) == ("done", documents, documents, 0)
    assert (tally.lost, tally.doubled, tally.waiting, tally.different) == (0, 0, 0, 0)
    assert tally.kills == kills
    assert all(0 < place < documents for place in tally.kills_at), "a kill came too late to mean anything"
    assert tally.findings > 0


def test_a_job_killed_three_times_reads_every_document_once(settings: Settings, checkpoint_dir: Path) -> None:
    chosen = settings.model_copy(update={"model": str(checkpoint_dir)})
    check(kill_and_count(chosen, documents=300, kills=3, characters=24, seed=1), documents=300, kills=3)


@pytest.mark.slow
def test_a_long_job_killed_twenty_times_reads_every_document_once(settings: Settings, checkpoint_dir: Path) -> None:
    chosen = settings.model_copy(update={"model": str(checkpoint_dir)})
    check(kill_and_count(chosen, documents=10_000, kills=20, characters=24, seed=2), documents=10_000, kills=20)

"""The soak of a desk counts what it asked, and names what was lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core import bootstrap
from core.config import Settings
from core.services import Application
from scripts.soak_desk import STAGE, STORED_EVERY, WHOLE, measure


@pytest.fixture
def app(settings: Settings, checkpoint_dir: Path) -> Iterator[Application]:
    app = bootstrap.build(settings)
    app.runner.start()
    yield app
    app.close()


def test_every_request_is_answered_and_counted_and_what_is_lost_is_named(app: Application) -> None:
    texts = ["刘志诚在广州市会见了陈静。", "李明昨天到了上海。", " "]  # the last one cannot be read
    report = measure(app, texts, minutes=1e-6, begun_rss=1)
    blank = sum(number % len(texts) == 2 for number in range(STAGE))
    assert (report["requests"], report["lost"]) == (STAGE, blank) and len(report["first_failures"]) == 5
    assert report["of_72_hours"] == WHOLE == 414_720 and len(report["rss_bytes"]) == 1
    assert report["stored_runs"] == len(range(0, STAGE, STORED_EVERY))
    assert report["rss_end_bytes"] >= report["rss_loaded_bytes"] > 0 and report["drift_pct"] is None

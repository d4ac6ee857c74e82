"""The table of how quick the desk is says what was measured, misses included."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.desk_figures import FILE, table

FIGURES = {
    "command": "python -m scripts.time_desk",
    "date": "2026-01-02",
    "environment": {"hardware": "a machine"},
    "load": {"before": 0.5, "pages": 1.75},
    "targets": {"first_paint_s": 2.0, "interaction_s": 0.3},
    "pages": {
        "overview": {
            **{"title_s": 1.5, "whole_s": 2.5, "again_s": 0.31, "again_whole_s": 0.5},
            **{"page_cpu_s": 1.2, "server_cpu_s": 0.4, "again_page_cpu_s": 0.25, "again_server_cpu_s": 0.05},
        },
        "gpu": {"visits": 0, "title_s": 2.01, "whole_s": 2.5, "again_s": 0.3, "again_whole_s": 0.5},
    },
    "big_document": {"characters": 20_000, "spans": 2_000, "review": {"open_s": 3.0, "next_s": 0.02, "accept_s": 0.4}},
    "sessions": {"sessions": 10, "all_answered_s": [2.0, 1.5], "mixed": 0, "mib_a_session": [4.0, 1.0]},
}


def test_what_misses_its_target_is_said_to_and_what_meets_it_is_not() -> None:
    lines = table(FIGURES).splitlines()
    assert "| overview | 1.50 | 2.50 | 0.31 (missed) | 1.20 + 0.40 | 0.25 + 0.05 |" in lines
    assert "| gpu | 2.01 (missed) | 2.50 | 0.30 | – | – |" in lines
    assert "| review | 3.00 | – | 0.02 | 0.40 |" in lines
    assert any("first paint in 2 s on 1 of 2 pages" in line and "300 ms on 1. Of 1 pages" in line for line in lines)


def test_what_was_not_measured_is_left_out() -> None:
    said = table({**FIGURES, "pages": {}, "sessions": None})
    assert "first paint" not in said and "sessions" not in said and "20,000" in said


def test_the_document_shows_the_kept_figures(repository: Path) -> None:
    if not FILE.is_file():
        pytest.skip(f"{FILE.relative_to(repository)} is not there: python -m scripts.time_desk makes it")
    document = (repository / "docs" / "desk.md").read_text("utf-8")
    assert table(json.loads(FILE.read_text("utf-8"))) in document

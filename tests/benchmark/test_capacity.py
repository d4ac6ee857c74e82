"""The table of capacity: made of kept runs, silent about nothing that is missing."""

from __future__ import annotations

from typing import Any

import pytest

from core.benchmark.capacity import BEGIN, END, MISSING, PAGE, table, with_table
from core.benchmark.summary import read_runs
from core.errors import FormatError


def run(date: str, hardware: str, **figures: Any) -> dict[str, Any]:
    """A full run on a card, with values or with whole figures."""
    given = {name: one if isinstance(one, dict) else {"value": one, "detail": {}} for name, one in figures.items()}
    about = {"date": date, "device": "cuda", "quick": False, "imitates": ""}
    return {**about, "environment": {"hardware": hardware}, "figures": given}


def rows(text: str) -> dict[str, str]:
    return {line.split("|")[1].strip(): line for line in text.splitlines()[2:]}


def test_the_operations_page_shows_the_kept_runs() -> None:
    page = PAGE.read_text("utf-8")
    assert with_table(page, read_runs()) == page, "python -m core benchmark --summary brings it up to date"


def test_what_was_not_measured_is_said_to_be_missing() -> None:
    made = rows(table([]))
    assert list(made) == ["CPU", "A10", "A100", "H200"]
    assert all(row.count(MISSING) == 3 for row in made.values())


def test_numbers_of_a_card_stand_in_its_row_the_newest_first_and_other_cards_get_a_row_of_their_own() -> None:
    loop = {"value": 41.2, "detail": {"asked_per_s": 300.0}}
    made = rows(
        table(
            [
                run("2026-01-01", "NVIDIA H200", docs_per_s_128=100.0, open_loop_p99_ms=loop),
                run("2026-01-02", "NVIDIA H200, 2", docs_per_s_128=1000.0, latency_p50_ms=5.0, latency_p99_ms=9.0),
                run("2026-01-03", "NVIDIA A100-SXM4-80GB", docs_per_s_128=None),
                run("2026-01-04", "NVIDIA L4", docs_per_s_128=10.0),
                run("2026-01-05", "NVIDIA A10", docs_per_s_128=1.0) | {"imitates": "A10"},
            ]
        )
    )
    assert list(made) == ["CPU", "A10", "A100", "H200", "NVIDIA L4"]
    assert "86.4 million (1,000 a second) | 3,000 (p99 41.2 ms) | 5 ms, 9 ms |" in made["H200"]
    assert made["A10"].count(MISSING) == made["A100"].count(MISSING) == 3
    assert "0.9 million" in made["NVIDIA L4"]


def test_users_who_would_wait_too_long_are_not_counted() -> None:
    loops = {"64": {"per_s": 1685.5, "p99_ms": 58.5}, "256": {"per_s": 1403.7, "p99_ms": 283.9}}
    late = {"value": 25_290.0, "detail": {"asked_per_s": 2909.0, "closed_loop": loops}}
    made = rows(table([run("2026-01-01", "NVIDIA H200", open_loop_p99_ms=late)]))
    assert "| 16,855 (p99 58.5 ms, closed loop) |" in made["H200"]
    late["detail"] = {"asked_per_s": 2909.0, "closed_loop": {"256": loops["256"]}}
    made = rows(table([run("2026-01-01", "NVIDIA H200", open_loop_p99_ms=late)]))
    assert made["H200"].count(MISSING) == 3


def test_a_page_without_its_markers_is_refused() -> None:
    with pytest.raises(FormatError, match="标记"):
        with_table(f"{BEGIN}", [])
    assert with_table(f"a{BEGIN}{END}z", []).startswith("a") and END + "z" in with_table(f"{BEGIN}{END}z", [])

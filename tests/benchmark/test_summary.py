"""Runs become one table, and the performance page shows that table and no other numbers."""

from __future__ import annotations

import json
import re

import pytest

from core.benchmark.figures import FIGURES, Measured
from core.benchmark.report import add, new_report, write_json
from core.benchmark.summary import (
    BEGIN,
    END,
    PAGE,
    RUNS,
    SUMMARY,
    merge,
    more_tables,
    read_runs,
    summarise,
    table,
    with_table,
)
from core.errors import FormatError


def _run(date: str, *measured: Measured, device: str = "cuda", quick: bool = False) -> dict:
    report = new_report({"hardware": f"card of {date}"}, command="python -m core benchmark", device=device, quick=quick)
    add(report, measured)
    return {**report, "date": date}


def test_every_name_of_the_table_is_in_the_summary_measured_or_not():
    summary = merge([])
    assert list(summary) == list(FIGURES) and len(summary) == 27
    assert all(one["value"] is None and one["reason"] and one["target"] for one in summary.values())


def test_the_newest_value_of_a_figure_wins_and_carries_its_source():
    runs = [
        _run("2026-01-01", Measured("docs_per_s_128", 100.0), Measured("loaded_gib", 0.9)),
        _run("2026-01-02", Measured("docs_per_s_128", 4321.7)),
    ]
    summary = merge(runs)
    assert summary["docs_per_s_128"] == {
        "value": 4322.0,
        "unit": "文档/秒",
        "target": "≥ 4,000",
        "command": "python -m core benchmark",
        "hardware": "card of 2026-01-02",
        "date": "2026-01-02",
        "holds": True,
    }
    assert summary["loaded_gib"]["hardware"] == "card of 2026-01-01"


def test_quick_runs_and_foreign_devices_do_not_count():
    runs = [
        _run("2026-01-01", Measured("docs_per_s_128", 9.0), quick=True),
        _run("2026-01-02", Measured("docs_per_s_128", 9.0), device="cpu"),
        _run("2026-01-03", Measured("cpu_ratio", 9.0), device="cuda"),
    ]
    summary = merge(runs)
    assert summary["docs_per_s_128"]["value"] is None
    assert summary["cpu_ratio"]["value"] is None


def test_a_figure_of_any_device_is_taken_from_a_card_where_there_is_one():
    cpu, card = (
        _run("2026-01-02", Measured("flip_pct", 0.5), device="cpu"),
        _run("2026-01-01", Measured("flip_pct", 0.1)),
    )
    assert merge([cpu])["flip_pct"]["value"] == 0.5
    assert merge([card, cpu])["flip_pct"]["value"] == 0.1


def test_a_missing_value_keeps_its_reason_and_an_older_value_stands():
    gone = Measured("ratio_flashdeberta", None, "没有安装 flashdeberta")
    assert merge([_run("2026-01-01", gone)])["ratio_flashdeberta"]["reason"] == "没有安装 flashdeberta"
    runs = [_run("2026-01-01", Measured("ratio_flashdeberta", 1.5)), _run("2026-01-02", gone)]
    assert merge(runs)["ratio_flashdeberta"]["value"] == 1.5


def test_the_table_says_what_was_not_measured_and_what_misses_its_target():
    summary = merge([_run("2026-01-01", Measured("latency_p50_ms", 9.5), Measured("soak_lost", 0.0))])
    rows = {row.split("`")[1]: row for row in table(summary).splitlines()[2:]}
    assert rows.keys() == FIGURES.keys()
    assert "**9.5** 毫秒（未达标）" in rows["latency_p50_ms"]
    assert "**0** 个 |" in rows["soak_lost"]
    assert "| 未测 |" in rows["docs_per_s_128"]
    assert len({row.count("|") for row in rows.values()}) == 1


def test_a_directory_of_runs_becomes_a_summary_and_a_page(tmp_path):
    runs, page = tmp_path / "runs", tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", "utf-8")
    write_json(runs / "a.json", _run("2026-01-01", Measured("loaded_gib", 0.5)))
    summary = summarise(runs, page)
    assert json.loads((runs / "summary.json").read_text("utf-8")) == summary
    written = page.read_text("utf-8")
    assert written.startswith("before") and written.endswith("after\n") and "old" not in written
    assert "**0.5** GiB" in written
    assert summarise(runs, page) == summary and page.read_text("utf-8") == written
    (runs / "b.json").write_text("{}", "utf-8")
    with pytest.raises(FormatError, match="b.json"):
        read_runs(runs)
    with pytest.raises(FormatError, match="标记"):
        with_table("no markers", [])


def test_the_page_shows_the_committed_summary_and_the_summary_the_committed_runs():
    summary = json.loads(SUMMARY.read_text("utf-8"))
    assert summary == merge(read_runs(RUNS))
    page = PAGE.read_text("utf-8")
    assert with_table(page, read_runs(RUNS)) == page


def test_runs_that_imitate_a_card_stand_apart(tmp_path):
    real, other = _run("2026-01-01", Measured("loaded_gib", 0.5)), _run("2026-01-02", Measured("loaded_gib", 0.7))
    other["imitates"] = "A10"
    assert merge([real, other])["loaded_gib"]["value"] == 0.5
    (part,) = more_tables([real, other])
    assert "| A10 | `loaded_gib` | 0.7 GiB |" in part


def test_closed_loops_stand_under_the_table():
    loop = {"per_s": 1234.5, "p50_ms": 3.21, "p99_ms": 9.87}
    run = _run("2026-01-01", Measured("open_loop_p99_ms", 50.0, "", {"closed_loop": {"8": loop}}))
    (part,) = more_tables([run])
    assert "| 8 | 1,234 | 3.2 | 9.9 |" in part
    assert part in with_table(f"{BEGIN}\n{END}", [run])


def test_each_target_is_the_agreed_one():
    targets = {name: figure.target_text for name, figure in FIGURES.items()}
    assert targets["ratio_naive_128"] == "≥ 60"
    assert targets["soak_lost"] == targets["budget_failures"] == "0"
    assert targets["tax_vs_bert_128"] == "≤ 1.5"
    assert all(re.fullmatch(r"0|[≤≥] [\d.,]+", text) for text in targets.values())

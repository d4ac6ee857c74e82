"""A whole run unattended: each scenario on its own, what fails is missing with its reason, what is done is written."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest

from core.benchmark import card_run, command
from core.benchmark.card_run import ALONE, TOGETHER, run_all
from core.benchmark.figures import FIGURES
from core.benchmark.report import new_report
from core.benchmark.summary import merge, read_runs


@pytest.fixture
def steps(monkeypatch):
    """Choose the steps of the run: names with seconds, those alone and those together."""

    def choose(alone: tuple[tuple[str, int], ...], together: tuple[tuple[str, int], ...] = ()) -> None:
        monkeypatch.setattr(card_run, "ALONE", alone)
        monkeypatch.setattr(card_run, "TOGETHER", together)

    return choose


def started(checkpoint_dir: Path, out: Path, *, limit_s: float = 60, quick: bool = True) -> dict:
    return run_all(
        new_report({"hardware": "here"}, command="python -m core benchmark --all", device="cpu", quick=quick),
        out,
        device="cpu",
        limit_s=limit_s,
        words=["--model", str(checkpoint_dir), *(["--quick"] if quick else [])],
        inputs=(None, None, checkpoint_dir),
        progress=lambda line: None,
    )


def test_every_figure_of_a_card_has_a_step():
    names = [name for name, _ in (*ALONE, *TOGETHER)]
    assert len(set(names)) == len(names)
    assert {one.scenario for one in FIGURES.values() if one.device != "cpu"} <= set(names)
    assert set(command.STUDIES) | {"tests"} == set(card_run.STUDIES)


def test_figures_of_all_steps_end_in_one_run_that_the_summary_can_read(tmp_path, checkpoint_dir, steps):
    steps((("precision", 60), ("peak", 60)), (("graphs", 60),))
    report = started(checkpoint_dir, tmp_path)
    assert report["figures"]["flip_pct"]["value"] >= 0
    assert "显卡" in report["figures"]["peak_reduction_pct"]["reason"]
    assert "Triton" in report["studies"]["graphs"]["reason"]
    assert json.loads((tmp_path / "run.json").read_text("utf-8")) == report
    (run,) = read_runs(tmp_path)
    assert list(merge([run])) == list(FIGURES)
    records = (tmp_path / "inputs" / "written.jsonl").read_text("utf-8").splitlines()
    assert len(records) > 3000  # enough to tell a difference of a thousandth
    assert "精度 float16" in (tmp_path / "logs" / "precision.txt").read_text("utf-8")


def test_a_step_that_takes_too_long_is_ended_with_its_processes_and_the_rest_goes_on(
    tmp_path, checkpoint_dir, steps, monkeypatch
):
    monkeypatch.setattr(card_run, "LEAST_S", 0)
    steps((("soak", 1), ("peak", 60)))
    begun = time.monotonic()
    report = started(checkpoint_dir, tmp_path)
    assert time.monotonic() - begun < 40
    assert all("超过 1 秒" in report["figures"][name]["reason"] for name in ("soak_lost", "soak_rss_drift_pct"))
    assert "显卡" in report["figures"]["peak_reduction_pct"]["reason"]
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert str(tmp_path / "logs" / "soak.json") not in left


def test_what_no_time_is_left_for_is_named_and_never_begun(tmp_path, checkpoint_dir, steps):
    steps((("latency", 60),), (("soak", 60),))
    report = started(checkpoint_dir, tmp_path, limit_s=1)
    assert all("时间用完" in report["figures"][name]["reason"] for name in ("latency_p50_ms", "soak_lost"))
    assert not list((tmp_path / "logs").iterdir())


def test_a_step_that_fails_says_how(tmp_path, checkpoint_dir, steps, monkeypatch):
    monkeypatch.setattr(card_run.sys, "executable", "/bin/false")
    monkeypatch.setattr(card_run, "_written", lambda directory: tmp_path / "none.jsonl")
    steps((("latency", 60),))
    report = started(checkpoint_dir, tmp_path)
    assert report["figures"]["latency_p50_ms"]["reason"].startswith("状态 1")


def test_a_whole_run_needs_a_directory_and_no_choice():
    with pytest.raises(SystemExit, match="--out"):
        command.main(["--all", "--device", "cpu"])
    with pytest.raises(SystemExit, match="--only"):
        command.main(["--all", "--device", "cpu", "--out", "x", "--only", "cpu"])

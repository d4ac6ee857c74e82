"""Every scenario runs from end to end: here with the tiny network on the CPU, where the numbers mean nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.benchmark import command, encoder, precision, soak, startup
from core.benchmark.bench import Bench
from core.benchmark.figures import FIGURES
from core.benchmark.network import SCHEMA, TYPES, few_spans_threshold, prompts_of_tokens, save_base
from core.benchmark.report import add, new_report
from core.benchmark.system import open_system
from core.benchmark.texts import SAMPLES, of_length, read_texts
from core.model.checkpoint import load_checkpoint
from core.model.config import RexConfig


@pytest.fixture
def bench(tmp_path: Path, checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("REX_DATA_DIR", str(tmp_path))
    made = Bench(
        device_name="cpu",
        dtype="auto",
        texts=read_texts(),
        records=SAMPLES / "finetune_check.jsonl",
        quick=True,
        scratch=tmp_path,
        progress=lambda line: None,
        model=checkpoint_dir,
    )
    made.base = checkpoint_dir
    return made


@pytest.mark.parametrize("name", [name for name in command.SCENARIOS if name not in ("soak", "start", "encoder")])
def test_a_scenario_gives_all_its_figures(bench, name):
    found = {one.name: one for one in command.SCENARIOS[name](bench)}
    assert found.keys() == {figure.name for figure in FIGURES.values() if figure.scenario == name}
    report = new_report({}, command="", device="cpu", quick=True)
    add(report, list(found.values()))
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    for one in found.values():
        assert (one.value is None) == bool(one.reason)
    if name in ("throughput", "windows", "latency", "load", "cpu", "precision"):
        assert all(one.value is not None and one.value >= 0 for one in found.values())
    if name in ("throughput", "cpu"):
        assert all(one.detail["equal_answers"] == 1.0 for one in found.values())
    if name in ("loaded", "budget", "peak"):
        assert all("显卡" in one.reason for one in found.values())


def test_a_sample_too_small_for_the_target_gives_no_value(bench):
    bench.quick = False
    bench.texts = bench.texts[:3]
    found = {one.name: one for one in precision.measure(bench)}
    assert found["flip_pct"].value is None and "分辨不出" in found["flip_pct"].reason
    assert found["f1_delta"].value is None and "只有 20 条记录" in found["f1_delta"].reason


def test_the_encoder_is_weighed_against_a_plain_one(bench, monkeypatch):
    monkeypatch.setattr(encoder, "BATCHES", {128: 2})
    found = {one.name: one for one in encoder.measure(bench)}
    assert found["tax_vs_bert_128"].value > 0
    assert found["encoder_mfu_128"].value is None and "峰值" in found["encoder_mfu_128"].reason


def test_a_soak_with_a_killed_worker_and_memory_errors_loses_nothing(bench):
    found = {one.name: one for one in soak.measure(bench)}
    assert found["soak_lost"].value == 0, found["soak_lost"].detail
    detail = found["soak_lost"].detail
    assert detail["engine"]["worker"] == "process"
    assert detail["with_ooms"]["engine"]["events"]["oom"] > 0
    assert found["soak_rss_drift_pct"].value is not None
    assert "读数不够" in found["soak_reserved_drift_pct"].reason  # without a card nothing is reserved


def test_the_start_of_a_process_is_timed_to_its_first_answer(bench):
    (one,) = startup.measure(bench)
    assert one.name == "start_s_cpu"
    assert 0.3 < one.value < 100
    stages = one.detail["stages_s"]
    assert 0 < stages["begun"] < stages["imported"] < stages["loaded"] < stages["answered"]
    assert "load_calibration" in stages


def test_a_failing_scenario_is_missing_and_says_why(bench, monkeypatch):
    def broken(bench: Bench) -> list:
        raise ValueError("no luck")

    monkeypatch.setitem(command.SCENARIOS, "cpu", broken)
    (one,) = command._measured(bench, "cpu")
    assert (one.name, one.value, one.reason) == ("cpu_ratio", None, "ValueError: no luck")


def test_the_benchmark_network_has_the_official_shape_and_few_spans(tmp_path, checkpoint_dir):
    small = RexConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, conv_kernel_size=3
    )
    directory = save_base(tmp_path / "base", config=small, tokenizer_from=checkpoint_dir)
    checkpoint = load_checkpoint(str(directory), device="cpu")
    assert "plm.encoder.conv.conv.weight" in checkpoint.model.state_dict()
    texts = of_length(read_texts(), 4, length=128)
    threshold = few_spans_threshold(directory, texts)
    assert 0 < threshold < 1
    with open_system(directory, device="cpu", threshold=threshold) as system:
        found = system.annotate(system.items(texts, SCHEMA))
    assert 0 < sum(len(one.annotations) for one in found) <= 6 * len(texts)
    assert {one.type for result in found for one in result.annotations} <= set(TYPES)


def test_prompts_are_cut_to_the_token(checkpoint_dir):
    checkpoint = load_checkpoint(str(checkpoint_dir), device="cpu")
    prompts = prompts_of_tokens(of_length(read_texts(), 3, length=400), checkpoint, length=128)
    assert [len(prompt) for prompt in prompts] == [128] * 3
    with pytest.raises(ValueError, match="fewer"):
        prompts_of_tokens(["短"], checkpoint, length=128)


@pytest.mark.gpu
def test_a_quick_run_on_a_card_leaves_out_nothing_but_what_is_not_installed(tmp_path):
    out = tmp_path / "run.json"
    command.main(["--device", "cuda", "--quick", "--out", str(out)])
    figures = json.loads(out.read_text("utf-8"))["figures"]
    assert figures.keys() == {figure.name for figure in FIGURES.values() if figure.device != "cpu"}
    reasons = {name: one["reason"] for name, one in figures.items() if one["value"] is None}
    assert not {name for name, reason in reasons.items() if "没有安装" not in reason}, reasons

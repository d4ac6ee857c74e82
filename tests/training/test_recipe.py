"""The recipe of the included model: which commands it runs, and what it does when one fails."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from core.training import options as finetuning
from core.training import pretrain as pretraining
from scripts import train_included as recipe


def options_for(folder: Path, **changes: object) -> recipe.Options:
    return recipe.Options(folder / "work", folder / "converted", folder / "corpus", folder / "heldout.txt", **changes)  # type: ignore[arg-type]


def records(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "stages.jsonl").read_text("utf-8").splitlines()]


def shell(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Every stage runs this code, with the number of cards as its argument."""
    monkeypatch.setattr(recipe, "command", lambda stage: [sys.executable, "-c", code, str(len(stage.cards))])


def test_the_commands_are_options_that_the_trainers_know(tmp_path: Path) -> None:
    options = options_for(tmp_path, cards=2)
    init = recipe.EMBEDDED_MODEL
    masked = recipe.pretrain(options, "encoder", init=init, seconds=100, cards=(0, 1), generator=init)
    assert pretraining.parse(list(masked.arguments)).generator == init
    tuned = recipe.finetune(options, "model", init=init, seconds=100, cards=(0, 1), without=recipe.LEFT_OUT)
    given = finetuning.parse_arguments(list(tuned.arguments))
    assert (given.without, given.seconds) == (recipe.LEFT_OUT, 100.0)
    assert "--nproc-per-node=2" in recipe.command(tuned)
    assert "torch.distributed.run" not in recipe.command(recipe.streams(options))


def test_a_stage_whose_output_is_there_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shell(monkeypatch, "raise SystemExit('must not run')")
    done = recipe.Stage("encoder", "nothing", (), tmp_path, 10)
    assert recipe.run(done, tmp_path / "work")
    assert not (tmp_path / "work").exists()


def test_what_fails_on_two_cards_is_tried_on_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "config.json"
    code = f"import sys, pathlib; sys.exit(3) if sys.argv[1] == '2' else pathlib.Path({str(output)!r}).write_text('x')"
    shell(monkeypatch, code)
    assert recipe.run(recipe.Stage("model", "nothing", (), output, 10, (0, 1)), tmp_path)
    assert [(one["cards"], one["status"]) for one in records(tmp_path)] == [([0, 1], 3), ([0], 0)]


def test_a_stage_beyond_its_limit_is_ended_and_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "GRACE_S", 0)
    shell(monkeypatch, "import time; time.sleep(60)")
    assert not recipe.run(recipe.Stage("model", "nothing", (), tmp_path / "config.json", 0.5), tmp_path)
    (line,) = records(tmp_path)
    assert line["status"] == -9
    assert 0.5 <= float(str(line["seconds"])) < 20


def test_a_failed_run_names_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shell(monkeypatch, "print('no such card'); raise SystemExit(1)")
    with pytest.raises(SystemExit, match="model.log"):
        recipe.train(options_for(tmp_path, pretrain=0.0))
    assert "no such card" in (tmp_path / "work" / "model.log").read_text("utf-8")

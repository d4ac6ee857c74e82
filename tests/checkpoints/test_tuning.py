"""Fine-tuning on corrections: records, process, curve, cancelling, a killed process, a killed desk, keeping."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core import bootstrap, model_services, tuning_services
from core.checkpoints.corrections import held_back, is_held_back, write_records
from core.checkpoints.files import read_licence, read_origin, wrong_files
from core.checkpoints.installed import TUNED
from core.checkpoints.tuning_process import STATE, thinned
from core.config import Settings
from core.errors import BusyError, InputError, StorageError
from core.services import Application
from core.storage import tuning_store
from core.storage.tuning_store import Tuning
from core.training.heldout import normalised_sha1
from core.tuning_services import TuningOrder

WAIT_S = 300.0
Reviewed = Callable[..., int]


def order(run: int, name: str = "mine", **options: object) -> TuningOrder:
    return TuningOrder((run,), name, **({"epochs": 2, "device": "cpu", "tokens": 256} | options))  # type: ignore[arg-type]


def until(app: Application, number: int, holds: Callable[[Tuning], bool]) -> Tuning:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        tuning = tuning_services.get_tuning(app, number)
        if holds(tuning):
            return tuning
        threading.Event().wait(0.1)
    raise AssertionError(f"nothing happened: {tuning}")


def pid(tuning: Tuning) -> int:
    return int(tuning.owner.split("/")[1])


def test_the_hash_of_a_text_decides_whether_it_is_held_back(
    app: Application, reviewed: Reviewed, tmp_path: Path
) -> None:
    runs = [reviewed(40), reviewed(30, task="ner")]
    found = write_records(app.database, runs, tmp_path / "out")
    lines = {
        part: [json.loads(line) for line in (tmp_path / "out" / f"corrections.{part}.jsonl").open(encoding="utf-8")]
        for part in ("train", "dev")
    }
    texts = {part: {normalised_sha1(row["text"]) for row in rows} for part, rows in lines.items()}
    assert not texts["train"] & texts["dev"] and texts["train"] == set(found.trained)
    assert all(is_held_back(one) for one in texts["dev"]) and not any(map(is_held_back, texts["train"]))
    assert (found.documents, found.held_back, found.records) == (40, len(texts["dev"]), 40)  # the newer run counts
    assert {row["source"] for rows in lines.values() for row in rows} == {"corrections"}
    assert len(held_back(f"{n:040x}" for n in range(2**31, 2**31 + 9))) >= 4


def test_too_few_corrections_are_said_with_the_number_that_is_missing(app: Application, reviewed: Reviewed) -> None:
    run = reviewed(17)
    assert tuning_services.missing_documents(tuning_services.correction_runs(app)) == 3
    with pytest.raises(InputError, match="只有 17 篇.*至少需要 20 篇.*再完成 3 篇"):
        tuning_services.start_tuning(app, order(run))
    assert not list((app.settings.data_dir / "cache").rglob("*.jsonl"))
    for name in ("../x", "", "a b", "first"):
        with pytest.raises(InputError, match="名称|已有名为"):
            tuning_services.start_tuning(app, order(run, name))


def test_a_killed_process_goes_on_behind_its_last_pass_and_the_result_is_kept(
    app: Application, reviewed: Reviewed
) -> None:
    run = reviewed(24)
    number = tuning_services.start_tuning(app, order(run, epochs=3))
    with pytest.raises(BusyError):
        tuning_services.start_tuning(app, order(run, "other"))
    running = until(app, number, lambda one: any("held_back_loss" in point for point in one.history))
    os.kill(pid(running), signal.SIGKILL)
    failed = until(app, number, lambda one: one.state != "running")
    assert failed.state == "failed" and "退出码 -9" in failed.error
    tuning_services.resume_tuning(app, number)
    done = until(app, number, lambda one: one.state != "running")
    assert done.state == "done", done.error
    assert [row["task"] for row in done.scores["before"]] == [row["task"] for row in done.scores["after"]] == ["ner"]
    assert done.scores["after"][0]["rows"] == done.data["held_back"] >= 4
    passes = [point for point in done.history if "held_back_loss" in point]
    assert [point["epoch"] for point in passes] == [1, 2, 3]
    assert passes[2]["held_back_loss"] < passes[0]["held_back_loss"]
    assert [point["step"] for point in done.history] == sorted(point["step"] for point in done.history)
    source = tuning_services.keep_tuning(app, number)
    one = model_services.find_checkpoint(app, "mine")
    assert (one.source, one.kind, one.base) == (source, TUNED, app.settings.model_source)
    assert one.has_sums and wrong_files(one.directory) == [] and not Path(done.folder).exists()
    assert read_origin(one.directory)["trained"] == list(done.data["trained"]) and read_licence(one.directory) == ""
    assert model_services.use_checkpoint(app, "mine").source == source
    with pytest.raises(StorageError, match="不能保留"):
        tuning_services.keep_tuning(app, number, "again")
    assert tuning_services.estimate_s(app, characters=1000, epochs=3) > 0


@pytest.mark.slow
def test_a_cancelled_one_ends_at_once_and_leaves_nothing_when_discarded(app: Application, reviewed: Reviewed) -> None:
    number = tuning_services.start_tuning(app, order(reviewed(30), epochs=500, patience=500))
    running = until(app, number, lambda one: bool(one.history))
    process = pid(running)
    tuning_services.cancel_tuning(app, number)
    assert tuning_store.get(app.database, number).state == "cancelled"
    assert not Path(f"/proc/{process}").exists()
    tuning_services.discard_tuning(app, number)
    assert not Path(running.folder).exists()
    with pytest.raises(StorageError, match="不能继续"):
        tuning_services.resume_tuning(app, number)


@pytest.mark.slow
def test_the_next_desk_goes_on_where_a_killed_one_stopped(
    app: Application, reviewed: Reviewed, desk_settings: Settings
) -> None:
    number = tuning_services.start_tuning(app, order(reviewed(30), epochs=12, patience=12))
    until(app, number, lambda one: any("held_back_loss" in point for point in one.history))
    app.tuner.close()  # what the end of the desk does, however it ends: the pipe closes
    left = tuning_store.get(app.database, number)
    assert left.state == "running" and not Path(f"/proc/{pid(left)}").exists()
    assert (Path(left.folder) / STATE).is_file()
    later = bootstrap.build(desk_settings)
    try:
        tuning_services.take_up(later)
        done = until(later, number, lambda one: one.state != "running")
        assert (done.state, done.attempts) == ("done", 2), done.error
        assert [point["epoch"] for point in done.history if "held_back_loss" in point] == list(range(1, 13))
    finally:
        later.close()


def test_a_long_curve_keeps_the_end_of_every_pass() -> None:
    points = [{"step": n, **({"held_back_loss": 1.0} if n % 10 == 0 else {})} for n in range(401)]
    short = thinned(points, 400)
    assert len(short) < 250 and [p for p in short if "held_back_loss" in p] == [p for p in points if len(p) > 1]

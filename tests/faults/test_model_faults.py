"""The card out of memory or lost, weights damaged bit by bit, the clock set: at the seams where each comes in."""

from __future__ import annotations

import pickle
import shutil
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from core.benchmark import faults
from core.checkpoints.files import file_sha256, write_sums, wrong_files
from core.config import Settings
from core.errors import CheckpointError, GpuMemoryError, RexError
from core.gpu.meter import NoMeter
from core.gpu.torch_meter import TorchMeter
from core.inference import worker
from core.inference.engine import Engine, Item
from core.inference.owner import LocalOwner, blank, from_settings
from core.inference.owner_process import ProcessOwner
from core.inference.packing import Ragged, line_up
from core.inference.prompts import Hint, Prompt
from core.inference.scheduler import Scheduler
from core.jobs import lease
from core.jobs.lease import ClockWatch, is_gone, make_owner
from core.jobs.runner import JobRunner
from core.model.checkpoint import load_checkpoint, read_files
from core.schemas.schema import parse_schema
from core.tasks import TASKS
from core.types import Document

TINY = Path(__file__).parents[1] / "fixtures" / "tiny"
SENTENCE = "小说家陈静1972年3月出生于杭州，毕业于浙江大学，丈夫是画家林涛。"
SCHEMA = parse_schema({"人物": None, "地理位置": None})


@pytest.fixture
def tiny(settings: Settings) -> Settings:
    return settings.model_copy(update={"model": str(TINY), "cpu_threads": 1})


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    target = tmp_path / "model"
    shutil.copytree(TINY, target)
    return target


def ask(engine: Engine, count: int) -> list[tuple[str, int]]:
    items = [Item(Document(f"{n}。{SENTENCE}"), TASKS["ner"], SCHEMA) for n in range(count)]
    results = dict(engine.annotate(items))
    return [(results[n].error, len(results[n].annotations)) for n in range(count)]


def engine_of(owner: LocalOwner) -> Engine:
    files = read_files(str(TINY))
    return Engine(files, scheduler=Scheduler(owner, pad_id=files.tokenizer.pad_id, batch_tokens=512))


@pytest.mark.parametrize("every", [2, 3])
def test_requests_are_all_answered_though_passes_run_out_of_memory(
    tiny: Settings, every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the error that PyTorch raises on a card, judged as it is there."""
    events: list[str] = []
    monkeypatch.setattr(faults, "_error", lambda governor: torch.OutOfMemoryError("CUDA out of memory"))
    monkeypatch.setattr(NoMeter, "is_out_of_memory", TorchMeter.is_out_of_memory)

    load = faults.failing(from_settings(tiny), every=every)
    engine = engine_of(LocalOwner(load, record=lambda kind, text: events.append(kind)))
    whole = engine_of(LocalOwner(from_settings(tiny)))
    try:
        assert ask(engine, 60) == ask(whole, 60)
        assert events.count("oom") >= 2
    finally:
        engine.close()
        whole.close()


def test_errors_of_torch_are_told_apart_as_memory_fault_of_the_card_or_neither() -> None:
    meter = TorchMeter.__new__(TorchMeter)  # asks no card for this
    memory = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    lost = getattr(torch, "AcceleratorError", RuntimeError)("CUDA error: an illegal memory access was encountered")
    assert meter.is_out_of_memory(memory) and not worker.is_fault(memory)
    assert worker.is_fault(lost) and not meter.is_out_of_memory(lost)
    assert not worker.is_fault(GpuMemoryError("显存不足"))


def test_a_fault_of_the_card_ends_the_process_of_the_model_and_no_other_error_does(tiny: Settings) -> None:
    """What the process of the model does with a sticky error: it says so and ends, so that a new one is started."""
    owner = LocalOwner(from_settings(tiny))
    owner.load()
    real = owner.compute
    kinds = [
        (getattr(torch, "AcceleratorError", RuntimeError)("CUDA error: unspecified launch failure"), True),
        (RuntimeError("CUBLAS_STATUS_EXECUTION_FAILED"), True),
        (RuntimeError("shape mismatch"), False),
    ]
    for error, fatal in kinds:

        def broken(packed: Any, error: Exception = error) -> Any:
            raise error

        owner.compute = broken  # type: ignore[method-assign]
        reply = worker._reply(owner, "run", blank(1, 16))
        assert reply.fault is fatal and reply.value is None and str(error) in str(reply.error)
    owner.compute = real  # type: ignore[method-assign]
    assert worker._reply(owner, "run", blank(1, 16)).error is None
    owner.close()


def asked() -> Ragged:
    """Two texts of which nothing is asked."""
    hint = Hint(np.zeros((4, 2), np.int32), (), np.zeros(0, np.int32))
    prompt = Prompt(hint, np.full(21, 5, np.int32), np.zeros((21, 2), np.int32), None, 3)
    return line_up([prompt] * 2, [0.5] * 2, pad_id=0)


class LosesCardOnce:
    """A batch that meets a sticky error of CUDA in the first process that reads it, and none in the next."""

    def __init__(self, flag: Path) -> None:
        self.flag = str(flag)

    def __reduce__(self) -> Any:
        words = "CUDA error: an illegal memory access was encountered"
        lengths = f"property(lambda self: (_ for _ in ()).throw(RuntimeError({words!r})))"
        lost = f"(open({self.flag!r}, 'w').close(), type('Lost', (), {{'lengths': {lengths}}})())[1]"
        whole = f"__import__('pickle').loads({pickle.dumps(asked())!r})"
        return eval, (f"{whole} if __import__('os').path.exists({self.flag!r}) else {lost}",)


def test_a_sticky_error_in_the_process_of_the_model_brings_a_new_one_that_answers(
    tiny: Settings, tmp_path: Path
) -> None:
    events: list[tuple[str, str]] = []
    owner = ProcessOwner(tiny, record=lambda kind, text: events.append((kind, text)))
    try:
        first = owner.load().pid
        assert owner.run(cast(Any, LosesCardOnce(tmp_path / "lost"))).bounds.tolist() == [0, 0, 0]
        assert owner.load().pid != first
        assert [kind for kind, _ in events] == ["model", "restart", "model"] and "CUDA error" in events[1][1]
    finally:
        owner.close()


def test_flipped_bits_are_found_by_the_hash_and_never_crash_the_loading(copy: Path) -> None:
    """In 24 places over all files: loading succeeds (a weight is another number) or is refused in words."""
    names = sorted(one.name for one in copy.iterdir() if one.is_file())
    write_sums(copy, {name: file_sha256(copy / name) for name in names})
    refused = 0
    for number in range(24):
        path = copy / names[number % len(names)]
        whole = path.read_bytes()
        data = bytearray(whole)
        place = (number * 7919) % min(len(data), 4000)
        data[place] ^= 1 << number % 8
        path.write_bytes(data)
        assert any(path.name in fault for fault in wrong_files(copy))
        try:
            load_checkpoint(str(copy), device="cpu")
        except RexError as error:
            refused += 1
            assert isinstance(error, CheckpointError) and any("\u4e00" <= one <= "\u9fff" for one in str(error))
        path.write_bytes(whole)
    assert refused >= 3
    load_checkpoint(str(copy), device="cpu")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.999])
def test_a_cut_weight_file_is_refused_in_words(copy: Path, share: float) -> None:
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: int(weights.stat().st_size * share)])
    with pytest.raises(CheckpointError, match="已损坏或不完整"):
        load_checkpoint(str(copy), device="cpu")


class Clock:
    """A wall clock that can be set; the steady one goes on."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.set_by = 0.0
        self.passed = 0.0
        clock = self

        class Now(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return datetime.fromtimestamp(1_800_000_000 + clock.passed + clock.set_by, UTC)

        patch.setattr(lease, "datetime", Now)
        patch.setattr(lease.time, "time", lambda: 1_800_000_000 + self.passed + self.set_by)
        patch.setattr(lease.time, "monotonic", lambda: self.passed)

    def now(self) -> datetime:
        return datetime.fromtimestamp(1_800_000_000 + self.passed + self.set_by, UTC)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    with monkeypatch.context() as patch:
        yield Clock(patch)


@pytest.mark.parametrize("jump", [3600.0, -3600.0, 86_400.0 * 400])
def test_after_a_jump_of_the_clock_nobody_is_robbed_and_the_dead_are_found(clock: Clock, jump: float) -> None:
    watch, owner = ClockWatch(), make_owner()
    elsewhere = owner.replace(owner.partition("/")[0], "anderswo")
    assert watch.is_steady()
    beat = clock.now()
    clock.passed, clock.set_by = 1.0, jump
    assert not watch.is_steady(), "the others have not spoken since: nobody is judged"
    assert is_gone(elsewhere, beat), "which judging by the clock would get wrong"
    clock.passed = 5.0
    assert not watch.is_steady()
    clock.passed = 20.0
    assert watch.is_steady()
    assert not is_gone(owner, clock.now()), "who spoke since is there, though it began before"
    assert is_gone(elsewhere, beat), "who did not is gone, also when its last words lie in the future now"


def test_a_clock_that_is_corrected_a_little_changes_nothing(clock: Clock) -> None:
    watch = ClockWatch()
    for second in range(60):
        clock.passed, clock.set_by = float(second), second * 0.05
        assert watch.is_steady()
        assert not is_gone(make_owner(), clock.now() - timedelta(seconds=2))


def test_a_runner_does_not_look_for_the_lost_while_the_clock_is_unsteady(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = JobRunner(cast(Any, None), source="", reader=cast(Any, None))
    looked: list[float] = []
    monkeypatch.setattr("core.jobs.runner.release_lost", lambda database: looked.append(time.monotonic()))
    runner._release_lost()
    monkeypatch.setattr(runner._clock, "_seen", (time.time() - 3600, time.monotonic()))
    runner._release_lost()
    assert len(looked) == 1
    runner.close()


@pytest.mark.slow  # the library tries again and again
def test_a_hub_that_refuses_connections_leaves_both_ways_to_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:  # bound and not listening: whoever calls is refused
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", f"http://127.0.0.1:{taken.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(
            CheckpointError, match="(?s)无法从 ModelScope 取得模型 some/model.*联网后重试.*复制检查点目录"
        ):
            read_files("some/model", download_dir=tmp_path)
    assert time.monotonic() - began < 60

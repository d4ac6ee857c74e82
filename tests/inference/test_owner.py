"""Who holds the network: in this process and in one of its own, with crashes, unloading and odd `__main__`s."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import psutil
import pytest
import torch

from core.config import Settings
from core.errors import CheckpointError, WorkerError
from core.inference import standby, worker
from core.inference.engine import Engine, Item
from core.inference.owner import LocalOwner, Recalled, from_settings
from core.inference.owner_process import ProcessOwner
from core.inference.packing import Ragged, line_up
from core.inference.prompts import Group, PieceEncoder, assemble, build_hints
from core.inference.scheduler import Scheduler
from core.model.checkpoint import read_files
from core.model.tokenizer import RexTokenizer
from core.schemas.schema import parse_schema
from core.tasks import TASKS
from core.types import Document

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "fixtures" / "tiny"
TOKENIZER = RexTokenizer.from_directory(TINY)
SENTENCE = "小说家陈静1972年3月出生于杭州，毕业于浙江大学，丈夫是画家林涛。"
WAIT_S = 30.0


@pytest.fixture
def tiny(settings: Settings) -> Settings:
    return settings.model_copy(update={"model": str(TINY), "cpu_threads": 1})


class Diary(list[tuple[str, str]]):
    """What the owners record."""

    def __call__(self, kind: str, text: str) -> None:
        self.append((kind, text))

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self]


@pytest.fixture
def diary() -> Diary:
    return Diary()


@pytest.fixture(scope="module")
def steady() -> Iterator[ProcessOwner]:
    """One process for the tests that leave it as it is."""
    owner = ProcessOwner(Settings(_env_file=None, model=str(TINY), device="cpu", cpu_threads=1))  # type: ignore[call-arg]
    yield owner
    owner.close()


@pytest.fixture
def apart(tiny: Settings, diary: Diary) -> Iterator[ProcessOwner]:
    owner = ProcessOwner(tiny, record=diary)
    yield owner
    owner.close()


def _batch() -> Ragged:
    """Three texts in which every link counts as fired."""
    (hint,), _ = build_hints([Group((), ("人物", "时间"))], PieceEncoder(TOKENIZER))
    encoded = [TOKENIZER.encode_text(text) for text in (SENTENCE, "陈静出生于杭州。", "丈夫是画家林涛")]
    prompts = [assemble(hint, one.ids, one.offsets, TOKENIZER) for one in encoded]
    return line_up(prompts, [0.0] * len(prompts), pad_id=TOKENIZER.pad_id)


def _gone(pid: int) -> bool:
    deadline = time.monotonic() + WAIT_S
    threads = Path(f"/proc/{pid}/task")
    while time.monotonic() < deadline:
        ended = not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        # A process whose first thread has ended looks like a zombie while the others still end.
        if ended and (not threads.is_dir() or len(list(threads.iterdir())) < 2):
            return True
        time.sleep(0.05)
    return False


def test_both_owners_give_the_same_answers(tiny: Settings, steady: ProcessOwner) -> None:
    local, apart = LocalOwner(from_settings(tiny)), steady
    assert (local.loaded, local.info, apart.loaded, apart.info) == (False, None, False, None)
    here, there = local.run(_batch()), apart.run(_batch())
    assert len(here.spans) > 100
    assert np.array_equal(here.spans, there.spans)
    assert np.array_equal(here.probabilities, there.probabilities)
    assert local.info is not None and apart.info is not None
    assert (local.info.worker, local.info.pid) == ("thread", os.getpid())
    assert (apart.info.worker, apart.info.pid == os.getpid()) == ("process", False)
    assert apart.info.parameters == local.info.parameters > 0
    assert apart.status() is not None and apart.cards() == local.cards() == {}


def test_the_process_reports_its_own_memory(steady: ProcessOwner) -> None:
    steady.load()
    assert steady.info is not None
    real = psutil.Process(steady.info.pid).memory_info().rss
    assert steady.memory().rss_bytes == pytest.approx(real, rel=0.1)
    assert steady.flush().before.rss_bytes == pytest.approx(real, rel=0.1)
    steady.trim()


def test_a_killed_process_is_replaced_and_the_answer_still_comes(apart: ProcessOwner, diary: Diary) -> None:
    before = apart.run(_batch())
    assert apart.info is not None
    first = apart.info.pid
    apart.start(_batch())
    os.kill(first, signal.SIGKILL)
    after = apart.finish()
    assert np.array_equal(before.probabilities, after.probabilities)
    assert apart.info.pid != first
    assert diary.kinds == ["model", "restart", "model"]
    os.kill(apart.info.pid, signal.SIGKILL)  # while nothing runs
    assert _gone(apart.info.pid) and not apart.loaded
    assert np.array_equal(before.probabilities, apart.run(_batch()).probabilities)
    assert diary.kinds == ["model", "restart", "model"] + ["restart", "model"]


class Poison:
    """Ends the process that unpickles it."""

    def __reduce__(self) -> Any:
        return os._exit, (3,)


def test_a_batch_that_kills_two_processes_ends_in_a_clear_error_and_the_next_one_is_answered(
    apart: ProcessOwner, diary: Diary
) -> None:
    apart.load()
    with pytest.raises(WorkerError, match="连续两次退出：退出码 3"):
        apart.run(Poison())  # type: ignore[arg-type]
    assert diary.kinds == ["model", "restart", "model"]
    assert len(apart.run(_batch()).probabilities) > 100


def test_an_error_that_is_no_fault_leaves_the_process_alone(steady: ProcessOwner) -> None:
    steady.load()
    assert steady.info is not None
    first = steady.info.pid
    wrong = replace(_batch(), text_sizes=np.ones(5, np.int32))
    with pytest.raises(RuntimeError, match="Error: "):
        steady.run(wrong)
    assert len(steady.run(_batch()).probabilities) > 100
    assert steady.info.pid == first


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (RuntimeError("CUDA error: an illegal memory access was encountered"), True),
        (RuntimeError("CUDA error: device-side assert triggered"), True),
        (RuntimeError("CUBLAS_STATUS_EXECUTION_FAILED when calling cublasGemmEx"), True),
        (getattr(torch, "AcceleratorError", RuntimeError)("CUDA error: unspecified launch failure"), True),
        (torch.OutOfMemoryError("CUDA out of memory"), False),
        (RuntimeError("shape mismatch"), False),
        (ValueError("no"), False),
    ],
)
def test_a_lost_card_is_told_from_other_errors(error: Exception, lost: bool) -> None:
    assert worker.is_fault(error) is lost


def test_the_process_takes_a_second_batch_and_gives_it_back_when_it_has_not_begun(steady: ProcessOwner) -> None:
    steady.load()
    (hint,), _ = build_hints([Group((), ("人物", "时间"))], PieceEncoder(TOKENIZER))
    text = TOKENIZER.encode_text(SENTENCE * 4)
    long = line_up([assemble(hint, text.ids, text.offsets, TOKENIZER)] * 200, [0.99] * 200, pad_id=TOKENIZER.pad_id)
    short = steady.run(_batch())
    steady.start(long)
    steady.start(_batch())
    assert len(steady.finish().bounds) == 201
    assert np.array_equal(steady.finish().spans, short.spans)
    steady.start(long)
    steady.start(_batch())
    steady.recall()
    assert len(steady.finish().bounds) == 201
    with pytest.raises(Recalled):
        steady.finish()
    steady.recall()  # nothing waits
    assert np.array_equal(steady.run(_batch()).spans, short.spans)


def test_a_batch_is_not_blamed_for_the_one_behind_it(apart: ProcessOwner, diary: Diary) -> None:
    before = apart.run(_batch())
    apart.start(_batch())
    apart.start(Poison())  # type: ignore[arg-type]
    assert np.array_equal(apart.finish().spans, before.spans)
    with pytest.raises(WorkerError, match="连续两次退出：退出码 3"):
        apart.finish()
    assert np.array_equal(apart.run(_batch()).spans, before.spans)


def test_unloading_ends_the_process_and_the_next_batch_starts_one(apart: ProcessOwner, diary: Diary) -> None:
    apart.load()
    assert apart.info is not None
    first = apart.info.pid
    apart.unload()
    assert not apart.loaded and apart.status() is None and not psutil.pid_exists(first)
    assert apart.memory().rss_bytes == apart.flush().before.rss_bytes == 0
    assert len(apart.run(_batch()).probabilities) > 100
    assert diary.kinds == ["model", "unload", "model"]


def test_closing_leaves_no_process_and_starts_none(tiny: Settings) -> None:
    owner = ProcessOwner(tiny)
    pid = owner.load().pid
    owner.close()
    assert not psutil.pid_exists(pid)
    with pytest.raises(WorkerError, match="正在关闭"):
        owner.run(_batch())


def test_a_missing_checkpoint_is_told_as_it_is(tiny: Settings, tmp_path: Path) -> None:
    owner = ProcessOwner(tiny.model_copy(update={"model": str(tmp_path / "nowhere")}))
    with pytest.raises(CheckpointError, match="不存在"):
        owner.load()
    assert not owner.loaded


def test_a_process_that_cannot_start_says_what_it_wrote(tiny: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standby, "ROOT", "/nowhere")
    monkeypatch.chdir("/")
    with pytest.raises(WorkerError, match="(?s)没有启动：退出码 1，最后的输出：.*No module named 'core'"):
        ProcessOwner(tiny).load()


def test_ctrl_c_in_the_terminal_does_not_reach_the_network(steady: ProcessOwner) -> None:
    steady.load()
    assert steady.info is not None
    os.kill(steady.info.pid, signal.SIGINT)
    assert len(steady.run(_batch()).probabilities) > 100
    assert steady.info.pid == psutil.Process(steady.info.pid).pid


def test_another_main_module_is_never_run_again(
    apart: ProcessOwner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Streamlit and its AppTest put the page's script in the place of `__main__`.
    script = tmp_path / "page.py"
    script.write_text(f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()\n")
    page = ModuleType("__main__")
    page.__file__ = str(script)
    monkeypatch.setitem(sys.modules, "__main__", page)
    assert len(apart.run(_batch()).probabilities) > 100
    assert not (tmp_path / "ran").exists()


SCRIPT = """
import os, signal, sys
sys.path.insert(0, {root!r})
from core.config import Settings
from core.inference.owner_process import ProcessOwner
from core.inference.packing import line_up
from core.inference.prompts import Group, PieceEncoder, assemble, build_hints
from core.model.checkpoint import read_files
from core.model.tokenizer import RexTokenizer
tokenizer = read_files({model!r}).tokenizer
(hint,), _ = build_hints([Group((), ("人物",))], PieceEncoder(tokenizer))
text = tokenizer.encode_text("陈静出生于杭州。")
prompt = assemble(hint, text.ids, text.offsets, tokenizer)
owner = ProcessOwner(Settings(_env_file=None, model={model!r}, device="cpu", cpu_threads=1))
owner.run(line_up([prompt], [0.5], pad_id=tokenizer.pad_id))
print(owner.info.pid, flush=True)
if sys.argv[1] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("end", ["ended", "killed"])
def test_the_process_ends_with_a_script_that_has_no_main_guard(tmp_path: Path, end: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(root=str(ROOT), model=str(TINY)))
    done = subprocess.run([sys.executable, str(script), end], cwd="/", capture_output=True, text=True, timeout=120)
    assert done.returncode == (0 if end == "ended" else -signal.SIGKILL), done.stderr
    assert _gone(int(done.stdout))
    assert len(done.stdout.split()) == 1  # it was run once, and the process printed nothing


def test_callers_get_all_their_answers_though_the_process_is_killed_and_unloaded(apart: ProcessOwner) -> None:
    files = read_files(str(TINY))
    scheduler = Scheduler(apart, pad_id=files.tokenizer.pad_id, batch_tokens=1024)
    engine = Engine(files, scheduler=scheduler)
    schema = parse_schema({"人物": {"出生地(地理位置)": None}, "时间": None})
    found: dict[int, list[str]] = {}

    def ask(caller: int) -> None:
        items = [Item(Document(SENTENCE, id=f"{caller}-{n}"), TASKS["re"], schema) for n in range(30)]
        results = dict(engine.annotate(items, urgent=caller == 0, client=str(caller)))
        found[caller] = [results[n].document.id for n in range(30) if results[n].annotations]

    threads = [threading.Thread(target=ask, args=(caller,)) for caller in range(4)]
    first = engine.info.pid
    for thread in threads:
        thread.start()
    os.kill(first, signal.SIGKILL)
    scheduler.between(apart.flush)
    scheduler.between(apart.unload)
    for thread in threads:
        thread.join(120)
    assert found == {caller: [f"{caller}-{n}" for n in range(30)] for caller in range(4)}
    engine.close()
    assert not apart.loaded


def test_unloading_here_lets_the_weights_go(tiny: Settings, diary: Diary) -> None:
    local = LocalOwner(from_settings(tiny), record=diary)
    before = local.run(_batch())
    local.unload()
    assert not local.loaded and local.status() is None
    assert np.array_equal(before.probabilities, local.run(_batch()).probabilities)
    assert diary.kinds == ["model", "unload", "model"]
    local.close()
    assert not local.loaded

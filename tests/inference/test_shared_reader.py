"""Many callers with one short document each: their own answers, their own errors, and nobody waits for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.errors import BusyError, Cancelled, DeviceError, GpuMemoryError
from core.inference.documents import Item
from core.inference.engine import SHORT_CHARACTERS, Engine
from core.inference.matching import Matched
from core.inference.owner import LocalOwner, Pause, hold
from core.inference.scheduler import Scheduler
from core.model.checkpoint import load_checkpoint
from core.schemas.schema import parse_schema
from core.tasks import TASKS, schema_for
from core.types import AnnotatedDocument, Document

TINY = Path(__file__).parents[1] / "fixtures" / "tiny"
SENTENCE = "小说家陈静1972年3月出生于杭州，毕业于浙江大学，丈夫是画家林涛。"
RE = {"人物": {"出生地(地理位置)": None, "毕业院校(组织机构)": None}, "时间": None}
CLASSES = {"正向": None, "负向": None}
LOW = 0.3
WAIT_S = 30.0


class Gate(LocalOwner):
    """The real network behind a gate: a batch waits until `go` is set, or fails with `error`."""

    def __init__(self) -> None:
        super().__init__(hold(load_checkpoint(str(TINY), device="cpu")))
        self.go, self.arrived = threading.Event(), threading.Event()
        self.go.set()
        self.error: Exception | None = None
        self.rows: list[int] = []

    def finish(self, pause: Pause | None = None) -> Matched:
        assert self._batch is not None
        self.rows.append(self._batch.rows)
        self.arrived.set()
        assert self.go.wait(WAIT_S)
        if self.error is not None:
            raise self.error
        return super().finish(pause)

    def shut(self) -> None:
        self.arrived.clear()
        self.go.clear()


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def engine(gate: Gate) -> Iterator[Engine]:
    checkpoint = load_checkpoint(str(TINY), device="cpu")
    scheduler = Scheduler(gate, pad_id=checkpoint.tokenizer.pad_id, batch_tokens=4096, queue_tokens=600)
    engine = Engine(checkpoint, scheduler=scheduler)
    yield engine
    gate.go.set()
    engine.close()


def _item(text: str, task: str = "re", schema: object = RE) -> Item:
    chosen = TASKS[task]
    return Item(Document(text), chosen, schema_for(chosen, parse_schema(schema)))


def _alone(engine: Engine, item: Item) -> AnnotatedDocument:
    ((index, result),) = engine.annotate([item], urgent=True, threshold=LOW)
    assert index == 0
    return result


def test_each_of_many_callers_gets_what_its_document_gives_in_one_call(engine: Engine) -> None:
    texts = [SENTENCE[:number] + f"第{number}年" for number in range(12, 30)]
    items = [_item(text) if number % 3 else _item(text, "sentiment", CLASSES) for number, text in enumerate(texts)]
    items += [_item("   "), _item(SENTENCE[:9] + "\ud800")]
    together = [one for _, one in sorted(engine.annotate(items, threshold=LOW), key=lambda pair: pair[0])]
    engine.scheduler.queue_tokens = 2_000_000
    with ThreadPoolExecutor(8) as pool:
        apart = list(pool.map(lambda item: _alone(engine, item), items))
    assert [_without_scores(one) for one in apart] == [_without_scores(one) for one in together]
    assert any(one.annotations for one in apart[1:18])
    assert [bool(one.error) for one in apart[-2:]] == [True, True]


def _without_scores(result: AnnotatedDocument) -> object:
    """Scores differ in the last digits with the batch that a prompt shares."""
    places = [(path[-1].type, path[-1].start, path[-1].end, round(path[-1].score, 3)) for path in result.paths]
    return result.document, result.windows, result.error, sorted(places)


def test_those_who_came_while_the_device_worked_share_the_next_batch(engine: Engine, gate: Gate) -> None:
    engine.scheduler.queue_tokens = 2_000_000
    gate.shut()
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(_alone, engine, _item(SENTENCE, "sentiment", CLASSES))
        assert gate.arrived.wait(WAIT_S)
        others = [pool.submit(_alone, engine, _item(SENTENCE[:20], "sentiment", CLASSES)) for _ in range(6)]
        _until(lambda: engine.scheduler.waiting_tokens >= 6 * 20)
        gate.go.set()
        assert all(one.result(WAIT_S).annotations for one in (first, *others))
    assert gate.rows[:2] == [1, 6]


def test_a_caller_who_leaves_takes_its_prompts_along_and_the_others_are_answered(engine: Engine, gate: Gate) -> None:
    gate.shut()
    leave = threading.Event()
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(_alone, engine, _item(SENTENCE[:20]))
        assert gate.arrived.wait(WAIT_S)
        leaver = pool.submit(
            lambda: list(engine.annotate([_item(SENTENCE)], urgent=True, cancelled=leave.is_set, client="leaver"))
        )
        _until(lambda: engine.scheduler.waiting_tokens > 0)
        reading = engine.reading("leaver")
        assert reading is not None and (reading.documents, reading.done, reading.asked) == (1, 0, 1)
        leave.set()
        with pytest.raises(Cancelled):
            leaver.result(WAIT_S)
        assert engine.scheduler.waiting_tokens == 0
        gate.go.set()
        assert first.result(WAIT_S).windows == 1
    assert engine.drained(WAIT_S) and engine.reading("leaver") is None
    with pytest.raises(Cancelled):
        list(engine.annotate([_item(SENTENCE)], urgent=True, cancelled=lambda: True))
    assert _alone(engine, _item(SENTENCE)).windows == 1


def test_the_caller_hears_that_too_much_waits_and_what_stopped_the_device(engine: Engine, gate: Gate) -> None:
    gate.shut()
    with ThreadPoolExecutor(32) as pool:
        asked = [pool.submit(_alone, engine, _item(SENTENCE)) for _ in range(32)]
        assert gate.arrived.wait(WAIT_S)
        _until(lambda: any(one.done() for one in asked))
        gate.go.set()
        failures = [one.exception(WAIT_S) for one in asked]
    assert {type(one) for one in failures} == {BusyError, type(None)}
    gate.error = DeviceError("坏了")
    with pytest.raises(DeviceError, match="坏了"):
        _alone(engine, _item(SENTENCE))
    gate.error = GpuMemoryError("放不下", row=0)
    assert "放不下" in _alone(engine, _item(SENTENCE)).error  # of the document alone, as in a larger call
    gate.error = None
    assert _alone(engine, _item(SENTENCE)).windows == 1


def test_closing_ends_the_wait_of_all(engine: Engine, gate: Gate) -> None:
    gate.shut()
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(_alone, engine, _item(SENTENCE))]
        assert gate.arrived.wait(WAIT_S)
        asked += [pool.submit(_alone, engine, _item(SENTENCE)) for _ in range(2)]
        _until(lambda: engine.scheduler.waiting_tokens > 0)
        closing = pool.submit(engine.close)
        gate.go.set()
        closing.result(WAIT_S)
        assert {type(one.exception(WAIT_S)) for one in asked} <= {Cancelled, type(None)}
    with pytest.raises(Cancelled):
        _alone(engine, _item(SENTENCE))


def test_a_long_document_is_read_by_its_own_caller(engine: Engine) -> None:
    engine.scheduler.queue_tokens = 2_000_000
    engine.scheduler.load()
    long = (SENTENCE * 40)[: SHORT_CHARACTERS + 1]
    assert _alone(engine, _item(long)).windows > 1
    assert all(one.name != "shared-reader" or one is not engine._shared._thread for one in threading.enumerate())


def _until(true: object) -> None:
    assert callable(true)
    ends = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.002)

"""Who goes first, who shares, who waits, and that nobody waits for ever: a slow device that keeps a diary."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import BusyError, Cancelled, GpuMemoryError, RexError
from core.inference.matching import Matched, match
from core.inference.owner import LocalOwner, Pause, Recalled, from_settings
from core.inference.packing import Ragged, Raw, lay_out
from core.inference.prompts import Group, PieceEncoder, Prompt, assemble, build_hints
from core.inference.scheduler import Scheduler
from core.model.tokenizer import RexTokenizer

TINY = Path(__file__).parents[1] / "fixtures" / "tiny"
TOKENIZER = RexTokenizer.from_directory(TINY)
SENTENCE = "小说家陈静1972年3月出生于杭州，毕业于浙江大学，丈夫是画家林涛。"
WAIT_S = 30.0


def _prompt(text: str) -> Prompt:
    (hint,), _ = build_hints([Group((), ("人物", "地理位置"))], PieceEncoder(TOKENIZER))
    encoding = TOKENIZER.encode_text(text)
    return assemble(hint, encoding.ids, encoding.offsets, TOKENIZER)


LENGTH = len(_prompt(SENTENCE))


class SlowOwner:
    """A device that takes its time, finds nothing, and remembers the batches by a number in the texts' length."""

    info = None
    loaded = True
    depth = 1

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.diary: list[str] = []
        self.go = threading.Event()
        self.go.set()
        self.begun = threading.Event()
        self.refuse: Callable[[Ragged], Exception | None] = lambda batch: None
        self._batch: Ragged | None = None

    def start(self, batch: Ragged) -> None:
        self._batch = batch

    def finish(self, pause: Pause | None = None) -> Matched:
        assert self._batch is not None
        batch, self._batch = self._batch, None
        self.begun.set()
        assert self.go.wait(WAIT_S)
        self.batches.append(batch.lengths.tolist())
        self.diary.append("batch")
        if (error := self.refuse(batch)) is not None:
            raise error
        nothing = Raw(np.zeros((0, 3), np.int32), np.zeros(0, np.float32), np.zeros((0, 3), np.float32))
        return match(nothing, lay_out(batch))

    def recall(self) -> None:
        self.diary.append("recall")

    def trim(self) -> None:
        self.diary.append("trim")

    def unload(self) -> None:
        self.diary.append("unload")

    def close(self) -> None:
        self.diary.append("close")

    def hold(self) -> None:
        """The next batch stays on the device until `go` is set."""
        self.begun.clear()
        self.go.clear()


class QueueingOwner(SlowOwner):
    """A slow device that takes a second batch while one runs, and gives it back when it is called back."""

    depth = 2

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[Ragged] = []
        self.both = threading.Event()
        self._recalled: list[Ragged] = []

    def start(self, batch: Ragged) -> None:
        self.taken.append(batch)
        if len(self.taken) > 1:
            self.both.set()

    def finish(self, pause: Pause | None = None) -> Matched:
        try:
            if any(self.taken[0] is one for one in self._recalled):
                raise Recalled
            self._batch = self.taken[0]
            return super().finish(pause)
        finally:
            del self.taken[0]

    def recall(self) -> None:
        super().recall()
        self._recalled += self.taken[1:]


@pytest.fixture
def owner(request: pytest.FixtureRequest) -> SlowOwner:
    """A device of one batch, or of the class that a test names."""
    return getattr(request, "param", SlowOwner)()


queueing = pytest.mark.parametrize("owner", [QueueingOwner], indirect=True)
either = pytest.mark.parametrize("owner", [SlowOwner, QueueingOwner], indirect=True)


@pytest.fixture
def make(owner: SlowOwner) -> Iterator[Callable[..., Scheduler]]:
    """Schedulers of the slow owner; a batch holds two sentences unless told otherwise."""
    made: list[Scheduler] = []

    def build(**options: Any) -> Scheduler:
        made.append(Scheduler(owner, pad_id=TOKENIZER.pad_id, **({"batch_tokens": 2 * LENGTH} | options)))  # type: ignore[arg-type]
        return made[-1]

    yield build
    owner.go.set()
    for one in made:
        one.close()


def _ask(scheduler: Scheduler, texts: list[str], **options: Any) -> Any:
    prompts = [_prompt(text) for text in texts]
    return scheduler.submit(prompts, [0.5] * len(prompts), **({"client": "job", "urgent": False} | options))


def _occupy(scheduler: Scheduler, owner: SlowOwner) -> Any:
    """A batch that stays in flight until the owner may go on."""
    owner.hold()
    ticket = _ask(scheduler, ["好"], client="first")
    assert owner.begun.wait(WAIT_S)
    return ticket


@either
def test_an_urgent_request_waits_for_the_batch_in_flight_and_nothing_else(
    owner: SlowOwner, make: Callable[..., Scheduler]
) -> None:
    scheduler = make()
    _occupy(scheduler, owner)
    job = _ask(scheduler, [SENTENCE] * 40)
    urgent = _ask(scheduler, ["好好"], client="somebody", urgent=True)
    owner.go.set()
    urgent.result(WAIT_S)
    assert owner.batches[1] == [len(_prompt("好好"))]
    assert len(job.result(WAIT_S)) == 40


@either
def test_clients_take_turns_whatever_one_of_them_has_queued(owner: SlowOwner, make: Callable[..., Scheduler]) -> None:
    scheduler = make()
    _occupy(scheduler, owner)
    great = _ask(scheduler, [SENTENCE] * 100, client="great")
    other = SENTENCE + "好"
    small = _ask(scheduler, [other] * 4, client="small")
    owner.go.set()
    assert len(small.result(WAIT_S)) == 4
    last = max(place for place, lengths in enumerate(owner.batches) if len(_prompt(other)) in lengths)
    assert last <= 1 + 2 * 4 + 1  # two plans of four batches, half of each for a client, and the one prepared before
    assert len(great.result(WAIT_S)) == 100
    assert len(owner.batches) >= 50


@either
def test_prompts_of_several_callers_share_a_batch(owner: SlowOwner, make: Callable[..., Scheduler]) -> None:
    scheduler = make(batch_tokens=10 * LENGTH)
    _occupy(scheduler, owner)
    tickets = [_ask(scheduler, [SENTENCE], client=f"c{number}") for number in range(5)]
    owner.go.set()
    for ticket in tickets:
        ticket.result(WAIT_S)
    assert owner.batches[1:] == [[LENGTH] * 5]


def test_a_batch_stays_within_both_bounds(owner: SlowOwner, make: Callable[..., Scheduler]) -> None:
    scheduler = make(batch_tokens=6 * LENGTH, max_pairs=3 * LENGTH * LENGTH)
    _ask(scheduler, [SENTENCE, "好", SENTENCE * 2, "好好好"] * 5).result(WAIT_S)
    assert sum(map(len, owner.batches)) == 20
    for lengths in owner.batches:
        cells = len(lengths) * max(lengths)
        assert len(lengths) == 1 or (cells <= 6 * LENGTH and cells * max(lengths) <= 3 * LENGTH * LENGTH)


def test_a_cancelled_ticket_leaves_the_queue_at_once(owner: SlowOwner, make: Callable[..., Scheduler]) -> None:
    scheduler = make()
    _occupy(scheduler, owner)
    gone, kept = _ask(scheduler, [SENTENCE * 2] * 50), _ask(scheduler, [SENTENCE])
    gone.cancel()
    assert gone.done()
    assert scheduler.waiting_tokens <= LENGTH
    with pytest.raises(Cancelled):
        gone.result()
    owner.go.set()
    kept.result(WAIT_S)
    assert sum(map(len, owner.batches)) <= 2 + 1  # the one in flight and the kept one, at most one prepared before


def test_an_urgent_request_is_refused_when_too_much_urgent_work_waits(
    owner: SlowOwner, make: Callable[..., Scheduler]
) -> None:
    scheduler = make(queue_tokens=5 * LENGTH)
    _occupy(scheduler, owner)
    jobs = _ask(scheduler, [SENTENCE] * 5)
    urgent = [_ask(scheduler, [SENTENCE] * 2, client=name, urgent=True) for name in ("a", "b")]
    with pytest.raises(BusyError, match=r"正忙.*个词元在等待.*请稍后再试"):
        for _ in range(3):  # one may have been prepared for the device and waits no more
            urgent.append(_ask(scheduler, [SENTENCE] * 2, client="c", urgent=True))
    owner.go.set()
    for ticket in [*urgent, jobs]:
        ticket.result(WAIT_S)


def test_a_job_waits_for_room_and_can_be_cancelled_meanwhile(owner: SlowOwner, make: Callable[..., Scheduler]) -> None:
    scheduler = make(queue_tokens=5 * LENGTH)
    _occupy(scheduler, owner)
    first = _ask(scheduler, [SENTENCE] * 9, client="a")  # larger than the queue: it was empty
    with pytest.raises(Cancelled):
        _ask(scheduler, [SENTENCE] * 3, client="b", cancelled=lambda: True)
    admitted = threading.Event()

    def submit() -> None:
        _ask(scheduler, [SENTENCE] * 3, client="b").result(WAIT_S)
        admitted.set()

    thread = threading.Thread(target=submit)
    thread.start()
    assert not admitted.wait(0.3)
    owner.go.set()
    assert admitted.wait(WAIT_S)
    thread.join(WAIT_S)
    first.result(WAIT_S)


@either
def test_a_failing_batch_fails_those_in_it_and_nobody_else(owner: SlowOwner, make: Callable[..., Scheduler]) -> None:
    scheduler = make()
    owner.refuse = lambda batch: RuntimeError("坏了") if batch.rows == 1 else None
    with pytest.raises(RuntimeError, match="坏了"):
        _ask(scheduler, ["好"]).result(WAIT_S)
    assert len(_ask(scheduler, [SENTENCE] * 2).result(WAIT_S)) == 2


@either
def test_a_prompt_that_is_too_much_fails_alone(owner: SlowOwner, make: Callable[..., Scheduler]) -> None:
    scheduler = make(batch_tokens=10 * LENGTH)

    def refuse(batch: Ragged) -> Exception | None:
        too_long = np.flatnonzero(batch.lengths > LENGTH)
        return GpuMemoryError("显存不足", row=int(too_long[0])) if len(too_long) else None

    owner.refuse = refuse
    _occupy(scheduler, owner)
    tickets = [_ask(scheduler, [text], client=f"c{n}") for n, text in enumerate([SENTENCE, SENTENCE * 2, SENTENCE])]
    owner.go.set()
    assert len(tickets[0].result(WAIT_S)) == len(tickets[2].result(WAIT_S)) == 1
    with pytest.raises(GpuMemoryError):
        tickets[1].result(WAIT_S)


def test_a_function_runs_between_two_batches_on_the_owner_s_thread(
    owner: SlowOwner, make: Callable[..., Scheduler]
) -> None:
    scheduler = make()
    _occupy(scheduler, owner)
    later = _ask(scheduler, [SENTENCE] * 6)
    found: list[Any] = []
    thread = threading.Thread(
        target=lambda: found.append(
            scheduler.between(lambda: (owner.diary.append("task"), threading.current_thread().name))
        )
    )
    thread.start()
    time.sleep(0.1)
    assert not found
    owner.go.set()
    thread.join(WAIT_S)
    later.result(WAIT_S)
    assert found[0][1] == "device-owner"
    assert owner.diary[:3] == ["batch", "task", "batch"]
    with pytest.raises(RexError, match="没有显卡"):
        scheduler.between(lambda: (_ for _ in ()).throw(RexError("没有显卡")))


def test_a_pause_trims_once_and_then_unloads(owner: SlowOwner, make: Callable[..., Scheduler]) -> None:
    scheduler = make(trim_after_s=0.05, unload_after_s=0.15)
    for _ in range(2):
        _ask(scheduler, [SENTENCE]).result(WAIT_S)
        time.sleep(0.6)
    assert owner.diary == ["batch", "trim", "unload"] * 2


def test_without_a_limit_a_pause_changes_nothing(owner: SlowOwner, make: Callable[..., Scheduler]) -> None:
    _ask(make(), [SENTENCE]).result(WAIT_S)
    time.sleep(0.2)
    assert owner.diary == ["batch"]


@either
def test_closing_ends_every_wait(owner: SlowOwner, make: Callable[..., Scheduler]) -> None:
    scheduler = make()
    _occupy(scheduler, owner)
    waiting = _ask(scheduler, [SENTENCE] * 30)
    threading.Timer(0.1, owner.go.set).start()
    scheduler.close()
    with pytest.raises(Cancelled, match="正在关闭"):
        waiting.result(WAIT_S)
    with pytest.raises(Cancelled, match="正在关闭"):
        _ask(scheduler, [SENTENCE])
    with pytest.raises(Cancelled, match="正在关闭"):
        scheduler.between(lambda: None)
    assert owner.diary[-1] == "close"


@queueing
def test_a_full_batch_is_with_the_device_before_the_one_in_front_of_it_ends(
    owner: QueueingOwner, make: Callable[..., Scheduler]
) -> None:
    owner.hold()
    scheduler = make()
    job = _ask(scheduler, [SENTENCE] * 8)
    assert owner.both.wait(WAIT_S)
    owner.go.set()
    assert len(job.result(WAIT_S)) == 8
    assert owner.batches == [[LENGTH] * 2] * 4
    assert "recall" not in owner.diary


@queueing
def test_something_urgent_calls_back_the_batch_that_waits_at_the_device(
    owner: QueueingOwner, make: Callable[..., Scheduler]
) -> None:
    owner.hold()
    scheduler = make()
    job = _ask(scheduler, [SENTENCE] * 8)
    assert owner.both.wait(WAIT_S)
    urgent = _ask(scheduler, ["好好"], client="somebody", urgent=True)
    owner.go.set()
    urgent.result(WAIT_S)
    assert len(job.result(WAIT_S)) == 8
    assert owner.batches == [[LENGTH] * 2, [len(_prompt("好好"))], *[[LENGTH] * 2] * 3]


@queueing
def test_a_function_waits_for_all_that_is_with_the_device(owner: QueueingOwner, make: Callable[..., Scheduler]) -> None:
    owner.hold()
    scheduler = make()
    job = _ask(scheduler, [SENTENCE] * 8)
    assert owner.both.wait(WAIT_S)
    threading.Timer(0.1, owner.go.set).start()
    assert scheduler.between(lambda: len(owner.taken)) == 0
    assert len(job.result(WAIT_S)) == 8
    assert len(owner.batches) == 4


def test_nothing_asked_is_answered_at_once(owner: SlowOwner, make: Callable[..., Scheduler]) -> None:
    assert _ask(make(), []).result(0) == []
    assert owner.batches == []


def test_what_shares_batches_equals_what_goes_alone(settings: Any) -> None:
    local = LocalOwner(from_settings(settings.model_copy(update={"model": str(TINY)})))
    scheduler = Scheduler(local, pad_id=TOKENIZER.pad_id, batch_tokens=1024)
    texts = [SENTENCE, "陈静出生于杭州。", SENTENCE * 3, "好", f"{SENTENCE}林涛毕业于浙江大学。"]
    alone = [_ask(scheduler, [text]).result(WAIT_S)[0] for text in texts]
    held = threading.Event()
    resting = threading.Thread(target=scheduler.between, args=(lambda: held.wait(WAIT_S),))
    resting.start()
    tickets = [_ask(scheduler, [text], client=text, urgent=len(text) < 10) for text in texts]
    held.set()
    together = [ticket.result(WAIT_S)[0] for ticket in tickets]
    resting.join(WAIT_S)
    scheduler.close()
    assert any(len(one.heads) for one in alone)
    for one, other in zip(alone, together, strict=True):
        assert (one.heads.tolist(), one.tails.tolist(), one.markers.tolist()) == (
            other.heads.tolist(),
            other.tails.tolist(),
            other.markers.tolist(),
        )
        assert np.allclose(one.probabilities, other.probabilities, atol=1e-5)

"""A batch that pauses while others run, on the real network: nobody's numbers change, and who is urgent goes first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.inference.decoding import Fired
from core.inference.matching import Matched
from core.inference.owner import LocalOwner, hold
from core.inference.packing import Ragged, line_up
from core.inference.prompts import Group, PieceEncoder, Prompt, assemble, build_hints
from core.inference.queueing import Ticket
from core.inference.scheduler import Scheduler
from core.model.checkpoint import Checkpoint, load_checkpoint

Fill = Callable[[int, Fired], None]
TINY = Path(__file__).parents[1] / "fixtures" / "tiny"
SENTENCE = "小说家陈静1972年3月出生于杭州，毕业于浙江大学，丈夫是画家林涛。"
WAIT_S = 60.0


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    found = load_checkpoint(str(TINY), device="cpu")
    assert isinstance(found, Checkpoint)
    return found


@pytest.fixture
def owner(checkpoint: Checkpoint) -> LocalOwner:
    return LocalOwner(hold(checkpoint))


def prompts(checkpoint: Checkpoint, texts: list[str]) -> list[Prompt]:
    (hint,), _ = build_hints([Group((), ("人物", "地理位置"))], PieceEncoder(checkpoint.tokenizer))
    encoded = [checkpoint.tokenizer.encode_text(text) for text in texts]
    return [assemble(hint, one.ids, one.offsets, checkpoint.tokenizer) for one in encoded]


def lined(checkpoint: Checkpoint, texts: list[str]) -> Ragged:
    return line_up(prompts(checkpoint, texts), [0.1] * len(texts), pad_id=checkpoint.tokenizer.pad_id)


def same(found: Matched, expected: Matched) -> bool:
    names = ("spans", "probabilities", "bounds")
    return all(np.array_equal(getattr(found, name), getattr(expected, name)) for name in names)


def test_a_batch_that_pauses_for_others_finds_what_it_finds_alone(owner: LocalOwner, checkpoint: Checkpoint) -> None:
    large, small = lined(checkpoint, [SENTENCE * 2] * 6), lined(checkpoint, ["陈静在杭州读书。"])
    alone, alone_small = owner.run(large), owner.run(small)
    between: list[Matched] = []
    owner.start(large)
    paused = owner.finish(lambda: between.append(owner.run(small)))
    assert len(alone.spans) and same(paused, alone)
    assert len(between) == 3 * len(checkpoint.model.plm.layers)
    assert all(same(one, alone_small) for one in between)
    owner.run(large)
    assert len(between) == 3 * len(checkpoint.model.plm.layers), "no pauses are left behind"


def test_an_error_of_a_pause_ends_the_batch_and_leaves_nothing_behind(
    owner: LocalOwner, checkpoint: Checkpoint
) -> None:
    batch = lined(checkpoint, [SENTENCE])
    alone = owner.run(batch)

    def refuse() -> None:
        raise ValueError("no")

    owner.start(batch)
    with pytest.raises(ValueError, match="no"):
        owner.finish(refuse)
    assert same(owner.run(batch), alone)


def diary(tickets: dict[str, Ticket], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Whose prompts were answered, in that order."""
    order: list[str] = []
    for name, ticket in tickets.items():

        def fill(number: int, fired: Fired, *, name: str = name, filled: Fill = ticket.fill) -> None:
            order.append(name)
            filled(number, fired)

        monkeypatch.setattr(ticket, "fill", fill)
    return order


def test_what_comes_while_a_batch_of_a_job_runs_is_answered_before_it_ends(
    owner: LocalOwner, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler = Scheduler(owner, pad_id=checkpoint.tokenizer.pad_id, batch_tokens=4096)
    begun, go = threading.Event(), threading.Event()

    def wait(*_: object) -> None:
        if not begun.is_set():  # the job, in the middle of the network
            begun.set()
            assert go.wait(WAIT_S)

    hook = checkpoint.model.plm.layers[1].attention["self"].register_forward_hook(wait)
    try:
        many, one = prompts(checkpoint, [SENTENCE] * 8), prompts(checkpoint, ["陈静在杭州读书。"])
        job = scheduler.submit(many, [0.5] * 8, client="job", urgent=False)
        assert begun.wait(WAIT_S)
        urgent = scheduler.submit(one, [0.5], client="somebody", urgent=True)
        order = diary({"job": job, "urgent": urgent}, monkeypatch)
        go.set()
        assert len(urgent.result(WAIT_S)) == 1 and len(job.result(WAIT_S)) == 8
        assert order == ["urgent", *["job"] * 8]
    finally:
        go.set()
        hook.remove()
        scheduler.close()


def test_what_was_prepared_to_follow_a_batch_of_a_job_goes_before_its_end_too(
    owner: LocalOwner, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler = Scheduler(owner, pad_id=checkpoint.tokenizer.pad_id, batch_tokens=4096)
    many, one = prompts(checkpoint, [SENTENCE] * 8), prompts(checkpoint, ["陈静在杭州读书。"])
    begin = owner.start
    urgent: list[Ticket] = []

    def start(batch: Ragged) -> None:
        begin(batch)
        if not urgent:  # the next that the scheduler prepares is this one
            urgent.append(scheduler.submit(one, [0.5], client="somebody", urgent=True))

    monkeypatch.setattr(owner, "start", start)
    try:
        job = scheduler.submit(many, [0.5] * 8, client="job", urgent=False)
        assert len(job.result(WAIT_S)) == 8
        assert urgent[0].done(), "the job's batch ended first"
    finally:
        scheduler.close()

"""The order of batches, without a thread: nothing lost, nothing twice, bounds kept, clients in turn, nobody starved."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from core.inference.queueing import POOL_BATCHES, Lane, Piece, Ticket, WaitingRoom

LENGTHS = st.lists(st.integers(1, 300), min_size=1, max_size=30)


def _ticket(lengths: list[int], client: str = "a", *, urgent: bool = False) -> Ticket:
    prompts: Any = ["字" * length for length in lengths]  # the queue asks a prompt for nothing but its length
    return Ticket(prompts, [0.5] * len(lengths), client=client, urgent=urgent, withdraw=lambda ticket: None)


def _lane(batch_tokens: int = 512, max_pairs: int = 512 * 256) -> Lane:
    return Lane(batch_tokens=batch_tokens, max_pairs=max_pairs, pool_batches=POOL_BATCHES)


def _drain(lane: Lane | WaitingRoom) -> list[list[Piece]]:
    return list(iter(lane.next, []))


def _names(pieces: list[Piece]) -> list[tuple[int, int]]:
    return [(id(piece.ticket), piece.number) for piece in pieces]


@given(st.lists(st.tuples(LENGTHS, st.sampled_from("abc")), min_size=1, max_size=6))
def test_every_prompt_is_in_exactly_one_batch_within_the_bounds(asked: list[tuple[list[int], str]]) -> None:
    lane = _lane()
    tickets = [_ticket(lengths, client) for lengths, client in asked]
    for ticket in tickets:
        lane.add(ticket)
    assert lane.tokens == sum(ticket.tokens for ticket in tickets)
    batches = _drain(lane)
    found = Counter(name for batch in batches for name in _names(batch))
    assert found == Counter((id(ticket), number) for ticket in tickets for number in range(len(ticket.prompts)))
    assert lane.tokens == 0
    for batch in batches:
        width = max(piece.tokens for piece in batch)
        assert len(batch) == 1 or (len(batch) * width <= 512 and len(batch) * width**2 <= 512 * 256)


@given(LENGTHS, LENGTHS, st.integers(0, 3))
def test_a_dropped_ticket_leaves_nothing_behind(first: list[int], second: list[int], begun: int) -> None:
    lane = _lane()
    gone, kept = _ticket(first, "a"), _ticket(second, "a")
    lane.add(gone)
    lane.add(kept)
    before = [piece for _ in range(begun) for piece in lane.next()]
    lane.drop(gone)
    left = [piece for batch in _drain(lane) for piece in batch]
    assert all(piece.ticket is kept for piece in left)
    assert sum(piece.ticket is kept for piece in before + left) == len(second)
    assert lane.tokens == 0


@given(LENGTHS)
def test_what_is_put_back_comes_again(lengths: list[int]) -> None:
    lane = _lane()
    lane.add(_ticket(lengths))
    first = lane.next()
    lane.put_back(first)
    assert lane.tokens == sum(lengths)
    assert Counter(n for batch in _drain(lane) for n in _names(batch)).total() == len(lengths)


def test_two_clients_share_every_plan_evenly() -> None:
    lane = _lane(batch_tokens=400)
    great, small = _ticket([100] * 400, "great"), _ticket([100] * 40, "small")
    lane.add(great)
    lane.add(small)
    batches = _drain(lane)
    last = max(number for number, batch in enumerate(batches) if any(piece.ticket is small for piece in batch))
    served = [piece for batch in batches[: last + 1] for piece in batch]
    # While both wait, neither gets more than one plan ahead of the other.
    assert abs(len(served) - 2 * 40) <= POOL_BATCHES * 4
    assert len(batches) == 110


def test_a_short_prompt_is_not_overtaken_for_ever_by_longer_ones() -> None:
    lane = _lane(batch_tokens=400)
    short = _ticket([10], "short")
    lane.add(_ticket([200] * 8, "long"))
    lane.add(short)
    waited = 0
    while not any(piece.ticket is short for piece in lane.next()):
        lane.add(_ticket([200] * 2, "long"))
        waited += 1
        assert waited <= 2 * POOL_BATCHES


def test_nothing_else_goes_while_something_urgent_waits() -> None:
    room = WaitingRoom(batch_tokens=400, max_pairs=10**6)
    room.lane(urgent=False).add(_ticket([100] * 20, "job"))
    room.next()
    room.lane(urgent=True).add(_ticket([100] * 10, "text", urgent=True))
    room.lane(urgent=True).add(_ticket([50], "word", urgent=True))
    order = [[piece.ticket.client for piece in batch] for batch in _drain(room)]
    urgent = [clients for clients in order if "job" not in clients]
    assert order[: len(urgent)] == urgent
    assert "word" in [client for clients in urgent[:2] for client in clients]  # not behind the whole text
    assert room.tokens == 0


def test_a_prompt_larger_than_a_batch_goes_alone() -> None:
    lane = _lane(batch_tokens=64)
    lane.add(_ticket([300, 10, 300]))
    assert sorted(tuple(piece.tokens for piece in batch) for batch in _drain(lane)) == [(10,), (300,), (300,)]


def test_clearing_names_everybody_who_waits_once() -> None:
    room = WaitingRoom(batch_tokens=400, max_pairs=10**6)
    tickets = [_ticket([100] * 9, name, urgent=name == "b") for name in "abc"]
    for ticket in tickets:
        room.lane(urgent=ticket.urgent).add(ticket)
    room.next()
    assert {id(ticket) for ticket in room.clear()} == {id(ticket) for ticket in tickets}
    assert room.tokens == 0 and room.next() == []

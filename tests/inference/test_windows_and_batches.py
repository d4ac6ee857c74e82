"""Windows cover the text, batches hold every prompt once and stay within the budget."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import SchemaError
from core.inference.batching import BATCH_COST, MAX_PAIR_CELLS, plan
from core.inference.windows import split


@settings(deadline=None)
@given(length=st.integers(0, 3000), stride=st.integers(0, 40), extra=st.integers(1, 300))
def test_windows_cover_every_token_overlap_by_the_stride_and_end_at_the_last(
    length: int, stride: int, extra: int
) -> None:
    windows = split(length, capacity=stride + extra, stride=stride)
    assert windows[0][0] == 0
    assert windows[-1][1] == length
    assert all(end - start == stride + extra for start, end in windows[:-1])
    assert all(end - start <= stride + extra for start, end in windows)
    for before, after in zip(windows, windows[1:], strict=False):
        assert before[1] - after[0] == stride
        assert before[1] < length  # only the last window reaches the end


@pytest.mark.parametrize(("capacity", "stride"), [(32, 32), (10, 32), (0, 0), (-7, 0)])
def test_a_schema_that_leaves_no_room_is_refused_with_the_room_left(capacity: int, stride: int) -> None:
    with pytest.raises(SchemaError, match=f"只剩 {max(capacity, 0)} 个词元.*重叠 {stride}"):
        split(100, capacity=capacity, stride=stride)


@settings(deadline=None)
@given(lengths=st.lists(st.integers(1, 600), max_size=120), budget=st.integers(64, 9000))
def test_every_prompt_is_in_exactly_one_batch_within_the_budget(lengths: list[int], budget: int) -> None:
    batches = plan(lengths, budget=budget)
    assert Counter(index for batch in batches for index in batch) == Counter(range(len(lengths)))
    for batch in batches:
        width = max(lengths[index] for index in batch)
        assert len(batch) == 1 or len(batch) * width <= budget
        assert len(batch) == 1 or len(batch) * width * width <= MAX_PAIR_CELLS


def _cheapest(widths: list[int], budget: int) -> float:
    """The least padded tokens, batches charged for, of any division of sorted lengths, tried one by one."""
    best = math.inf
    for cuts in itertools.product((False, True), repeat=len(widths) - 1):
        edges = [0, *(place + 1 for place, cut in enumerate(cuts) if cut), len(widths)]
        parts = [widths[start:stop] for start, stop in itertools.pairwise(edges)]
        if all(len(part) == 1 or len(part) * part[0] <= budget for part in parts):
            best = min(best, sum(len(part) * part[0] + budget * BATCH_COST for part in parts))
    return best


@settings(deadline=None, max_examples=60)
@given(
    lengths=st.lists(st.integers(1, 400), min_size=1, max_size=8)
    | st.lists(st.sampled_from([40, 50, 400]), min_size=1, max_size=10),
    budget=st.integers(64, 3000),
)
def test_no_division_into_batches_has_less_padding(lengths: list[int], budget: int) -> None:
    batches = plan(lengths, budget=budget)
    found = sum(len(batch) * max(lengths[one] for one in batch) + budget * BATCH_COST for batch in batches)
    assert found == pytest.approx(_cheapest(sorted(lengths, reverse=True), budget))


def test_a_short_prompt_does_not_ride_with_long_ones_when_a_batch_is_cheap() -> None:
    assert plan([500, 500, 20, 20], budget=2000) == [[0, 1], [2, 3]]
    assert plan([500, 500, 490, 20], budget=2000) == [[0, 1, 2], [3]]


def test_pair_cells_bound_a_batch_that_the_token_budget_would_allow() -> None:
    batches = plan([2048] * 6, budget=10**9)
    assert [len(batch) for batch in batches] == [4, 2]


def test_the_longest_prompts_share_a_batch() -> None:
    assert plan([10, 500, 20, 490], budget=1000) == [[1, 3], [2, 0]]

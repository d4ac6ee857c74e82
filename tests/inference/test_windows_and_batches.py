"""Windows cover the text, batches hold every prompt once and stay within the budget."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import SchemaError
from core.inference.batching import MAX_PAIR_CELLS, plan
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


def test_pair_cells_bound_a_batch_that_the_token_budget_would_allow() -> None:
    batches = plan([2048] * 6, budget=10**9)
    assert [len(batch) for batch in batches] == [4, 2]


def test_the_longest_prompts_share_a_batch() -> None:
    assert plan([10, 500, 20, 490], budget=1000) == [[1, 3], [2, 0]]

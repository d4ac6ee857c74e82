"""The cost of a batch, fitted to measured ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.gpu.cost import SAFETY, UNMEASURED, Cost, Sample, fit
from core.gpu.governor import PROBES

TRUE = Cost(base=5e6, token=50_000, cell=300)


def measured(cost: Cost) -> list[Sample]:
    return [Sample(rows, width, cost.predict(rows, width)) for rows, width in PROBES]


def test_a_cost_that_follows_the_form_is_found_again_with_its_safety():
    found = fit(measured(TRUE))
    for name in ("base", "token", "cell"):
        assert getattr(found, name) == pytest.approx(getattr(TRUE, name) * SAFETY, rel=0.02), name


@given(st.lists(st.integers(0, 2**32), min_size=1, max_size=len(PROBES)))
def test_no_measured_batch_is_undercut_and_no_term_is_negative(sizes: list[int]):
    samples = [Sample(rows, width, size) for (rows, width), size in zip(PROBES, sizes, strict=False)]
    cost = fit(samples)
    assert min(cost.base, cost.token, cost.cell) >= 0
    for one in samples:
        assert cost.predict(one.rows, one.width) >= one.size_bytes


@given(
    st.builds(Cost, st.floats(0, 1e9), st.floats(0, 1e6), st.floats(0, 1e4)),
    st.integers(0, 2**36),
    st.integers(1, 2048),
)
def test_the_rows_that_fit_fit_and_one_more_does_not(cost: Cost, room: int, width: int):
    rows = cost.rows_within(room, width)
    if rows:
        assert cost.predict(rows, width) <= room
    if cost.row_bytes(width) >= 1:
        assert cost.predict(rows + 1, width) >= room


def test_without_samples_nothing_is_fitted():
    with pytest.raises(ValueError, match="samples"):
        fit([])


def test_before_calibration_longer_prompts_cost_more():
    assert UNMEASURED.row_bytes(512) > 4 * UNMEASURED.row_bytes(128)

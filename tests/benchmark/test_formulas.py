"""The arithmetic of the benchmark against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from core.benchmark.formulas import differing_pct, drift_pct, encoder_flops, interval, peak_flops, poisson_schedule
from core.model.config import RexConfig


def test_the_work_of_the_encoder_is_that_of_the_formula():
    # A token of 128 in the base network: 24·12·768² + 4·12·768·128 + 4·12·768·255.
    token = 169_869_312 + 4_718_592 + 9_400_320
    assert encoder_flops(RexConfig(), [128]) == 128 * token
    # From 257 tokens on all 512 rows of the relative table can occur.
    assert encoder_flops(RexConfig(), [512]) == 512 * (169_869_312 + 4 * 12 * 768 * (512 + 512))


def test_packing_does_not_change_the_work():
    config = RexConfig()
    assert encoder_flops(config, [100, 28]) == encoder_flops(config, [100]) + encoder_flops(config, [28])
    assert encoder_flops(config, [100, 28]) < encoder_flops(config, [128])


def test_peaks_are_dense_and_the_more_exact_name_wins():
    assert peak_flops("NVIDIA H200") == 989.4e12
    assert peak_flops("NVIDIA A10") == 125e12
    assert peak_flops("NVIDIA A10G") == 70e12
    assert peak_flops("NVIDIA A100-SXM4-80GB") == 312e12
    assert peak_flops("NVIDIA A100-SXM4-80GB MIG 3g.40gb") is None
    assert peak_flops("Some Card") is None


def test_arrivals_are_poisson():
    times = poisson_schedule(50.0, 20_000, seed=3)
    gaps = np.diff(times)
    assert (gaps > 0).all()
    assert times[-1] == pytest.approx(400, rel=0.03)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.03)  # of an exponential distribution both are equal
    counts = np.bincount(times.astype(int))[:390]
    assert counts.var() == pytest.approx(counts.mean(), rel=0.25)
    assert (poisson_schedule(50.0, 20_000, seed=3) == times).all()


def test_the_interval_holds_the_statistic_and_narrows_with_the_sample():
    random = np.random.default_rng(1)
    few, many = random.normal(10, 1, 10), random.normal(10, 1, 1000)

    def mean(x: np.ndarray) -> float:
        return float(x.mean())

    low, high = interval(many.tolist(), mean)
    assert low < many.mean() < high
    wide = interval(few.tolist(), mean)
    assert wide[1] - wide[0] > 3 * (high - low)
    with pytest.raises(ValueError, match="empty"):
        interval([], mean)


def test_drift_compares_the_end_with_the_beginning_behind_the_warm_up():
    assert drift_pct([500.0] * 10 + [100.0] * 20 + [103.0] * 20) == pytest.approx(3.0)
    assert drift_pct([100.0] * 25 + [900.0] + [100.0] * 24) == pytest.approx(0.0)  # a single peak is no drift
    assert drift_pct([1.0] * 11) is None


def test_differing_findings_are_counted_on_both_sides():
    wanted = [frozenset({1, 2, 3}), frozenset({4})]
    assert differing_pct(wanted, wanted) == 0.0
    assert differing_pct(wanted, [frozenset({1, 2, 5}), frozenset({4})]) == 50.0
    assert differing_pct([frozenset()], [frozenset({1})]) is None

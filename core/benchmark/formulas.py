"""Arithmetic behind the figures: model work, quantiles with their spread, arrival times, drift."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from core.model.config import RexConfig

PEAKS = {
    "H200": 989.4e12,
    "H100 PCIE": 756e12,
    "H100": 989.4e12,
    "A100": 312e12,
    "A10G": 70e12,
    "A10": 125e12,
    "L40": 181e12,
    "L4": 121e12,
    "T4": 65e12,
}
"""Dense half-precision peak by what the card's name holds, in FLOP/s; the more exact name stands first."""


def peak_flops(card: str) -> float | None:
    """The dense half-precision peak of a card by its name; None for an unknown one or a slice of a card (MIG)."""
    name = card.upper()
    return None if "MIG" in name else next((peak for part, peak in PEAKS.items() if part in name), None)


def encoder_flops(config: RexConfig, lengths: Iterable[int]) -> float:
    """Useful work of the encoder for prompts of these lengths, in FLOP, a multiply and an add counting two.

    A token costs 24nd² in the linear layers, 4ndL in content attention and 4ndR in the position terms, with R =
    min(2S, 2L − 1) relative slots. Pair head, convolution and position projections are left out: the first two are
    small, the last depend on no input.
    """
    layers, size = config.num_hidden_layers, config.hidden_size
    linear = layers * (8 * size * size + 4 * size * config.intermediate_size)
    return float(
        sum(
            length * (linear + 4 * layers * size * (length + min(2 * config.span, 2 * length - 1)))
            for length in lengths
        )
    )


def interval(
    values: Sequence[float], statistic: Callable[[np.ndarray], float], *, rounds: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """The 95 % bootstrap interval of a statistic of one sample; raises ValueError for an empty sample."""
    sample = np.asarray(values, np.float64)
    if not len(sample):
        raise ValueError("an empty sample has no interval")
    random = np.random.default_rng(seed)
    drawn = [statistic(sample[random.integers(0, len(sample), len(sample))]) for _ in range(rounds)]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), float(high)


def poisson_schedule(rate_per_s: float, count: int, *, seed: int = 0) -> np.ndarray:
    """Arrival times in seconds after the start, (count,) float64 ascending, of a Poisson process."""
    return np.cumsum(np.random.default_rng(seed).exponential(1.0 / rate_per_s, count))


def drift_pct(series: Sequence[float], *, warm_up: float = 0.2) -> float | None:
    """How far the last fifth of a series lies above the first fifth behind the warm-up, in per cent of the latter.

    Medians, so that a single peak is no drift; below zero when it shrank; None with fewer than ten readings left.
    """
    kept = list(series)[int(len(series) * warm_up) :]
    if len(kept) < 10:
        return None
    part = max(len(kept) // 5, 1)
    before, after = float(np.median(kept[:part])), float(np.median(kept[-part:]))
    return 100.0 * (after - before) / before if before else None


def differing_pct(wanted: Sequence[frozenset[object]], found: Sequence[frozenset[object]]) -> float | None:
    """Findings that only one of two runs has, in per cent of those of the first; None when the first has none."""
    total = sum(len(one) for one in wanted)
    apart = sum(len(one ^ other) for one, other in zip(wanted, found, strict=True))
    return 100.0 * apart / total if total else None

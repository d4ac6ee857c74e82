"""Learning rate over the course of a run."""

from __future__ import annotations


def trapezoid(progress: float, *, warm_up: float = 0.04, decay: float = 0.3) -> float:
    """Factor of the peak learning rate after `progress` of the run: up, flat, down to 0, all linear.

    `progress` is a share of the run's time or steps, clamped to [0, 1]; `warm_up` and `decay` are the shares that
    the two slopes take.
    """
    progress = min(max(progress, 0.0), 1.0)
    rising = progress / warm_up if warm_up > 0 else 1.0
    falling = (1.0 - progress) / decay if decay > 0 else 1.0
    return min(rising, 1.0, falling)

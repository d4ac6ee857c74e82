"""Pauses of a batch: between two steps of the network other batches may run, on the same thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from core.model.rex import RexModel


@contextmanager
def pausing(network: RexModel, pause: Callable[[], None] | None) -> Iterator[None]:
    """Call `pause` three times a layer in the batches of this block, not of those that `pause` itself runs."""
    if pause is None:
        yield
        return
    inside = False

    def before_step(*_: Any) -> None:
        nonlocal inside
        if inside:
            return
        inside = True
        try:
            pause()
        finally:
            inside = False

    # Before attention and before each half of the feed-forward: no stretch takes longer than a sentence of its own.
    steps = [
        step
        for layer in network.plm.layers
        for step in (layer.attention["self"], *layer.intermediate.values(), layer.output)
    ]
    hooks = [step.register_forward_pre_hook(before_step) for step in steps]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()

"""Out-of-memory on purpose: what a governor must survive, at set places."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import torch

from core.gpu.governor import Governor
from core.gpu.meter import NoMeter
from core.inference.owner import Held, Load, Record


class FailingGovernor:
    """A governor whose every n-th pass runs out of memory before it begins; all else is the governor's own."""

    def __init__(self, governor: Governor, *, every: int) -> None:
        self._governor, self._every = governor, every
        self._passes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._governor, name)

    def run(self, packed: Any, forward: Callable[[Any], Any]) -> Any:
        """As the governor runs it, with the error raised inside."""

        def through(part: Any) -> Any:
            self._passes += 1
            if self._passes % self._every == 0:
                raise _error(self._governor)
            return forward(part)

        return self._governor.run(packed, through)


def failing(load: Load, *, every: int) -> Load:
    """A loader whose network is bounded by a FailingGovernor."""

    def loaded(record: Record) -> Held:
        held = load(record)
        governor = cast(Governor, FailingGovernor(held.tenant.governor, every=every))
        return replace(held, tenant=replace(held.tenant, governor=governor))

    return loaded


def _error(governor: Governor) -> Exception:
    if isinstance(governor.meter, NoMeter):
        return MemoryError("raised on purpose")
    return torch.OutOfMemoryError("CUDA out of memory: raised on purpose")

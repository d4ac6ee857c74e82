"""PyTorch's peaks over a window of time, although the governor resets PyTorch's own counters within it.

Whoever resets them notes their values here first. A window begins when a job begins or somebody asks for it.
"""

from __future__ import annotations

_NOTED: dict[int, tuple[int, int]] = {}
"""Card's number in PyTorch → highest bytes handed out and held in this window, as far as the counters forgot them."""


def note(index: int, allocated_bytes: int, reserved_bytes: int) -> None:
    """Remember what the counters of a card say before they are reset."""
    _NOTED[index] = of(index, allocated_bytes, reserved_bytes)


def of(index: int, allocated_bytes: int, reserved_bytes: int) -> tuple[int, int]:
    """The peaks of the window, given what the counters say now."""
    noted = _NOTED.get(index, (0, 0))
    return max(noted[0], allocated_bytes), max(noted[1], reserved_bytes)


def forget() -> None:
    """Begin a new window."""
    _NOTED.clear()

"""Cuts a long text into overlapping windows of tokens (SPEC 4.1)."""

from __future__ import annotations

from core.errors import SchemaError


def split(length: int, *, capacity: int, stride: int) -> list[tuple[int, int]]:
    """Token ranges [start, end) that cover `length` tokens, each at most `capacity`, overlapping by `stride`.

    The last window is the first that reaches the end. A text without tokens still has one (empty) window. Raises
    SchemaError when the schema leaves less room than the overlap needs.
    """
    if capacity <= stride:
        raise SchemaError(
            f"模式太长：一次输入只剩 {max(capacity, 0)} 个词元给正文，不多于窗口重叠 {stride}。"
            "请减少或缩短类型，或调大 REX_MAX_LENGTH"
        )
    windows = [(0, min(length, capacity))]
    while windows[-1][1] < length:
        start = windows[-1][0] + capacity - stride
        windows.append((start, min(length, start + capacity)))
    return windows

"""A table of single characters in the binary form that the `Precompiled` normaliser of `tokenizers` reads.

Layout (SentencePiece's): the size of the trie in bytes, the trie, then the replacements, each ended by a zero byte.
The trie is a double array over UTF-8 bytes: from a node with base `b`, byte `c` leads to cell `b ^ c`, whose label
is `c`; a cell that ends a key has its leaf flag set and its value at its own base. All numbers are 32 bits,
little-endian.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Mapping

from core.errors import InputError

_LEAF, _VALUE, _MAX_BASE = 1 << 8, 1 << 31, 1 << 21
_END = 0  # the pseudo byte under which a node keeps the value of the key that ends there

Trie = dict[int, "Trie | int"]


def build_charsmap(replacements: Mapping[str, str]) -> bytes:
    """The binary table that replaces each key by its value; keys and values are not empty and hold no NUL."""
    blob = bytearray()
    root: Trie = {}
    for key in sorted(replacements):
        if not key or not replacements[key] or "\0" in key + replacements[key]:
            raise InputError(f"字符替换表中有空的或含 NUL 的条目：{key!r} → {replacements[key]!r}。")
        node = root
        for byte in key.encode():
            child = node.setdefault(byte, {})
            assert isinstance(child, dict)  # only _END leads to a number
            node = child
        node[_END] = len(blob)
        blob += replacements[key].encode() + b"\0"
    cells = _double_array(root)
    return len(cells).to_bytes(4, "little") + cells + bytes(blob)


def _double_array(root: Trie) -> bytes:
    """Place every node's children in free cells, first fit."""
    units = array("I", bytes(4 << 20))
    taken = bytearray(len(units))
    taken[0] = 1
    used_bases: set[int] = set()
    pending: list[tuple[int, int, Trie]] = [(0, 0, root)]  # cell, label, node
    start = last = 1
    while pending:
        cell, label, node = pending.pop()
        base = start
        while base in used_bases or any(taken[base ^ byte] for byte in node):
            base += 1
        offset = base ^ cell
        if base + 256 >= len(units) or offset >= _MAX_BASE:
            raise InputError(f"字符替换表太大，无法编码（已用 {last} 个单元）。请减少条目。")
        used_bases.add(base)
        units[cell] = offset << 10 | (_LEAF if _END in node else 0) | label
        for byte, child in node.items():
            target = base ^ byte
            taken[target] = 1
            last = max(last, target)
            if isinstance(child, dict):
                pending.append((target, byte, child))
            else:
                units[target] = _VALUE | child
        while taken[start]:
            start += 1
    units = units[: (last | 0xFF) + 1]
    if sys.byteorder == "big":
        units.byteswap()
    return units.tobytes()

"""Offsets as a file gives them -> code points of the text, whatever unit its program counted in.

A claim is right when the text between its offsets is the text that it brings. Where that fails, other units are
tried for all claims of the document together, then each claim that still fails is looked for by its text. Nothing
is moved silently: every repair is counted by kind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import NamedTuple

from core.readers.annotated.ledger import Ledger

UNITS = ("auto", "codepoint", "utf16", "utf8")
_KINDS = {
    "utf16": "原按 UTF-16 计，已换算为字符",
    "utf8": "原按 UTF-8 字节计，已换算为字符",
    "utf16 crlf": "原按 UTF-16、换行为两个字符计，已换算",
    "crlf": "原把换行计为两个字符（CRLF），已换算",
    "lf": "原把换行计为一个字符，正文是 CRLF，已换算",
    "utf16 lf": "原按 UTF-16、换行为一个字符计，已换算",
    "mark": "原把文件开头的字节顺序标记计在内，已减一",
    "found": "位置与文字不符，已按文字在附近重新定位",
}
_BLANKS = str.maketrans("\n\r\t\u00a0\u3000\x0b\x0c\x85\u2028\u2029", " " * 10)

Width = Callable[[str], int]
Bounds = tuple[int, int]


class Claim(NamedTuple):
    """Where a file says that a span is; `text` None when it does not say what stands there."""

    start: int
    end: int
    text: str | None


def align(text: str, claims: Sequence[Claim], *, ledger: Ledger, place: str) -> list[Bounds | None]:
    """Code-point bounds for each claim, None for one that cannot be placed (then it stands in the report)."""
    if not claims:
        return []
    unit, mapped = _best(text, claims, ledger.offsets)
    result: list[Bounds | None] = []
    for claim, bounds in zip(claims, mapped, strict=True):
        if bounds is not None and _fits(text, claim, bounds):
            if unit != "codepoint" and bounds != (claim.start, claim.end):
                ledger.repaired[_KINDS[unit]] += 1
            result.append(bounds)
            continue
        found = _nearest(text, claim, near=bounds[0] if bounds else claim.start)
        if found is None:
            said = "" if claim.text is None else f"“{claim.text[:40]}”"
            ledger.problem(place, f"[{claim.start}, {claim.end}] {said}在正文（{len(text)} 个字符）中对不上，已丢弃。")
        else:
            ledger.repaired[_KINDS["found"]] += 1
        result.append(found)
    return result


def _best(text: str, claims: Sequence[Claim], wanted: str) -> tuple[str, list[Bounds | None]]:
    """The unit under which most claims are right, and the bounds under it; code points win a draw."""
    best, most, bounds = "codepoint", -1, []  # type: tuple[str, int, list[Bounds | None]]
    for unit, width in _units(text, wanted):
        mapped = _mapped(text, claims, width, shift=1 if unit == "mark" else 0)
        right = sum(one is not None and _fits(text, claim, one) for claim, one in zip(claims, mapped, strict=True))
        if right > most:
            best, most, bounds = unit, right, mapped
        if right == len(claims):
            break
    return best, bounds


def _units(text: str, wanted: str) -> list[tuple[str, Width | None]]:
    """The units worth trying on this text, each with the width that it gives a character."""
    if wanted == "utf16":
        return [("utf16", _utf16)]
    if wanted == "utf8":
        return [("utf8", _utf8)]
    units: list[tuple[str, Width | None]] = [("codepoint", None)]
    if wanted == "codepoint":
        return units
    astral, windows, newlines = any(c > "\uffff" for c in text), "\r\n" in text, "\n" in text
    if astral:
        units.append(("utf16", _utf16))
    if newlines and not windows:
        units.append(("crlf", lambda c: 1 + (c == "\n")))
        if astral:
            units.append(("utf16 crlf", lambda c: _utf16(c) + (c == "\n")))
    if windows:
        units.append(("lf", lambda c: c != "\r"))
        if astral:
            units.append(("utf16 lf", lambda c: _utf16(c) if c != "\r" else 0))
    if not text.isascii():
        units.append(("utf8", _utf8))
    units.append(("mark", None))
    return units


def _utf16(character: str) -> int:
    return 1 + (character > "\uffff")


def _utf8(character: str) -> int:
    return len(character.encode("utf-8", "surrogatepass"))


def _mapped(text: str, claims: Sequence[Claim], width: Width | None, *, shift: int) -> list[Bounds | None]:
    if width is None:
        spans = ((claim.start - shift, claim.end - shift) for claim in claims)
        return [(start, end) if 0 <= start < end <= len(text) else None for start, end in spans]
    ends = [0, *accumulate(map(width, text))]
    # of several characters that begin at one offset (a CR without width), the last is meant
    places = {offset: index for index, offset in enumerate(ends)}
    result: list[Bounds | None] = []
    for claim in claims:
        start, end = places.get(claim.start), places.get(claim.end)
        result.append((start, end) if start is not None and end is not None and start < end else None)
    return result


def _fits(text: str, claim: Claim, bounds: Bounds) -> bool:
    return claim.text is None or same(text[slice(*bounds)], claim.text)


def same(one: str, other: str) -> bool:
    """Equal but for the kind of blanks, and for line ends of one or two characters."""
    if one == other or one.translate(_BLANKS) == other.translate(_BLANKS):
        return True
    return _flat(one) == _flat(other)


def _flat(text: str) -> str:
    return text.replace("\r\n", "\n").translate(_BLANKS)


def _nearest(text: str, claim: Claim, *, near: int) -> Bounds | None:
    """The occurrence of the claim's text that begins nearest to where it should."""
    wanted = claim.text
    if not wanted or not wanted.strip():
        return None
    near = max(0, min(near, len(text)))
    after = text.find(wanted, near)
    before = text.rfind(wanted, 0, near + len(wanted) - 1)
    places = [place for place in (before, after) if place >= 0]
    if not places:
        return None
    start = min(places, key=lambda place: abs(place - near))
    return start, start + len(wanted)

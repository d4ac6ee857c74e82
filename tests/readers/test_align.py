"""Offsets of any unit lead back to the characters they meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.readers.annotated.align import Claim, align, same
from core.readers.annotated.ledger import Ledger

WORDS = st.text(st.sampled_from("张伟李娜😀𠮷ab\n\r\t，"), min_size=1, max_size=30)
UNITS = {
    "utf16": lambda text, offset: len(text[:offset].encode("utf-16-le")) // 2,
    "utf8": lambda text, offset: len(text[:offset].encode()),
    "codepoint": lambda text, offset: offset,
}


@pytest.mark.parametrize("unit", UNITS)
@given(text=WORDS, cuts=st.tuples(st.integers(0, 29), st.integers(1, 30)))
def test_a_told_unit_is_turned_into_characters(unit: str, text: str, cuts: tuple[int, int]) -> None:
    start = min(cuts[0], len(text) - 1)
    end = max(start + 1, min(cuts[1], len(text)))
    count = UNITS[unit]
    claim = Claim(count(text, start), count(text, end), text[start:end])
    assert align(text, [claim], ledger=Ledger(offsets=unit), place="") == [(start, end)]


@pytest.mark.parametrize("unit", UNITS)
@given(text=WORDS)
def test_an_untold_unit_never_gives_a_span_of_another_text(unit: str, text: str) -> None:
    count = UNITS[unit]
    places = [(start, min(start + 2, len(text))) for start in range(0, len(text), 2)]
    claims = [Claim(count(text, start), count(text, end), text[start:end]) for start, end in places]
    ledger = Ledger()
    for claim, bounds in zip(claims, align(text, claims, ledger=ledger, place=""), strict=True):
        if bounds is None:
            assert ledger.problems.count
        else:
            assert same(text[slice(*bounds)], claim.text or "")


def test_texts_are_the_same_whatever_their_blanks() -> None:
    assert same("张伟\r\n来", "张伟  来") and same("张伟\r\n来", "张伟\n来") and same("a\tb", "a b")
    assert not same("张伟", "张 伟")

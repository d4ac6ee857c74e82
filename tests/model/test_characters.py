"""Looking characters up gives what the tokenizer gives, for every kind of text."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer

from core.config import EMBEDDED_MODEL
from core.model.characters import Characters
from core.model.tokenizer import RexTokenizer

TINY = Path(__file__).parents[1] / "fixtures" / "tiny"
UNIGRAM = Path(__file__).parents[3] / "shared" / "rex" / "golden" / "B_spm_noconv"
FRAGMENTS = st.sampled_from(
    [
        *(
            "😀",
            "👨‍👩‍👧",
            "𠮷",
            "ＡＢＣ１",
            "ａｂ",
            "\n",
            "\t",
            " ",
            "\u3000",
            "\r\n",
            "\r",
            "\u200b",
            "é",
            "e\u0301",
            "ﬁ",
            "#",
        ),
        *("[TYPE]", "[CLASSIFY]", "[SEP]", "[PREFIX]", "[CLS]", "[UNK]", "[MASK]", "##的", "=\u0338", "字\u0301", "龍"),
        *(
            "陈静",
            "杭州",
            "浙江大学。",
            "（丈夫）",
            "，",
            "……",
            "2024年3月",
            "iPhone 15",
            "３７．５℃",
            "か\u3099",
            "ｶﾞ",
            "“好”",
        ),
        *(
            "a" * 120,
            "9" * 120,
            "http://a.cn/b?c=1",
            "it's",
            "1,234.5%",
            "C++",
            "\x00",
            "\x7f",
            "\ufeff",
            "ß",
            "İ",
            "ﷺ",
        ),
    ]
)
TEXTS = st.lists(st.one_of(FRAGMENTS, st.text(max_size=6)), max_size=12).map("".join)


@pytest.fixture(scope="module", params=[TINY, EMBEDDED_MODEL, UNIGRAM], ids=["bert", "own", "unigram"])
def tokenizer(request: pytest.FixtureRequest) -> RexTokenizer:
    if not (request.param / "config.json").is_file():
        pytest.skip(f"no checkpoint in {request.param}")
    return RexTokenizer.from_directory(request.param)


def _check(tokenizer: RexTokenizer, text: str) -> None:
    ours = tokenizer.encode_text(text)
    theirs = tokenizer._plain.encode(text, add_special_tokens=False)
    assert ours.ids.tolist() == theirs.ids, text
    assert ours.offsets.tolist() == [list(pair) for pair in theirs.offsets], text
    assert (ours.ids.dtype, ours.offsets.dtype, ours.offsets.ndim) == ("int32", "int32", 2)


@settings(deadline=None, max_examples=400)
@given(text=TEXTS)
def test_any_text_has_the_tokens_and_offsets_of_the_tokenizer(tokenizer: RexTokenizer, text: str) -> None:
    _check(tokenizer, text)


def test_every_looked_up_character_between_every_kind_of_neighbour_is_the_tokenizer_s(tokenizer: RexTokenizer) -> None:
    characters = [
        chr(code)
        for first, last in (
            (0x20, 0x7E),
            (0x3B1, 0x3C9),
            (0x2160, 0x217F),
            (0x2190, 0x25FF),
            (0x3000, 0x3020),
            (0xFF01, 0xFF5E),
        )
        for code in range(first, last + 1)
    ]
    characters += [chr(code) for code in range(0x3400, 0xA000, 7)]
    for between in ("", "a", "7", " ", "。", "字", "B-"):
        _check(tokenizer, between.join(characters))


def test_chinese_text_with_words_and_numbers_is_looked_up(tokenizer: RexTokenizer) -> None:
    text = "小说家陈静1972年3月出生于杭州，毕业于Zhejiang University（浙江大学）。"
    found = tokenizer._characters.encode(text)
    assert (found is not None) == tokenizer._characters.usable
    assert tokenizer._characters.encode("か" + text) is None
    assert tokenizer._characters.encode("") is None


def test_a_tokenizer_that_has_learnt_characters_can_be_sent_to_another_process(tokenizer: RexTokenizer) -> None:
    text = "陈静2024年买了iPhone 15，IPHONE！"
    wanted = tokenizer.encode_text(text)
    found = pickle.loads(pickle.dumps(tokenizer)).encode_text(text)
    assert found.ids.tolist() == wanted.ids.tolist()
    assert found.offsets.tolist() == wanted.offsets.tolist()


def test_more_words_than_are_remembered_change_nothing(
    tokenizer: RexTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.model.characters.MOST_WORDS", 2)
    for text in ("好a好b好c好", "好b好d好", "好" + "e" * 90 + "好b好"):
        _check(tokenizer, text)


def test_tokens_added_to_ordinary_text_leave_it_to_the_tokenizer() -> None:
    own = Tokenizer.from_file(str(TINY / "tokenizer.json"))
    assert Characters(own).usable
    own.add_tokens([AddedToken("浙江大学", special=False)])
    assert not Characters(own).usable
    tokenizer = RexTokenizer(own)
    _check(tokenizer, "陈静毕业于浙江大学。")

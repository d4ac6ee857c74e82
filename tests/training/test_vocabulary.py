"""The tokenizer of the embedded model: its ids, its folds and the exactness of its offsets."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, normalizers

from core.errors import InputError
from core.training.charsmap import build_charsmap
from core.training.vocabulary import MARKERS, SPECIALS, Vocabulary, build_vocabulary, count, gb2312, make_tokenizer

SIMPLIFIED = {"國": ("国",), "鍾": ("𨱇", "钟"), "乾": ("干", "乾"), "後": ("后",), "𠀀": ("𠀁",)}
TEXTS = ["中华人民共和国，中國 hello model models 喆喆喆喆 ㎡ 👍👍👍👍 ok"] * 30
MODEL = Path(__file__).resolve().parents[2] / "data" / "models" / "rex-mini-zh" / "tokenizer.json"


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return build_vocabulary(TEXTS, simplified=SIMPLIFIED)


@pytest.fixture(scope="module")
def tokenizer(vocabulary: Vocabulary) -> Tokenizer:
    return make_tokenizer(vocabulary)


def encode(tokenizer: Tokenizer, text: str) -> list[tuple[str, str]]:
    """Token and the piece of the text that it stands for."""
    one = tokenizer.encode(text, add_special_tokens=False)
    return [(token, text[start:end]) for token, (start, end) in zip(one.tokens, one.offsets, strict=True)]


def test_every_token_has_one_id_and_the_markers_come_last(vocabulary: Vocabulary, tokenizer: Tokenizer) -> None:
    assert len(vocabulary.tokens) == len(set(vocabulary.tokens)) == 12804
    assert tokenizer.get_vocab_size() == 12804
    assert [tokenizer.token_to_id(token) for token in SPECIALS] == [0, 1, 2, 3, 4]
    assert [tokenizer.token_to_id(f"[unused{n}]") for n in (1, 95)] == [5, 99]
    assert [tokenizer.token_to_id(token) for token in MARKERS] == [12800, 12801, 12802, 12803]


def test_all_characters_of_gb2312_are_known(tokenizer: Tokenizer) -> None:
    assert (len(gb2312(1)), len(gb2312(2))) == (3755, 3008)
    assert 3 not in tokenizer.encode(gb2312(1) + gb2312(2), add_special_tokens=False).ids


def test_traditional_characters_are_the_token_of_their_simplified_form(tokenizer: Tokenizer) -> None:
    assert encode(tokenizer, "中國鍾後乾") == [("中", "中"), ("国", "國"), ("钟", "鍾"), ("后", "後"), ("乾", "乾")]


def test_folding_survives_saving_and_loading(tokenizer: Tokenizer) -> None:
    again = Tokenizer.from_str(Tokenizer.from_str(tokenizer.to_str()).to_str())
    assert again.encode("國国Ａ").ids == tokenizer.encode("国国a").ids


def test_unknown_neighbours_do_not_swallow_a_word(tokenizer: Tokenizer) -> None:
    assert encode(tokenizer, "ok👍") == [("ok", "ok"), ("👍", "👍")]
    assert encode(tokenizer, "5G网 2026") == [("5", "5"), ("g", "G"), ("网", "网"), *((c, c) for c in "2026")]
    assert encode(tokenizer, "okéok")[0] == ("ok", "ok")


def test_a_word_of_any_length_is_covered_without_unknowns(tokenizer: Tokenizer) -> None:
    pieces = encode(tokenizer, "ab" * 500)
    assert "".join(piece for _, piece in pieces) == "ab" * 500
    assert all(token != "[UNK]" for token, _ in pieces)


def test_markers_in_user_text_stay_text_when_asked(tokenizer: Tokenizer) -> None:
    text = "说[CLASSIFY]和[SEP]"
    assert tokenizer.encode(text).ids.count(12802) == 1
    plain = Tokenizer.from_str(tokenizer.to_str())
    plain.encode_special_tokens = True
    ids = plain.encode(text).ids
    assert not {0, 1, 2, 4, 12800, 12801, 12802, 12803} & set(ids)
    assert "".join(piece for _, piece in encode(plain, text)) == text


TRICKY = st.sampled_from(
    [
        *"國国ＡａéİŐ㎡①…ﬁ½가がヴカ゛𠮷龘\n\r\t\u3000\u200b\u00a0\u0301\ufe0f\U0001f3fb5g-_ ",
        "👨‍👩‍👧",
        "[TYPE]",
        "ok👍",
        "\ue000",
    ]
)
ANY_TEXT = st.lists(TRICKY | st.text(max_size=6), max_size=20).map("".join)


@settings(max_examples=300, deadline=None)
@given(text=ANY_TEXT)
def test_offsets_are_code_points_of_the_text_as_given(tokenizer: Tokenizer, text: str) -> None:
    fold = tokenizer.normalizer
    assert fold is not None
    plain = Tokenizer.from_str(tokenizer.to_str())
    plain.encode_special_tokens = True
    one = plain.encode(text, add_special_tokens=False)
    before = (0, 0)
    for token, (start, end) in zip(one.tokens, one.offsets, strict=True):
        assert 0 <= start < end <= len(text)
        # Several tokens of one character (㎡ is m and 2) share its place; otherwise tokens never overlap.
        assert start >= before[1] or (start, end) == before
        before = (start, end)
        if token != "[UNK]":
            assert token.removeprefix("##") in fold.normalize_str(text[start:end])


@settings(max_examples=300, deadline=None)
@given(text=ANY_TEXT)
def test_no_letter_digit_or_symbol_is_left_without_a_token(tokenizer: Tokenizer, text: str) -> None:
    covered = {i for start, end in tokenizer.encode(text, add_special_tokens=False).offsets for i in range(start, end)}
    left = {c for i, c in enumerate(text) if i not in covered}
    # Marks may be composed into the character before them; spaces, controls and private characters carry no text.
    assert {unicodedata.category(c)[0] for c in left} <= {"M", "Z", "C"}


@pytest.mark.skipif(not MODEL.is_file(), reason="the embedded model is not there")
def test_the_shipped_tokenizer_reads_both_scripts_alike() -> None:
    shipped = Tokenizer.from_file(str(MODEL))
    traditional = shipped.encode("中華民國憲法規定人民有言論自由").ids
    assert traditional == shipped.encode("中华民国宪法规定人民有言论自由").ids
    assert 3 not in traditional
    assert shipped.token_to_id("[MULTICLASSIFY]") == 12803


def test_counting_folds_width_and_case_and_leaves_out_white_space() -> None:
    counts = count(["Ａb １\u3000国", "AB 1國"])
    assert counts.characters == {"1": 2, "国": 1, "國": 1}
    assert set(counts.words) == {"b", "ab"}


def test_a_vocabulary_too_small_for_its_characters_is_refused() -> None:
    with pytest.raises(InputError, match="6000"):
        build_vocabulary(["好"], size=6000)


@given(
    table=st.dictionaries(
        st.characters(exclude_categories=("Cs", "Mn", "Me", "Mc"), exclude_characters="\0"),
        st.characters(exclude_categories=("Cs",), exclude_characters="\0"),
        max_size=40,
    )
)
@settings(max_examples=40, deadline=None)
def test_the_character_table_replaces_its_keys_and_nothing_else(table: dict[str, str]) -> None:
    fold = normalizers.Precompiled(build_charsmap(table or {"a": "b"}))
    for key, value in table.items():
        assert fold.normalize_str(key) == value
    for other in "国國aé👍":
        assert other in (table or {"a": "b"}) or fold.normalize_str(other) == other


def test_the_character_table_refuses_empty_replacements() -> None:
    with pytest.raises(InputError, match="'a'"):
        build_charsmap({"a": ""})

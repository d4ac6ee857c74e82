"""The explicit schema instructor: ids, positions, isolation, packing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.inference.prompts import MAX_PART, Group, Hint, PieceEncoder, Prompt, assemble, build_hints
from core.model.tokenizer import RexTokenizer
from core.types import Link

TINY = Path(__file__).parents[1] / "fixtures" / "tiny"


@pytest.fixture(scope="module")
def pieces() -> PieceEncoder:
    return PieceEncoder(RexTokenizer.from_directory(TINY))


def _link(name: str, text: str) -> Link:
    return Link(name, 0, len(text), text, 1.0, 1.0)


def _tokens(ids: np.ndarray, tokenizer: RexTokenizer) -> list[str]:
    names = {tokenizer.cls_id: "[CLS]", tokenizer.sep_id: "[SEP]", tokenizer.prefix_id: "[PREFIX]"}
    names |= {tokenizer.type_id: "[TYPE]", tokenizer.classify_id: "[CLASSIFY]"}
    vocabulary = (TINY / "vocab.txt").read_text(encoding="utf-8").splitlines()
    return [names.get(int(one)) or vocabulary[int(one)] for one in ids]


def _attends(prompt: Prompt) -> list[set[int]]:
    """Columns of every row, pair by pair."""
    size = len(prompt)
    rows = []
    for i in range(size):
        columns = set()
        for j in range(size):
            apart = [ids[i] and ids[j] and ids[i] != ids[j] for ids in (prompt.prefix_ids, prompt.type_ids)]
            if not any(apart):
                columns.add(j)
        rows.append(columns)
    return rows


def test_the_worked_example_has_the_specified_ids_positions_and_mask(pieces: PieceEncoder) -> None:
    groups = [
        Group((_link("人物", "张伟"),), ("配偶", "籍贯")),  # asked in sorted order
        Group((_link("人物", "李娜"),), ("籍贯",)),
    ]
    hints, unasked = build_hints(groups, pieces)
    assert len(hints) == 1
    assert not unasked
    text = pieces.tokenizer.encode_text("张伟住上海")
    prompt = assemble(hints[0], text.ids, text.offsets, pieces.tokenizer)
    assert _tokens(prompt.input_ids, pieces.tokenizer) == [
        *("[CLS]", "[PREFIX]", "人", "物", ":", "张", "伟", "[TYPE]", "籍", "贯", "[TYPE]", "配", "偶"),
        *("[PREFIX]", "人", "物", ":", "李", "娜", "[TYPE]", "籍", "贯", "[SEP]"),
        *("张", "伟", "住", "上", "海", "[SEP]"),
    ]
    assert prompt.position_ids.tolist() == [
        *(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 7, 8, 9),
        *(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16),
    ]
    everything = set(range(29))
    text_part = set(range(22, 29))
    wanted = [everything]
    wanted += [set(range(13)) | text_part] * 6
    wanted += [set(range(10)) | text_part] * 3
    wanted += [set(range(7)) | {10, 11, 12} | text_part] * 3
    wanted += [{0} | set(range(13, 29))] * 9
    wanted += [everything] * 7
    assert _attends(prompt) == wanted
    assert prompt.text_start == 23
    assert prompt.offsets[23:28].tolist() == [[0, 1], [1, 2], [2, 3], [3, 4], [4, 5]]
    assert [(m.group, m.type, m.index) for m in prompt.markers] == [(0, "籍贯", 7), (0, "配偶", 10), (1, "籍贯", 19)]


def test_the_class_token_stands_before_the_text_and_in_prefixes(pieces: PieceEncoder) -> None:
    classify = pieces.tokenizer.classify_id
    hints, _ = build_hints([Group((_link("体育", "[CLASSIFY]"),), ("足球",))], pieces, class_id=classify)
    text = pieces.tokenizer.encode_text("张伟")
    prompt = assemble(hints[0], text.ids, text.offsets, pieces.tokenizer, class_id=classify)
    assert _tokens(prompt.input_ids, pieces.tokenizer) == [
        *("[CLS]", "[PREFIX]", "体", "育", ":", "[CLASSIFY]", "[TYPE]", "足", "球", "[SEP]"),
        *("[CLASSIFY]", "张", "伟", "[SEP]"),
    ]
    assert prompt.class_index == prompt.text_start == 10
    assert prompt.position_ids.tolist() == list(range(14))


def _types(hint: Hint) -> list[str]:
    return [marker.type for marker in hint.markers]


def test_a_group_that_overflows_goes_on_behind_a_copy_of_its_prefix(pieces: PieceEncoder) -> None:
    names = tuple(f"类型{letter}" for letter in "甲乙丙丁戊己庚辛")
    group = Group((_link("人物", "张伟"),), names)
    hints, unasked = build_hints([group], pieces, max_length=20)  # 2 + 6 of the prefix + 3 types of 4
    assert not unasked
    assert [len(hint.markers) for hint in hints] == [3, 3, 2]
    assert [name for hint in hints for name in _types(hint)] == sorted(names)
    prefix = pieces.prefix(group.prefix, class_id=None).tolist()
    for hint in hints:
        assert len(hint.ids) <= 20
        assert hint.ids[1 : 1 + len(prefix)].tolist() == prefix
        assert all(hint.ids[marker.index] == pieces.tokenizer.type_id for marker in hint.markers)


def test_an_over_long_type_is_asked_in_a_hint_of_its_own(pieces: PieceEncoder) -> None:
    longest, too_long = "长" * (MAX_PART - 1), "长" * MAX_PART
    hints, unasked = build_hints([Group((), ("人物", longest, too_long, "组织"))], pieces)
    assert not unasked
    assert [_types(hint) for hint in hints] == [["人物", "组织", longest], [too_long]]


def test_a_type_that_fits_no_hint_is_handed_back(pieces: PieceEncoder) -> None:
    endless = "长" * 300
    hints, unasked = build_hints([Group((), ("人物", endless))], pieces)
    assert unasked == [(0, endless)]
    assert [_types(hint) for hint in hints] == [["人物"]]


@pytest.mark.parametrize("marker", ["[TYPE]", "[PREFIX]", "[SEP]", "[CLS]", "[CLASSIFY]", "[MULTICLASSIFY]"])
def test_a_marker_written_in_a_span_a_type_or_the_text_stays_text(pieces: PieceEncoder, marker: str) -> None:
    tokenizer = pieces.tokenizer
    hints, _ = build_hints([Group((_link("人物", f"张{marker}伟"),), (f"籍{marker}贯",))], pieces)
    encoding = tokenizer.encode_text(f"张{marker}伟")
    prompt = assemble(hints[0], encoding.ids, encoding.offsets, tokenizer)
    ids = prompt.input_ids.tolist()
    specials = {tokenizer.cls_id: 1, tokenizer.sep_id: 2, tokenizer.prefix_id: 1, tokenizer.type_id: 1}
    specials |= {tokenizer.classify_id: 0, tokenizer.multiclassify_id: 0}
    assert {special: ids.count(special) for special in specials} == specials


def test_hints_that_documents_share_are_built_once_and_are_those_built_anew(pieces: PieceEncoder) -> None:
    classify = pieces.tokenizer.classify_id
    limits = {"max_length": 64, "max_groups": 0}

    def asked(score: float, *, marker: str) -> list[Group]:
        return [Group((Link("体育", 0, len(marker), marker, score, score),), ("足球", "篮球"))]

    root = [Group((), ("人物", "地点"))]
    below = asked(0.9, marker="张伟")
    for groups, other, class_id, shared in (
        (root, list(root), None, True),
        (root, list(root), classify, True),
        (asked(0.9, marker="[CLASSIFY]"), asked(0.4, marker="[CLASSIFY]"), classify, True),
        (below, asked(0.9, marker="张伟"), None, False),
    ):
        (first,), _ = pieces.hints(groups, class_id=class_id, **limits)
        (second,), _ = pieces.hints(other, class_id=class_id, **limits)
        (anew,), _ = build_hints(other, pieces, class_id=class_id, **limits)
        assert (first is second) == shared
        np.testing.assert_array_equal(second.vectors, anew.vectors)
        assert second.markers == anew.markers
    # Other limits, other hints.
    assert len(pieces.hints(root, max_length=8, max_groups=0, class_id=None)[0]) == 2


def test_parts_of_a_prompt_come_together_to_vectors_of_one_length(pieces: PieceEncoder) -> None:
    text = pieces.tokenizer.encode_text("张伟住上海")
    for class_id in (None, pieces.tokenizer.classify_id):
        (hint,), _ = build_hints([Group((), ("人物", "地点"))], pieces, class_id=class_id)
        prompt = assemble(hint, text.ids, text.offsets, pieces.tokenizer, class_id=class_id)
        vectors = (prompt.input_ids, prompt.position_ids, prompt.prefix_ids, prompt.type_ids)
        assert {len(one) for one in (*vectors, prompt.offsets)} == {len(prompt)}
        assert {str(one.dtype) for one in (*vectors, prompt.offsets)} == {"int32"}
        first = prompt.text_start + (class_id is not None)
        assert prompt.offsets[first:-1].tolist() == text.offsets.tolist()
        assert not prompt.offsets[:first].any()
        assert not prompt.offsets[-1].any()

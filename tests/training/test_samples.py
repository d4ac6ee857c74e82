"""From annotated records to prompts with gold cells."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch

from core.errors import InputError
from core.inference.decoding import decode
from core.inference.prompts import PieceEncoder
from core.training.samples import Limits, Mark, Sample, build_samples, read_record, token_span

RELATION: dict[str, Any] = {
    "text": "张三的配偶李四在北京，王五在上海。",
    "info_list": [
        [{"type": "人物", "span": "张三", "offset": [0, 2]}, {"type": "配偶(人物)", "span": "李四", "offset": [5, 7]}],
        [{"type": "地理位置", "span": "北京", "offset": [8, 10]}],
    ],
    "schema": {"人物": {"配偶(人物)": None}, "地理位置": None},
}
CLASS: dict[str, Any] = {
    "text": "[CLASSIFY]很好",
    "info_list": [[{"type": "正向情感", "span": "[CLASSIFY]", "offset": [0, 10]}]],
    "schema": {"正向情感": None, "负向情感": None},
}


def perfect_logits(sample: Sample) -> torch.Tensor:
    logits = torch.full((1, len(sample.prompt), len(sample.prompt)), -5.0)
    logits[0, sample.cells[:, 0], sample.cells[:, 1]] = 5.0
    return logits


def decoded(sample: Sample, text: str) -> set[tuple[int, str, str]]:
    """(group, type, span text) that the inference code reads from the gold cells."""
    fired = decode(perfect_logits(sample), [sample.prompt])[0]
    found = set()
    for head, tail, marker in zip(fired.heads, fired.tails, fired.markers, strict=True):
        start, end = sample.prompt.offsets[head, 0], sample.prompt.offsets[tail, 1]
        mark = sample.prompt.markers[marker]
        found.add((mark.group, mark.type, text[start:end]))
    return found


def test_gold_cells_decode_back_to_the_gold_spans_of_every_level(pieces: PieceEncoder) -> None:
    example = read_record(RELATION)
    first, second = build_samples(example, pieces, random.Random(0), limits=Limits())
    assert decoded(first, example.text) == {(0, "人物", "张三"), (0, "地理位置", "北京")}
    assert decoded(second, example.text) == {(0, "配偶(人物)", "李四")}


def test_gold_of_a_class_is_the_class_token(pieces: PieceEncoder) -> None:
    (sample,) = build_samples(read_record(CLASS), pieces, random.Random(0), limits=Limits())
    classes = decode(perfect_logits(sample), [sample.prompt])[0].classes
    assert classes is not None
    fired = {m.type for m, p in zip(sample.prompt.markers, classes, strict=True) if (p > 0.5).all()}
    assert fired == {"正向情感"}
    assert len(sample.cells) == 3


def test_a_class_below_a_class_is_asked_behind_the_class_token(pieces: PieceEncoder) -> None:
    path = [
        {"type": "人物", "span": "[MULTICLASSIFY]", "offset": [0, 15]},
        {"type": "正向情感", "span": "[MULTICLASSIFY]", "offset": [0, 15]},
    ]
    row = {"text": "[MULTICLASSIFY]很好", "info_list": [path], "schema": {"人物": {"正向情感": None, "负向情感": None}}}
    _, below = build_samples(read_record(row), pieces, random.Random(0), limits=Limits())
    marker = pieces.tokenizer.multiclassify_id
    assert (below.prompt.input_ids == marker).sum() == 2
    assert below.prompt.input_ids[below.prompt.class_index] == marker
    assert len(below.cells) == 3


def test_equal_prefixes_share_their_answers(pieces: PieceEncoder) -> None:
    row = {
        "text": "张三，张三，李四，王五",
        "info_list": [
            [{"type": "人物", "span": "张三", "offset": [0, 2]}, {"type": "配偶", "span": "李四", "offset": [6, 8]}],
            [{"type": "人物", "span": "张三", "offset": [3, 5]}, {"type": "配偶", "span": "王五", "offset": [9, 11]}],
        ],
        "schema": {"人物": {"配偶": None}},
    }
    _, below = build_samples(read_record(row), pieces, random.Random(0), limits=Limits())
    assert {name for _, _, name in decoded(below, str(row["text"]))} == {"李四", "王五"}


def test_windows_of_a_long_text_reach_every_span_and_keep_its_text(pieces: PieceEncoder) -> None:
    names = [f"{a}{b}" for a in "张李王" for b in "三四五"]
    text = "，".join(name + "在北京买了很好的苹果" for name in names)
    starts = [text.index(name) for name in names]
    paths = [[{"type": "人物", "span": name, "offset": [at, at + 2]}] for name, at in zip(names, starts, strict=True)]
    example = read_record({"text": text, "info_list": paths, "schema": {"人物": None}})
    seen: set[str] = set()
    for seed in range(60):
        (sample,) = build_samples(example, pieces, random.Random(seed), limits=Limits(max_length=48))
        assert len(sample.prompt) <= 48
        found = {span for _, _, span in decoded(sample, text)}
        assert found <= set(names)
        seen |= found
    assert seen == set(names)


def test_span_borders_inside_a_token_move_inwards() -> None:
    offsets = np.array([[0, 1], [1, 7], [7, 8], [8, 9]])
    assert token_span(offsets, 0, 8) == (0, 2)
    assert token_span(offsets, 3, 9) == (2, 3)
    assert token_span(offsets, 0, 5) == (0, 0)
    head, tail = token_span(offsets, 2, 5)
    assert head > tail


def test_a_span_without_a_token_of_its_own_is_counted_as_lost(pieces: PieceEncoder) -> None:
    row = {
        "text": "买了iphones",
        "info_list": [[{"type": "组织机构", "span": "hon", "offset": [4, 7]}]],
        "schema": {"组织机构": None},
    }
    (sample,) = build_samples(read_record(row), pieces, random.Random(0), limits=Limits())
    assert sample.lost == 1 and len(sample.cells) == 0


def test_a_record_without_schema_gets_the_one_of_its_answers() -> None:
    example = read_record({key: value for key, value in RELATION.items() if key != "schema"})
    assert example.schema == RELATION["schema"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"info_list": [[{"type": "人物", "span": "李四", "offset": [0, 2]}]]}, "张三"),
        ({"info_list": [[{"type": "时间", "span": "张三", "offset": [0, 2]}]]}, "时间"),
        ({"info_list": [[{"type": "人物", "offset": [0, 2]}]]}, "span"),
        ({"text": None}, "text"),
    ],
)
def test_faulty_records_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_record(RELATION | change)


def test_class_records_must_mark_the_class_token() -> None:
    row = CLASS | {"info_list": [[{"type": "正向情感", "span": "很好", "offset": [10, 12]}]]}
    with pytest.raises(InputError, match="类别标记"):
        read_record(row)


def test_paths_that_stop_early_ask_their_children_without_answer(pieces: PieceEncoder) -> None:
    row = RELATION | {"info_list": [RELATION["info_list"][0][:1]]}
    example = read_record(row)
    assert example.paths == ((Mark("人物", 0, 2),),)
    first, second = build_samples(example, pieces, random.Random(0), limits=Limits())
    assert len(first.cells) == 3 and len(second.cells) == 0

"""Random variants of examples."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from core.inference.prompts import PieceEncoder
from core.training.augment import LIGHT, AugmentConfig, augment
from core.training.samples import Example, SchemaTree, build_samples, read_record
from core.training.wording import FOREIGN, SYNONYMS, alternatives, label_set_wordings


def relation() -> Example:
    row = {
        "text": "张三的配偶李四在北京，王五创办了苹果公司。",
        "task": "re",
        "source": "resume",
        "info_list": [
            [
                {"type": "人物", "span": "张三", "offset": [0, 2]},
                {"type": "配偶(人物)", "span": "李四", "offset": [5, 7]},
            ],
            [
                {"type": "组织机构", "span": "苹果公司", "offset": [16, 20]},
                {"type": "创始人(人物)", "span": "王五", "offset": [11, 13]},
            ],
            [{"type": "地理位置", "span": "北京", "offset": [8, 10]}],
        ],
        "schema": {
            "人物": {"配偶(人物)": None, "子女(人物)": None, "籍贯(地理位置)": None},
            "组织机构": {"创始人(人物)": None, "总部地点(地理位置)": None},
            "地理位置": None,
            "时间": None,
        },
    }
    return read_record(row)


def flat(text: str, labels: list[str], gold: list[str], *, task: str) -> Example:
    paths = [[{"type": name, "span": "[CLASSIFY]", "offset": [0, 10]}] for name in gold]
    schema: dict[str, Any] = dict.fromkeys(labels)
    return read_record({"text": "[CLASSIFY]" + text, "info_list": paths, "schema": schema, "task": task})


def legal(example: Example) -> bool:
    for path in example.paths:
        tree: SchemaTree | None = example.schema
        for mark in path:
            if not tree or mark.type not in tree:
                return False
            tree = tree[mark.type]
    return True


EAGER = AugmentConfig(full=0.1, rename=1.0, foreign=0.6, wrong_prefix=0.8)


def test_every_gold_path_stays_legal_and_keeps_its_text() -> None:
    original = relation()
    spans = {mark.start: original.text[mark.start : mark.end] for path in original.paths for mark in path}
    kept = set()
    for seed in range(400):
        variant = augment(original, random.Random(seed), EAGER)
        assert legal(variant) and variant.schema and variant.text == original.text
        for path in variant.paths:
            for mark in path:
                assert variant.text[mark.start : mark.end] == spans[mark.start]
                kept.add(mark.start)
    assert kept == set(spans)


def test_names_change_together_in_schema_and_gold_and_never_clash() -> None:
    names = set()
    for seed in range(400):
        variant = augment(relation(), random.Random(seed), replace(EAGER, full=1.0, foreign=0.0))
        assert len(variant.paths) == 3
        assert len(variant.schema) == 4
        assert [len(below or ()) for below in variant.schema.values()] == [3, 2, 0, 0]
        names |= set(variant.schema)
    assert {"人名", "PER"} <= names and len(names) > 20


def test_gold_types_are_sometimes_left_out_with_their_gold() -> None:
    counts = {len(augment(relation(), random.Random(seed), EAGER).paths) for seed in range(300)}
    assert counts >= {1, 2, 3}


def test_foreign_types_have_no_answer_and_mean_nothing_of_the_own_schema() -> None:
    own = {"人物", "组织机构", "地理位置", "时间"}
    added: set[str] = set()
    for seed in range(300):
        variant = augment(relation(), random.Random(seed), AugmentConfig(full=1.0, rename=0.0, foreign=1.0))
        new = set(variant.schema) - own
        assert 1 <= len(new) <= 3 and new <= set(FOREIGN["resume"])
        assert not {path[0].type for path in variant.paths} & new
        added |= new
    assert len(added) > 5


def test_wrong_prefixes_are_asked_and_answered_with_nothing(pieces: PieceEncoder) -> None:
    config = AugmentConfig(full=1.0, rename=0.0, foreign=0.0, wrong_prefix=1.0, long=0.0, max_hints=9)
    right = {("人物", "张三"), ("组织机构", "苹果公司")}
    for seed in range(100):
        rng = random.Random(seed)
        variant = augment(relation(), rng, config)
        assert variant.wrong
        wrong = {prefix[0] for prefix, _ in variant.wrong}
        assert not wrong & right
        samples = build_samples(variant, pieces, rng, limits=config.limits(rng))
        asked = sum(len(sample.prompt.markers) for sample in samples[1:])
        assert asked == 5 + sum(len(types) for _, types in variant.wrong)
        assert sum(len(sample.cells) for sample in samples[1:]) == 6


def test_label_sets_change_as_a_whole() -> None:
    example = flat("很好", ["正向情感", "负向情感"], ["正向情感"], task="sentiment")
    pairs = set()
    for seed in range(200):
        variant = augment(example, random.Random(seed), AugmentConfig(label_set=0.9))
        pairs.add(tuple(variant.schema))
        assert variant.paths[0][0].type == next(iter(variant.schema))
    assert ("好评", "差评") in pairs and ("正向情感", "负向情感") in pairs
    assert all(len(pair) == 2 for pair in pairs)


def test_single_label_texts_keep_their_label_almost_always() -> None:
    labels = ["财经", "体育", "科技", "娱乐", "教育", "房产", "汽车", "军事"]
    example = flat("今天的比赛", labels, ["体育"], task="classification")
    variants = [augment(example, random.Random(seed), AugmentConfig(rename=0.0)) for seed in range(500)]
    missing = sum(not variant.paths for variant in variants)
    assert 0 < missing < 40
    assert len({tuple(variant.schema) for variant in variants}) > 50


def test_many_labels_fit_the_budget_of_a_hint() -> None:
    labels = [f"第{number}个很长的类别名称" for number in range(200)]
    example = flat("正文", labels, [labels[7]], task="classification")
    config = AugmentConfig(full=0.0, rename=0.0)
    for seed in range(100):
        variant = augment(example, random.Random(seed), config)
        assert sum(len(name) + 1 for name in variant.schema) <= config.max_hint_chars + 20


def test_matching_pairs_are_exchanged_whole() -> None:
    example = flat("段落1：甲；段落2：乙", ["文本匹配：相似", "文本匹配：不相似"], ["文本匹配：相似"], task="matching")
    texts = {augment(example, random.Random(seed), AugmentConfig()).text for seed in range(40)}
    assert texts == {"段落1：甲；段落2：乙", "段落1：乙；段落2：甲"}


def test_a_leading_hash_moves_all_offsets() -> None:
    row = {
        "text": "味道很好",
        "task": "absa",
        "source": "gdcq",
        "info_list": [
            [
                {"type": "属性词", "span": "味道", "offset": [0, 2]},
                {"type": "正向情感(情感词)", "span": "很好", "offset": [2, 4]},
            ]
        ],
        "schema": {"属性词": {"正向情感(情感词)": None}},
    }
    config = AugmentConfig(full=1.0, rename=0.0, foreign=0.0, implicit=1.0)
    variant = augment(read_record(row), random.Random(0), config)
    assert variant.text == "#味道很好"
    assert [variant.text[mark.start : mark.end] for mark in variant.paths[0]] == ["味道", "很好"]


def test_unrelated_questions_get_no_answer() -> None:
    row = {
        "text": "铁路位于山东。",
        "task": "mrc",
        "info_list": [[{"type": "铁路位于哪里？", "span": "山东", "offset": [4, 6]}]],
        "schema": {"铁路位于哪里？": None},
    }
    example = read_record(row)
    others = [(example.text, "同一篇的问题？"), ("别的文章", "谁写的？")]
    variant = augment(example, random.Random(0), AugmentConfig(unrelated_question=1.0), questions=others)
    assert set(variant.schema) == {"铁路位于哪里？", "谁写的？"} and variant.paths == example.paths


def test_light_augmentation_never_renames_or_adds_types() -> None:
    names = {"人物", "组织机构", "地理位置", "时间"}
    for seed in range(100):
        variant = augment(relation(), random.Random(seed), LIGHT)
        assert set(variant.schema) <= names
        assert len(variant.paths) == 3


def test_wordings_are_many_and_mutual() -> None:
    assert len(SYNONYMS) > 600
    for name, others in SYNONYMS.items():
        assert name not in others
        assert all(name in SYNONYMS[other] for other in others)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("配偶(人物)", {"配偶", "夫妻(人物)", "配偶(人名)"}),
        ("质押(事件触发词)", {"股权质押(事件触发词)"}),
        ("正向情感(情感词)", {"好评(情感词)", "正向情感"}),
        ("没有近义词的名字", set()),
    ],
)
def test_alternatives_follow_the_patterns_of_names(name: str, wanted: set[str]) -> None:
    found = set(alternatives(name))
    assert wanted <= found and name not in found


def test_event_types_keep_the_word_that_tells_triggers_from_roles() -> None:
    assert all(other.endswith("(事件触发词)") for other in alternatives("质押(事件触发词)"))


def test_label_set_wordings_need_the_complete_set() -> None:
    assert label_set_wordings(("负向情感", "正向情感"))
    assert not label_set_wordings(("正向情感",))


def test_roles_of_events_are_sometimes_asked_as_entities_without_those_that_every_event_has() -> None:
    roles = {
        "裁员(事件触发词)": {"裁员方": None, "裁员人数": None, "时间": None},
        "收购(事件触发词)": {"收购方": None, "时间": None},
        "上市(事件触发词)": {"上市企业": None, "时间": None},
        "加息(事件触发词)": {"加息机构": None, "时间": None},
    }
    trigger = {"type": "裁员(事件触发词)", "span": "裁员", "offset": [5, 7]}
    row = {
        "text": "五月某公司裁员900人",
        "task": "ee",
        "schema": roles,
        "info_list": [
            [trigger, {"type": "裁员人数", "span": "900人", "offset": [7, 11]}],
            [trigger, {"type": "时间", "span": "五月", "offset": [0, 2]}],
        ],
    }
    config = replace(EAGER, flat=1.0, rename=0.0, foreign=0.0, full=1.0)
    variants = [augment(read_record(row), random.Random(seed), config) for seed in range(40)]
    for variant in variants:
        assert variant.task == "ner" and not any(variant.schema.values()) and legal(variant)
        assert {"裁员方", "裁员人数"} <= set(variant.schema) and "时间" not in variant.schema
        assert [variant.text[m.start : m.end] for path in variant.paths for m in path] == ["900人"]
    assert {"收购方", "上市企业", "加息机构"} == {name for v in variants for name in v.schema} - {"裁员方", "裁员人数"}
    without = read_record(row | {"info_list": [[trigger]]})
    assert augment(without, random.Random(0), config).task == "ee"

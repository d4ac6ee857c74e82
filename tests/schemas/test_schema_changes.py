"""Changes of types, differences between versions, mended JSON, files of schemas, hints: all pure."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import SchemaError
from core.review.nodes import REJECTED, Node, from_annotations, machine_annotations, to_annotations
from core.review.retyping import retyped
from core.schemas.changes import DELETE, MERGE, RENAME, SPLIT, Change, changed, dump_change, load_change
from core.schemas.diff import ADDED, KEPT, REMOVED, diff
from core.schemas.lint import lint_schema
from core.schemas.pasted import old_labels, read_pasted
from core.schemas.schema import Schema, parse_schema
from core.schemas.sharing import read_shared, write_shared
from core.types import Annotation

SCHEMA = parse_schema({"人名": {"配偶(人物)": None}, "姓名": {"职位": None}, "地点": None})


def test_a_type_is_renamed_in_its_place_with_all_below_it() -> None:
    after = changed(SCHEMA, Change(RENAME, (("人名",),), ("人物",)))
    assert after.to_dict() == {"人物": {"配偶(人物)": None}, "姓名": {"职位": None}, "地点": None}
    below = changed(SCHEMA, Change(RENAME, (("人名", "配偶(人物)"),), ("妻子(人物)",)))
    assert below.to_dict()["人名"] == {"妻子(人物)": None}


def test_merged_types_become_one_with_what_was_below_each() -> None:
    after = changed(SCHEMA, Change(MERGE, (("人名",), ("姓名",)), ("人物",)))
    assert after.to_dict() == {"人物": {"配偶(人物)": None, "职位": None}, "地点": None}


def test_a_split_type_becomes_several_and_a_deleted_one_goes() -> None:
    split = changed(SCHEMA, Change(SPLIT, (("地点",),), ("城市", "国家")))
    assert list(split.to_dict()) == ["人名", "姓名", "城市", "国家"]
    assert list(changed(SCHEMA, Change(DELETE, (("姓名",),))).to_dict()) == ["人名", "地点"]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (Change(RENAME, (("没有",),), ("x",)), "没有类型"),
        (Change(RENAME, (("人名",),), ("姓名",)), "改用合并"),
        (Change(RENAME, (("人名",),), (" ",)), "空白"),
        (Change(MERGE, (("人名",),), ("人物",)), "至少需要两个"),
        (Change(MERGE, (("人名",), ("姓名", "职位")), ("人物",)), "同一上级"),
        (Change(SPLIT, (("地点",),), ("城市",)), "两个不同"),
        (Change(SPLIT, (("地点",),), ("城市", "国家"), {"法国": "洲"}), "不是新名称"),
        (Change(DELETE, ()), "先选择"),
    ],
)
def test_a_change_that_cannot_be_made_is_refused_in_plain_words(change: Change, word: str) -> None:
    with pytest.raises(SchemaError, match=word):
        changed(SCHEMA, change)


def test_the_last_type_cannot_be_deleted() -> None:
    with pytest.raises(SchemaError, match="至少要有一个"):
        changed(parse_schema(["甲"]), Change(DELETE, (("甲",),)))


def test_a_change_is_kept_as_json_and_reads_as_a_sentence() -> None:
    change = Change(SPLIT, (("地点",),), ("城市", "国家"), {"法国": "国家"})
    assert load_change(json.loads(json.dumps(dump_change(change)))) == change
    assert str(change) == "拆分：地点 ⇒ 城市、国家"


NAMES = st.sampled_from(["甲", "乙", "丙", "丁"])
TREES = st.recursive(
    st.none(), lambda below: st.dictionaries(NAMES, below, min_size=1, max_size=3) | st.none(), max_leaves=8
)


@given(st.dictionaries(NAMES, TREES, min_size=1), st.data())
def test_renaming_there_and_back_gives_the_schema_again(body: dict, data: st.DataObject) -> None:
    schema = parse_schema(body)
    path = data.draw(st.sampled_from(list(schema.paths())))
    there = changed(schema, Change(RENAME, (path,), ("新",)))
    assert changed(there, Change(RENAME, ((*path[:-1], "新"),), (path[-1],))) == schema
    assert {one.path for one in diff(schema, there)} == set(schema.paths()) | set(there.paths())


def test_a_difference_lists_every_type_once_and_removed_ones_in_their_place() -> None:
    lines = diff(parse_schema({"甲": {"乙": None}, "丙": None}), parse_schema({"甲": None, "丁": None, "丙": None}))
    assert [(line.kind, line.path) for line in lines] == [
        (KEPT, ("甲",)), (REMOVED, ("甲", "乙")), (ADDED, ("丁",)), (KEPT, ("丙",)),
    ]  # fmt: skip


def tree() -> tuple[Annotation, ...]:
    spouse = Annotation("配偶(人物)", 3, 5, "李娜", 0.7)
    return (
        Annotation("人名", 0, 2, "张伟", 0.9, (spouse,)),
        Annotation("姓名", 0, 2, "张伟", 0.8),
        Annotation("地点", 6, 8, "法国", 0.9),
        Annotation("地点", 8, 10, "合肥", 0.9),
    )


def test_corrections_follow_a_change_and_keep_what_the_machine_said() -> None:
    nodes = from_annotations(tree())
    merged = retyped(nodes, Change(MERGE, (("人名",), ("姓名",)), ("人物",)), task="ner")
    assert [(one.type, one.text) for one in to_annotations(merged)] == [
        ("人物", "张伟"),
        ("地点", "法国"),
        ("地点", "合肥"),
    ]
    assert machine_annotations(merged) == machine_annotations(nodes)
    split = retyped(nodes, Change(SPLIT, (("地点",),), ("城市", "国家"), {"法国": "国家"}), task="ner")
    assert [one.type for one in split][-2:] == ["国家", "城市"]
    gone = retyped(nodes, Change(DELETE, (("人名",),)), task="ner")
    assert gone[0].decision == REJECTED and [one.type for one in to_annotations(gone)] == ["姓名", "地点", "地点"]
    assert machine_annotations(gone) == machine_annotations(nodes)


def test_a_deleted_type_takes_what_a_person_added_with_all_below_it() -> None:
    nodes = (Node(0, None, "地点", 0, 2, "合肥", "accepted"), Node(1, 0, "所属", 0, 1, "合", "accepted"))
    assert retyped(nodes, Change(DELETE, (("地点",),)), task="ner") == ()


def test_a_name_changes_only_at_its_own_path() -> None:
    nodes = from_annotations(
        (Annotation("甲", 0, 1, "a", 0.9, (Annotation("乙", 0, 1, "a", 0.9),)), Annotation("乙", 0, 1, "a", 0.9))
    )  # noqa: E501
    after = retyped(nodes, Change(RENAME, (("甲", "乙"),), ("丙",)), task="re")
    assert [one.type for one in after] == ["甲", "丙", "乙"]
    aspect = from_annotations((Annotation("属性词", 0, 1, "a", 1.0, (Annotation("正向", None, None, "", 0.9),)),))
    assert retyped(aspect, Change(RENAME, (("正向",),), ("好评",)), task="atsc")[1].type == "好评"


@pytest.mark.parametrize(
    ("pasted", "body", "words"),
    [
        ('{"人物": "",}', {"人物": None}, ["逗号", "null"]),
        ("{'人物': None}", {"人物": None}, ["单引号", "None"]),
        ("{“人物”：null，“地点”：{“国家”：null}}", {"人物": None, "地点": {"国家": None}}, ["中文"]),
        ('{"人,}物": null}', {"人,}物": None}, []),
        ('["甲", "乙",]', {"甲": None, "乙": None}, ["逗号"]),
        ("正向,负向|这家店很好", {"正向": None, "负向": None}, ["旧写法"]),
    ],
)
def test_pasted_json_is_mended_and_every_mending_told(pasted: str, body: dict, words: list[str]) -> None:
    found = read_pasted(pasted)
    assert found.schema.to_dict() == body
    assert len(found.notes) == len(words) and all(word in note for word, note in zip(words, found.notes, strict=True))


@pytest.mark.parametrize("pasted", ["", "{", "你好", "3", '{"甲": null, "甲": null,}', '{"甲": 5,}', "[" * 5000])
def test_what_cannot_be_understood_is_refused(pasted: str) -> None:
    with pytest.raises(SchemaError):
        read_pasted(pasted)


def test_the_old_form_gives_labels_and_text() -> None:
    assert old_labels("体育，财经,体育| 国足赢了") == (["体育", "财经"], "国足赢了")
    assert old_labels('{"a": "甲,乙|丙"}') is None and old_labels("甲|乙") is None


@given(st.dictionaries(NAMES, TREES, min_size=1), st.text(max_size=20), st.integers(0, 99))
def test_a_file_of_a_schema_comes_back_as_it_was(body: dict, name: str, version: int) -> None:
    schema = parse_schema(body)
    shared = read_shared("\ufeff" + write_shared(schema.to_dict(), name=name, task="ner", version=version, note="注"))
    assert (shared.schema, shared.name, shared.task, shared.version, shared.note) == (
        schema,
        name,
        "ner",
        version,
        "注",
    )


def test_a_bare_schema_is_a_file_too_and_a_newer_form_is_refused() -> None:
    assert read_shared('{"schema": null, "name": null}').schema == Schema(parse_schema(["schema", "name"]).types)
    with pytest.raises(SchemaError, match="升级"):
        read_shared('{"format": "rex-schema/9", "schema": {}}')


@pytest.mark.parametrize(
    ("body", "task", "word"),
    [
        ({"人名": None}, "ner", "人物"),
        ({"person": None}, "ner", "中文"),
        ({"人物": None, "人物 ": None}, "ner", "空格"),
        ({"分类": None}, "classification", "旧写法"),
        ({"甲,乙|": None}, "classification", "旧写法"),
        ({f"类型{n}": None for n in range(61)}, "ner", "61"),
        ({"很" * 41: None}, "ner", "40"),
    ],
)
def test_hints_name_what_may_disappoint(body: dict, task: str, word: str) -> None:
    assert any(word in hint for hint in lint_schema(parse_schema(body), task))

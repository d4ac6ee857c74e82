"""Schemas: every fault is named with its place; what may disappoint gets a hint."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from core.errors import SchemaError
from core.schemas.lint import LONG_NAME, MANY_TYPES, lint_schema
from core.schemas.schema import MAX_DEPTH, MAX_TYPES, RESERVED, Schema, SchemaType, parse_schema


def _problems(value: Any) -> list[str]:
    with pytest.raises(SchemaError) as caught:
        parse_schema(value)
    return caught.value.problems


def test_null_an_empty_object_an_empty_string_and_an_empty_list_are_leaves() -> None:
    schema = parse_schema({"甲": None, "乙": {}, "丙": "", "丁": []})
    assert schema.types == tuple(SchemaType(name) for name in "甲乙丙丁")


def test_text_mapping_and_list_of_names_read_alike() -> None:
    wanted = Schema((SchemaType("人物"), SchemaType("地点")))
    assert parse_schema('{"人物": null, "地点": null}') == wanted
    assert parse_schema({"人物": None, "地点": None}) == wanted
    assert parse_schema(["人物", "地点"]) == wanted
    assert parse_schema('["人物", "地点"]') == wanted
    assert parse_schema(wanted) is wanted


def test_a_nested_schema_goes_back_to_the_same_object() -> None:
    body = {"人物": {"配偶(人物)": None, "作品": {"年份": None}}, "时间": None}
    schema = parse_schema(json.dumps(body))
    assert schema.to_dict() == body
    assert schema.depth == 3
    assert list(schema.paths()) == [
        *(("人物",), ("人物", "配偶(人物)"), ("人物", "作品"), ("人物", "作品", "年份"), ("时间",)),
    ]


@pytest.mark.parametrize("text", ["", "人物", "{'人物': null}", '{"人物": null,}', "{"])
def test_broken_json_is_reported_as_such(text: str) -> None:
    (problem,) = _problems(text)
    assert "不是合法的 JSON" in problem
    assert not re.search("[a-z]{4}", problem.replace("null", "")), "the parser's own English words"


def test_json_that_stops_making_sense_says_where() -> None:
    assert "第 2 行第 7 个字符，“null}”处" in _problems('{"人物": null,\n "地点" null}')[0]
    assert "没有写完" in _problems('{"人物": null')[0]


@pytest.mark.parametrize("value", [3, None, "3", '"人物"', "null", True])
def test_what_is_no_object_and_no_list_is_shown(value: Any) -> None:
    shown = value if isinstance(value, str) else json.dumps(value)
    assert _problems(value) == [f'模式必须是 JSON 对象（形如 {{"人物": null}}）或类型名称列表，现为 {shown}']


@pytest.mark.parametrize("value", [{}, "{}", [], "[]"])
def test_an_empty_schema_is_refused(value: Any) -> None:
    assert "模式为空" in _problems(value)[0]


@pytest.mark.parametrize("name", ["", " ", "\u3000\t"])
def test_a_blank_type_is_named_with_its_parent(name: str) -> None:
    assert "位于 最上层" in _problems({name: None})[0]
    assert "位于 人物 → 配偶" in _problems({"人物": {"配偶": {name: None}}})[0]


@pytest.mark.parametrize("marker", RESERVED)
def test_a_reserved_marker_in_a_type_is_named_with_its_path(marker: str) -> None:
    (problem,) = _problems({"人物": {f"配{marker}偶": None}})
    assert "人物 → 配" in problem
    assert f"保留符号 {marker}" in problem


@pytest.mark.parametrize("leaf", ["文字", 3, True, 0, False, ["配偶"]])
def test_a_leaf_with_a_value_is_refused_with_the_value(leaf: Any) -> None:
    (problem,) = _problems({"人物": {"籍贯": leaf}})
    assert f"“人物 → 籍贯”的值是 {json.dumps(leaf, ensure_ascii=False)}" in problem


def test_names_that_are_no_text_are_refused() -> None:
    assert _problems(["人物", 3]) == ["类型名称必须是文字，现为 3"]
    assert "类型名称为空白" in _problems({3: None})[0]


def test_duplicates_in_json_and_in_lists_are_counted() -> None:
    assert _problems('{"人物": null, "地点": {"城市": null, "城市": null}, "人物": null}') == [
        "类型“城市”在同一层写了 2 次：请删去重复的",
        "类型“人物”在同一层写了 2 次：请删去重复的",
    ]
    assert _problems(["人物", "人物", "人物"]) == ["类型“人物”写了 3 次：请删去重复的"]


def test_the_same_name_below_different_parents_is_no_duplicate() -> None:
    assert parse_schema('{"人物": {"名称": null}, "公司": {"名称": null}}').depth == 2


def test_nesting_and_number_of_types_are_bounded() -> None:
    body: dict[str, Any] = {"底": None}
    for level in range(MAX_DEPTH - 1):
        body = {f"层{level}": body}
    assert parse_schema(body).depth == MAX_DEPTH
    assert f"超过 {MAX_DEPTH} 层" in _problems({"顶": body})[0]
    assert len(parse_schema([f"类{n}" for n in range(MAX_TYPES)]).types) == MAX_TYPES
    assert f"有 {MAX_TYPES + 1} 个类型" in _problems([f"类{n}" for n in range(MAX_TYPES + 1)])[0]


def test_json_nested_without_end_is_refused_not_crashed_on() -> None:
    assert "嵌套过深" in _problems('{"层":' * 100_000)[0]


def test_all_faults_are_listed_at_once() -> None:
    problems = _problems({"": None, "甲": 1, "乙[SEP]": None, "丙": {"丁": "x"}})
    assert len(problems) == 4


def _hints(schema: Any, task: str) -> str:
    return "\n".join(lint_schema(parse_schema(schema), task))


@pytest.mark.parametrize(
    ("schema", "task", "said"),
    [
        ({"人物": {"配偶": None}}, "ner", "只用一层"),
        (["人物"], "re", "需要两层"),
        ({"比赛": {"时间": None}}, "ee", "事件触发词"),
        ([" 人物"], "ner", "首尾带空格"),
        (["person"], "ner", "英文类型名称"),
        (["长" * (LONG_NAME + 1)], "ner", f"超过 {LONG_NAME} 字"),
        (["正面,负面|房间很好"], "classification", "旧写法"),
        ([f"类{n}" for n in range(MANY_TYPES + 1)], "ner", f"共有 {MANY_TYPES + 1} 个类型"),
    ],
)
def test_a_schema_likely_to_disappoint_gets_its_hint(schema: Any, task: str, said: str) -> None:
    assert said in _hints(schema, task)


@pytest.mark.parametrize(
    ("schema", "task"),
    [
        (["人物", "地点"], "ner"),
        ({"人物": {"配偶(人物)": None}}, "re"),
        ({"胜负(事件触发词)": {"胜者": None}}, "ee"),
        (["这条铁路从哪里出发，途中经过哪些主要的城市，最后又会在什么时间到达哪一个终点车站呢？"], "mrc"),
    ],
)
def test_a_good_schema_gets_no_hint(schema: Any, task: str) -> None:
    assert _hints(schema, task) == ""

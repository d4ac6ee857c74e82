"""Steps of editing a schema as a tree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import SchemaError
from core.schemas import editing
from core.schemas.schema import MAX_DEPTH, Schema, parse_schema

BODY = {"人物": {"职务": None, "配偶": {"生日": None}}, "地点": None, "时间": None}


@pytest.fixture
def schema() -> Schema:
    return parse_schema(BODY)


def order(schema: Schema) -> list[str]:
    return ["/".join(path) for path in schema.paths()]


def test_a_type_is_added_at_the_top_and_below_another(schema: Schema) -> None:
    edited = editing.add(schema, (), " 机构 ")
    assert edited.path == ("机构",) and order(edited.schema)[-1] == "机构"
    edited = editing.add(edited.schema, ("人物", "配偶"), "姓名")
    assert order(edited.schema)[3:5] == ["人物/配偶/生日", "人物/配偶/姓名"]


def test_a_type_keeps_its_place_and_children_under_another_name(schema: Schema) -> None:
    edited = editing.rename(schema, ("人物",), "人名")
    assert order(edited.schema)[:3] == ["人名", "人名/职务", "人名/配偶"]
    assert editing.rename(schema, ("人物",), "人物").schema == schema


def test_a_deleted_type_goes_with_all_below_it_and_a_neighbour_is_touched(schema: Schema) -> None:
    edited = editing.delete(schema, ("人物",))
    assert order(edited.schema) == ["地点", "时间"] and edited.path == ("地点",)
    assert editing.delete(schema, ("人物", "配偶", "生日")).path == ("人物", "配偶")


def test_a_copy_stands_behind_its_type_with_all_below_it(schema: Schema) -> None:
    once = editing.duplicate(schema, ("人物",))
    twice = editing.duplicate(once.schema, ("人物",))
    assert once.path == ("人物2",) and twice.path == ("人物3",)
    assert [one.name for one in twice.schema.types] == ["人物", "人物3", "人物2", "地点", "时间"]
    assert twice.schema.types[1].children == schema.types[0].children


def test_types_move_among_siblings_and_to_other_parents(schema: Schema) -> None:
    assert [one.name for one in editing.shift(schema, ("时间",), -1).schema.types] == ["人物", "时间", "地点"]
    assert editing.shift(schema, ("时间",), 5).schema == schema
    inside = editing.indent(schema, ("地点",))
    assert order(inside.schema)[-2:] == ["人物/地点", "时间"]
    outside = editing.outdent(inside.schema, inside.path)
    assert outside.schema == schema and outside.path == ("地点",)
    moved = editing.place(schema, ("时间",), ("人物",), 0)
    assert order(moved.schema)[:2] == ["人物", "人物/时间"]
    assert [one.name for one in editing.place(schema, ("人物",), (), 2).schema.types] == ["地点", "人物", "时间"]


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (lambda one: editing.add(one, (), "地点"), "已有类型"),
        (lambda one: editing.add(one, (), "  "), "空白"),
        (lambda one: editing.add(one, ("没有",), "甲"), "没有类型"),
        (lambda one: editing.rename(one, ("地点",), "时间"), "已有类型"),
        (lambda one: editing.rename(one, ("地点",), "a[TYPE]"), "保留符号"),
        (lambda one: editing.delete(one, ("地方",)), "没有类型"),
        (lambda one: editing.place(one, ("人物",), ("人物", "配偶")), "自己"),
        (lambda one: editing.indent(one, ("人物",)), "前面没有"),
        (lambda one: editing.outdent(one, ("人物",)), "最上层"),
        (lambda one: editing.delete(parse_schema(["唯一"]), ("唯一",)), "为空"),
    ],
)
def test_a_step_that_cannot_be_done_is_refused_in_words(schema: Schema, step, said: str) -> None:
    with pytest.raises(SchemaError, match=said):
        step(schema)


def test_nesting_too_deep_is_refused() -> None:
    edited = editing.Edited(parse_schema(["0"]), ())
    for depth in range(1, MAX_DEPTH):
        edited = editing.add(edited.schema, tuple(map(str, range(depth))), str(depth))
    with pytest.raises(SchemaError, match="层"):
        editing.add(edited.schema, edited.path, "深")


@given(st.data())
def test_moving_types_about_loses_and_doubles_none(data: st.DataObject) -> None:
    schema = parse_schema(BODY)
    names = sorted(path[-1] for path in schema.paths())
    for _ in range(4):
        path = data.draw(st.sampled_from(list(schema.paths())))
        step = data.draw(st.sampled_from(["up", "down", "in", "out", "place"]))
        try:
            if step in ("up", "down"):
                edited = editing.shift(schema, path, -1 if step == "up" else 1)
            elif step in ("in", "out"):
                edited = (editing.indent if step == "in" else editing.outdent)(schema, path)
            else:
                above = data.draw(st.sampled_from([(), *schema.paths()]))
                edited = editing.place(schema, path, above, data.draw(st.integers(0, 4)))
        except SchemaError:
            continue
        schema = edited.schema
        assert edited.path in set(schema.paths())
        assert sorted(path[-1] for path in schema.paths()) == names

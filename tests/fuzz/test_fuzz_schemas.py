"""Random JSON and text as a schema: a schema that goes back to itself, or a SchemaError."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import SchemaError
from core.schemas.lint import lint_schema
from core.schemas.pasted import read_pasted
from core.schemas.schema import parse_schema
from core.tasks import TASKS
from scripts.fuzz import examples, tried

QUICK = {"deadline": None, "suppress_health_check": list(HealthCheck)}
NAMES = st.one_of(
    st.text(max_size=8), st.sampled_from(["人物", "地點", "[TYPE]", " ", "配偶(人物)", "😀", "\u202e坏", "\ud83d"])
)
LEAVES = st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), NAMES, st.just({}), st.just([]))
VALUES = st.recursive(
    LEAVES,
    lambda below: st.one_of(st.lists(below, max_size=4), st.dictionaries(NAMES, below, max_size=4)),
    max_leaves=12,
)
PIECES = st.sampled_from(
    [*"{}[]:,\"'“”：，｛｝|\\", "null", "None", '"人物"', "'地点'", "标签1,标签2|正文", "\n", "  ", '""', "1e999"]
)


def holds(value: Any) -> None:
    try:
        schema = parse_schema(value)
    except SchemaError as error:
        assert error.problems and all(error.problems)
        return
    assert schema.types and parse_schema(schema.to_dict()) == schema
    assert parse_schema(json.dumps(schema.to_dict())) == schema
    for task in TASKS:
        lint_schema(schema, task)


@settings(max_examples=examples(150), **QUICK)
@given(value=VALUES)
def test_any_value_is_a_schema_or_refused_with_reasons(value: Any) -> None:
    tried("schema value")
    holds(value)
    holds(json.dumps(value))


@settings(max_examples=examples(150), **QUICK)
@given(text=st.one_of(st.lists(PIECES, max_size=14).map("".join), st.text(max_size=30), VALUES.map(str)))
def test_any_pasted_text_is_mended_or_refused_with_reasons(text: str) -> None:
    tried("schema text")
    holds(text)
    try:
        pasted = read_pasted(text)
    except SchemaError as error:
        assert error.problems
        return
    assert parse_schema(pasted.schema.to_dict()) == pasted.schema
    try:
        assert parse_schema(text) == pasted.schema, "what could be read as it stood was changed"
    except SchemaError:
        assert pasted.notes, "something was mended and not told"

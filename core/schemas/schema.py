"""A schema: the tree of types that a model is asked for (SPEC 2, 3, 9)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from core.errors import SchemaError

RESERVED = ("[PREFIX]", "[TYPE]", "[CLASSIFY]", "[MULTICLASSIFY]", "[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]")
MAX_DEPTH = 8
MAX_TYPES = 2000


@dataclass(frozen=True, slots=True)
class SchemaType:
    """One type and the types asked below it; without children it is a leaf."""

    name: str
    children: tuple[SchemaType, ...] = ()

    @property
    def depth(self) -> int:
        """Levels from this type down, itself included."""
        return 1 + max((child.depth for child in self.children), default=0)


@dataclass(frozen=True, slots=True)
class Schema:
    """The root types, in the order the user wrote them (the model is asked in sorted order)."""

    types: tuple[SchemaType, ...]

    @property
    def depth(self) -> int:
        """Number of levels."""
        return max((one.depth for one in self.types), default=0)

    def paths(self) -> Iterator[tuple[str, ...]]:
        """Names from the root to every node, parents first."""

        def walk(nodes: tuple[SchemaType, ...], above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
            for node in nodes:
                yield (*above, node.name)
                yield from walk(node.children, (*above, node.name))

        return walk(self.types, ())

    def to_dict(self) -> dict[str, Any]:
        """The reference's form: nested objects with null leaves."""

        def write(nodes: tuple[SchemaType, ...]) -> dict[str, Any]:
            return {node.name: write(node.children) or None for node in nodes}

        return write(self.types)


def parse_schema(value: Any) -> Schema:
    """Read a schema from JSON text, a nested mapping or a list of type names.

    A leaf is null, {} or ""; any other value is an error. Raises SchemaError naming every fault with its path.
    """
    if isinstance(value, Schema):
        return value
    problems: list[str] = []
    if isinstance(value, str):
        value = _from_json(value, problems)
    if isinstance(value, list):
        value = _from_names(value, problems)
    if not isinstance(value, dict):
        problems.append(f'模式必须是 JSON 对象（形如 {{"人物": null}}）或类型名称列表，现为 {_short(value)}')
        raise SchemaError(problems)
    types = _read(value, (), problems)
    if not problems and not types:
        problems.append('模式为空：请至少写一个类型，例如 {"人物": null}')
    count = sum(1 for _ in Schema(types).paths())
    if count > MAX_TYPES:
        problems.append(f"模式有 {count} 个类型，最多 {MAX_TYPES} 个：请拆成几个模式分别运行")
    if problems:
        raise SchemaError(problems)
    return Schema(types)


def _from_json(text: str, problems: list[str]) -> Any:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        for name, count in Counter(name for name, _ in items).items():
            if count > 1:
                problems.append(f"类型“{name}”在同一层写了 {count} 次：请删去重复的")
        return dict(items)

    try:
        return json.loads(text, object_pairs_hook=pairs)
    except RecursionError as error:
        raise SchemaError(f"模式嵌套过深：最多 {MAX_DEPTH} 层，请减少嵌套") from error
    except ValueError as error:
        raise SchemaError(
            f"模式不是合法的 JSON{_place(text, error)}：请检查引号、逗号（末项后不能有逗号）和 null"
        ) from error


def _place(text: str, error: ValueError) -> str:
    """Where the parser stopped, with what stands there; its own words are English."""
    if not isinstance(error, json.JSONDecodeError):
        return f"（{error}）"
    if not text[error.pos :].strip():
        return "（没有写完：缺少引号或括号）"
    rest = text[error.pos :].strip().split("\n", 1)[0]
    return f"（第 {error.lineno} 行第 {error.colno} 个字符，“{rest[:12]}”处）"


def _from_names(names: list[Any], problems: list[str]) -> dict[str, Any]:
    for name, count in Counter(str(name) for name in names).items():
        if count > 1:
            problems.append(f"类型“{name}”写了 {count} 次：请删去重复的")
    problems += [f"类型名称必须是文字，现为 {_short(name)}" for name in names if not isinstance(name, str)]
    return dict.fromkeys((name for name in names if isinstance(name, str)), None)


def _read(nodes: dict[Any, Any], above: tuple[str, ...], problems: list[str]) -> tuple[SchemaType, ...]:
    found = []
    for name, below in nodes.items():
        where = " → ".join((*above, str(name)))
        if not isinstance(name, str) or not name.strip():
            problems.append(f"类型名称为空白（位于 {' → '.join(above) or '最上层'}）：请填写名称或删去该行")
            continue
        if any("\ud800" <= character <= "\udfff" for character in name):
            problems.append(f"类型“{where.encode('utf-8', 'replace').decode()}”含有不成对的代理字符：请改名")
            continue
        for marker in RESERVED:
            if marker in name:
                problems.append(f"类型“{where}”含有保留符号 {marker}：请改名")
        if len(above) >= MAX_DEPTH:
            problems.append(f"类型“{where}”超过 {MAX_DEPTH} 层：请减少嵌套")
            continue
        if isinstance(below, dict) and below:
            found.append(SchemaType(name, _read(below, (*above, name), problems)))
            continue
        if below is not None and below not in ({}, "", []):
            hint = (
                "请写 null；下级类型写成对象 {…}" if not isinstance(below, list) else '下级类型请写成对象 {"…": null}'
            )
            problems.append(f"类型“{where}”的值是 {_short(below)}：{hint}")
            continue
        found.append(SchemaType(name))
    return tuple(found)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 40 else text[:40] + "…"

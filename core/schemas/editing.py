"""Steps of editing a schema as a tree: each gives a new schema, and the path at which the touched type then is. Pure.

A type is named by its path, the names from the root down to it. Every step raises SchemaError, in plain words, when it
cannot be done; the schema stays as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from core.errors import SchemaError
from core.schemas.schema import Schema, parse_schema

Path = tuple[str, ...]
Nodes = list[tuple[str, Any]]  # (name, Nodes) in order


class Edited(NamedTuple):
    """The schema after a step, and where the type that it touched is."""

    schema: Schema
    path: Path


def add(schema: Schema, above: Path, name: str) -> Edited:
    """A new type, last below the one at `above`, or last at the top."""
    tree = _tree(schema)
    siblings = _below(tree, above)
    name = name.strip()
    _refuse_twins(siblings, name, above)
    siblings.append((name, []))
    return Edited(_schema(tree), (*above, name))


def rename(schema: Schema, path: Path, name: str) -> Edited:
    """Another name for a type; what is below it stays."""
    tree = _tree(schema)
    siblings, at = _place(tree, path)
    name = name.strip()
    if name != path[-1]:
        _refuse_twins(siblings, name, path[:-1])
    siblings[at] = (name, siblings[at][1])
    return Edited(_schema(tree), (*path[:-1], name))


def delete(schema: Schema, path: Path) -> Edited:
    """Without the type and all below it; the path is that of its neighbour or of the type above."""
    tree = _tree(schema)
    siblings, at = _place(tree, path)
    del siblings[at]
    next_to = siblings[min(at, len(siblings) - 1)][0] if siblings else None
    return Edited(_schema(tree), (*path[:-1], next_to) if next_to is not None else path[:-1])


def duplicate(schema: Schema, path: Path) -> Edited:
    """A copy with all below it, right behind the type, under a name of its own."""
    tree = _tree(schema)
    siblings, at = _place(tree, path)
    taken = {name for name, _ in siblings}
    number = next(number for number in range(2, len(taken) + 3) if f"{path[-1]}{number}" not in taken)
    name = f"{path[-1]}{number}"
    siblings.insert(at + 1, (name, _copy(siblings[at][1])))
    return Edited(_schema(tree), (*path[:-1], name))


def shift(schema: Schema, path: Path, by: int) -> Edited:
    """The type `by` places further down among its siblings (negative: up), as far as there are places."""
    tree = _tree(schema)
    siblings, at = _place(tree, path)
    node = siblings.pop(at)
    siblings.insert(max(0, min(at + by, len(siblings))), node)
    return Edited(_schema(tree), path)


def place(schema: Schema, path: Path, above: Path, index: int | None = None) -> Edited:
    """The type, with all below it, below the one at `above`, at place `index` of those there now (None: last)."""
    if above[: len(path)] == path:
        raise SchemaError(f"“{path[-1]}”不能移到它自己的下面")
    tree = _tree(schema)
    target = _below(tree, above)
    siblings, at = _place(tree, path)
    where = len(target) if index is None else max(0, min(index, len(target)))
    if target is siblings:
        where -= where > at
    else:
        _refuse_twins(target, path[-1], above)
    node = siblings.pop(at)
    target.insert(where, node)
    return Edited(_schema(tree), (*above, path[-1]))


def indent(schema: Schema, path: Path) -> Edited:
    """The type below the sibling before it."""
    siblings, at = _place(_tree(schema), path)
    if at == 0:
        raise SchemaError(f"“{path[-1]}”前面没有同级的类型可以作它的上级")
    return place(schema, path, (*path[:-1], siblings[at - 1][0]))


def outdent(schema: Schema, path: Path) -> Edited:
    """The type beside the one above it, right behind that one."""
    if len(path) < 2:
        raise SchemaError(f"“{path[-1]}”已在最上层")
    _, at = _place(_tree(schema), path[:-1])
    return place(schema, path, path[:-2], at + 1)


def _tree(schema: Schema) -> Nodes:
    def nodes(types: Sequence[Any]) -> Nodes:
        return [(one.name, nodes(one.children)) for one in types]

    return nodes(schema.types)


def _copy(nodes: Nodes) -> Nodes:
    return [(name, _copy(below)) for name, below in nodes]


def _schema(tree: Nodes) -> Schema:
    def body(nodes: Nodes) -> dict[str, Any]:
        return {name: body(below) or None for name, below in nodes}

    return parse_schema(body(tree))


def _place(tree: Nodes, path: Path) -> tuple[Nodes, int]:
    """The siblings of a type and its place among them."""
    siblings = _below(tree, path[:-1])
    for at, (name, _) in enumerate(siblings):
        if path and name == path[-1]:
            return siblings, at
    raise SchemaError(f"模式里没有类型“{' → '.join(path)}”，它可能已被改名")


def _below(tree: Nodes, above: Path) -> Nodes:
    nodes = tree
    for depth, name in enumerate(above):
        found = next((below for own, below in nodes if own == name), None)
        if found is None:
            raise SchemaError(f"模式里没有类型“{' → '.join(above[: depth + 1])}”，它可能已被改名")
        nodes = found
    return nodes


def _refuse_twins(siblings: Nodes, name: str, above: Path) -> None:
    if any(own == name for own, _ in siblings):
        where = " → ".join(above) or "最上层"
        raise SchemaError(f"“{where}”下已有类型“{name}”：请换一个名称")

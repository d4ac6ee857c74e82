"""Changes of the types of a schema: rename, merge, split, delete; what they make of a schema, and of one type. Pure.

A type is named by its path, the names from the root down to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.errors import SchemaError
from core.schemas.schema import Schema, SchemaType, parse_schema

RENAME, MERGE, SPLIT, DELETE = KINDS = ("rename", "merge", "split", "delete")
Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the types at `paths`, which have one parent: a single one, or several that are merged.

    names: what they are called afterwards: one name for rename and merge, several for split, none for delete.
    words: for split, which words go to which of the names; all others go to the first name.
    """

    kind: str
    paths: tuple[Path, ...]
    names: tuple[str, ...] = ()
    words: Mapping[str, str] | None = None

    def __str__(self) -> str:
        before = "、".join(" → ".join(path) for path in self.paths)
        after = "、".join(self.names)
        return {
            RENAME: f"改名：{before} ⇒ {after}",
            MERGE: f"合并：{before} ⇒ {after}",
            SPLIT: f"拆分：{before} ⇒ {after}",
            DELETE: f"删除：{before}",
        }[self.kind]


def check(schema: Schema, change: Change) -> None:
    """Raise SchemaError, naming every fault, when the change cannot be made to the schema."""
    known = set(schema.paths())
    problems = [f"模式里没有类型“{' → '.join(path)}”，它可能已被改名" for path in change.paths if path not in known]
    if len({path[:-1] for path in change.paths}) > 1:
        problems.append("只能合并同一上级下的类型")
    if not change.paths:
        problems.append("请先选择类型")
    if change.kind == MERGE and len(set(change.paths)) < 2:
        problems.append("合并至少需要两个类型")
    if change.kind != MERGE and len(change.paths) > 1:
        problems.append("一次只能处理一个类型")
    if change.kind == SPLIT and len(set(change.names)) < 2:
        problems.append("拆分至少需要两个不同的新名称")
    if change.kind in (RENAME, MERGE) and len(change.names) != 1:
        problems.append("请填写一个新名称")
    if any(not name.strip() for name in change.names):
        problems.append("新名称不能为空白")
    above = change.paths[0][:-1] if change.paths else ()
    taken = [name for name in change.names if (*above, name) in known and (*above, name) not in change.paths]
    problems += [f"同一层已经有“{name}”：请换一个名称，或改用合并" for name in taken]
    unknown = sorted(set((change.words or {}).values()) - set(change.names))
    problems += [f"词语分给了“{name}”，但它不是新名称之一" for name in unknown]
    if change.kind == DELETE and len(known - {path for path in known if _begins(path, change.paths)}) == 0:
        problems.append("不能删除全部类型：模式至少要有一个类型")
    if problems:
        raise SchemaError(problems)


def changed(schema: Schema, change: Change) -> Schema:
    """The schema after the change; a merged or split type keeps all types below it. Raises SchemaError as `check`."""
    check(schema, change)
    parent = change.paths[0][:-1]
    old = {path[-1] for path in change.paths}

    def walk(nodes: tuple[SchemaType, ...], above: Path) -> tuple[SchemaType, ...]:
        if above != parent:
            return tuple(replace(node, children=walk(node.children, (*above, node.name))) for node in nodes)
        below = _joined(node.children for node in nodes if node.name in old)
        new = tuple(SchemaType(name, below) for name in change.names)
        first = next(place for place, node in enumerate(nodes) if node.name in old)
        return tuple(one for place, node in enumerate(nodes) for one in _placed(node, old, new, here=place == first))

    return parse_schema(Schema(walk(schema.types, ())).to_dict())


def new_type(change: Change, path: Path, text: str) -> str | None:
    """What a finding at `path` (types from the root) with these words is called afterwards, None when it goes.

    Only its own type changes; findings below it follow by themselves. Words are compared as they stand.
    """
    if path not in change.paths:
        return path[-1]
    if change.kind == DELETE:
        return None
    return (change.words or {}).get(text, change.names[0]) if change.kind == SPLIT else change.names[0]


def dump_change(change: Change) -> dict[str, Any]:
    """A change as JSON values."""
    words = dict(change.words) if change.words else None
    return {
        "kind": change.kind,
        "paths": [list(one) for one in change.paths],
        "names": list(change.names),
        "words": words,
    }


def load_change(stored: Mapping[str, Any]) -> Change:
    """The change that `dump_change` wrote."""
    paths = tuple(tuple(path) for path in stored["paths"])
    return Change(stored["kind"], paths, tuple(stored["names"]), stored["words"])


def _placed(node: SchemaType, old: set[str], new: tuple[SchemaType, ...], *, here: bool) -> tuple[SchemaType, ...]:
    """What stands in the place of a node: the new types where the first of the old ones stood."""
    if node.name not in old:
        return (node,)
    return new if here else ()


def _joined(groups: Iterable[tuple[SchemaType, ...]]) -> tuple[SchemaType, ...]:
    """The types of all groups, those of one name joined with all that is below them."""
    found: dict[str, list[SchemaType]] = {}
    for group in groups:
        for node in group:
            found.setdefault(node.name, []).append(node)
    return tuple(SchemaType(name, _joined(node.children for node in nodes)) for name, nodes in found.items())


def _begins(path: Path, heads: tuple[Path, ...]) -> bool:
    return any(path[: len(head)] == head for head in heads)

"""Which types an annotation may have, by its task, the schema that was asked, and what stands above it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.review.nodes import Nodes

ONE_CLASS = ("sentiment", "classification", "matching", "nli")
CLASSES = (*ONE_CLASS, "multilabel", "hierarchy")
ASPECT = "属性词"
PRONOUN = {"指代": {"候选词": None}, "不指代": {"候选词": None}}
Chain = tuple[str, ...]


def chains(nodes: Nodes) -> dict[int, Chain]:
    """The types from the top down to each node, its own the last."""
    found: dict[int, Chain] = {}
    for node in nodes:  # parents come first
        found[node.id] = (*(() if node.parent is None else found.get(node.parent, ())), node.type)
    return found


def types_below(task: str, schema: Mapping[str, Any], above: Chain, *, nodes: Nodes) -> list[str]:
    """The types below a chain of types, empty at the top: those of the schema, then others that occur there."""
    level: Mapping[str, Any] = _asked(task, schema)
    for name in above:
        level = level.get(name) or {}
    seen = chains(nodes)
    others = [node.type for node in nodes if seen[node.id][:-1] == above]
    return list(dict.fromkeys([*level, *others]))


def placed(task: str, above: Chain) -> bool:
    """Whether a type below that chain has a place in the text; a class has none."""
    if task in CLASSES:
        return False
    return not (above and task in ("atsc", "mrc"))


def _asked(task: str, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if task == "atsc":
        return {ASPECT: schema}
    if task == "coref":
        return PRONOUN
    return schema

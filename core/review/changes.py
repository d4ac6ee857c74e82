"""The difference between two forms of a document under review, as it is kept in its history. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import InputError
from core.review.nodes import Node, Nodes, dump_node, load_node

ADDED, GONE, ACCEPTED, REJECTED, REOPENED, RETYPED, MOVED = (
    "added", "gone", "accepted", "rejected", "reopened", "retyped", "moved",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """One step: the nodes that it touched, before and after (None: not there), and the state of the document."""

    nodes: Mapping[int, tuple[Node | None, Node | None]]
    state: tuple[str, str]


def difference(before: Nodes, after: Nodes, *, states: tuple[str, str]) -> Change:
    """What leads from `before` to `after`."""
    old, new = ({node.id: node for node in nodes} for nodes in (before, after))
    touched = sorted(old.keys() | new.keys())
    return Change({one: (old.get(one), new.get(one)) for one in touched if old.get(one) != new.get(one)}, states)


def inverse(change: Change) -> Change:
    """What leads back."""
    return Change({one: (new, old) for one, (old, new) in change.nodes.items()}, (change.state[1], change.state[0]))


def applied(nodes: Nodes, change: Change) -> Nodes:
    """`nodes` after the change. Raises InputError when they are not the ones it was made from."""
    found = {node.id: node for node in nodes}
    for one, (old, new) in change.nodes.items():
        if found.get(one) != old:
            raise InputError("这一步的前后内容与现状不符，不能撤销或重做。请刷新后重试。")
        if new is None:
            del found[one]
        else:
            found[one] = new
    return tuple(found[one] for one in sorted(found))


def kinds(before: Node | None, after: Node | None) -> list[str]:
    """What happened to one node, in words of this module."""
    if before is None or after is None:
        return [ADDED if before is None else GONE]
    found = []
    if before.type != after.type:
        found.append(RETYPED)
    if (before.start, before.end) != (after.start, after.end):
        found.append(MOVED)
    if before.decision != after.decision and not found:
        found.append({"accepted": ACCEPTED, "rejected": REJECTED}.get(after.decision, REOPENED))
    return found


def dump_change(change: Change) -> dict[str, Any]:
    """A change as JSON values."""
    nodes = [[None if one is None else dump_node(one) for one in pair] for pair in change.nodes.values()]
    return {"nodes": nodes, "state": list(change.state)}


def load_change(stored: Mapping[str, Any]) -> Change:
    """The change that `dump_change` wrote."""
    nodes: dict[int, tuple[Node | None, Node | None]] = {}
    for pair in stored["nodes"]:
        old, new = (None if one is None else load_node(one) for one in pair)
        nodes[next(one.id for one in (old, new) if one is not None)] = (old, new)
    before, after = stored["state"]
    return Change(nodes, (before, after))

"""A change of a schema carried into a document under review. Pure; what the machine said stays with every node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from core.review.nodes import REJECTED, Node, Nodes, dropped
from core.schemas.changes import Change, Path, new_type

# Aspect sentiment asks its types below aspects that it finds by itself.
ROOTS: Mapping[str, Path] = {"atsc": ("属性词",)}


def retyped(nodes: Nodes, change: Change, *, task: str) -> Nodes:
    """The nodes after the change; decisions stay as they are.

    A finding whose type is deleted is rejected, or removed with all below it when a person added it. When a merge
    makes two findings equal, the later one is rejected unless something hangs below it.
    """
    root = ROOTS.get(task, ())
    paths: dict[int, Path] = {}
    found: list[Node] = []
    gone: set[int] = set()
    for node in nodes:  # parents come first
        paths[node.id] = (*paths.get(-1 if node.parent is None else node.parent, ()), node.type)
        below = paths[node.id][len(root) :] if paths[node.id][: len(root)] == root else ()
        name = new_type(change, below, node.text) if below else node.type
        if node.parent in gone or (name is None and node.machine is None):
            gone.add(node.id)
        elif name is None:
            found.append(replace(node, decision=REJECTED))
        else:
            found.append(replace(node, type=name))
    return _without_twins(tuple(found), nodes)


def _without_twins(nodes: Nodes, before: Nodes) -> Nodes:
    """`nodes` in which no two that were different before count as the same finding now."""
    old = {node.id: node.type for node in before}
    parents = {node.parent for node in nodes}
    out = dropped(nodes)
    seen: dict[tuple[object, ...], Node] = {}
    kept: list[Node] = []
    for node in nodes:
        key = (node.parent, node.type, node.start, node.end, node.text)
        twin = seen.setdefault(key, node) if node.id not in out else node
        if twin is node or node.id in parents or old[twin.id] == old[node.id]:
            kept.append(node)
        elif node.machine is not None:
            kept.append(replace(node, decision=REJECTED))
        # a twin that a person added needs no trace of its own: the history has it
    return tuple(kept)


def touches(nodes: Nodes, change: Change, *, task: str) -> bool:
    """Whether the change would do anything to the nodes."""
    return retyped(nodes, change, task=task) != nodes

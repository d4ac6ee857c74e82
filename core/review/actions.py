"""What a person does to a document under review, as one value, and what comes of it. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.errors import InputError
from core.review import edits
from core.review.nodes import (
    ACCEPTED,
    APPROVED,
    CORRECTED,
    DISMISSED,
    OPEN,
    REJECTED,
    REVIEWED,
    SKIPPED,
    STARTED,
    UNREVIEWED,
    Nodes,
)
from core.review.palette import ONE_CLASS, chains, placed


@dataclass(frozen=True, slots=True)
class Action:
    """One thing done.

    kind: "accept", "reject", "reopen", "retype", "move", "add", "remove", "accept_above", "add_all", "assign" for
    annotations; "finish", "dismiss", "skip", "resume" for the document; "undo", "redo". id: the annotation it is
    about; for "add" and "assign" with a parent, `parent` is the annotation above the new one. places: spans in code
    points, one for "move" and "add", any number for "add_all".
    """

    kind: str
    id: int | None = None
    type: str = ""
    parent: int | None = None
    places: tuple[edits.Place, ...] = ()
    score: float = 0.0


def outcome(action: Action, nodes: Nodes, state: str, *, text: str, task: str) -> tuple[Nodes, str]:
    """The nodes and the state of the document after an action. Raises InputError when it cannot be done."""
    if action.kind in _DOCUMENT:
        return _DOCUMENT[action.kind](nodes)
    if action.kind not in _ANNOTATION:
        raise InputError(f"没有操作“{action.kind}”：可选 {'、'.join((*_ANNOTATION, *_DOCUMENT))}")
    after = _ANNOTATION[action.kind](nodes, action, text, task)
    if after == nodes:
        return nodes, state
    if state in REVIEWED and not edits.undecided(after):
        return after, CORRECTED if edits.edited(after) else APPROVED
    return after, STARTED


def _assign(nodes: Nodes, action: Action, text: str, task: str) -> Nodes:
    """A type was chosen: it goes to the selected text, else to the selected annotation, else to the document."""
    above = () if action.parent is None else chains(nodes)[edits.find(nodes, action.parent).id]
    if action.places and placed(task, above):
        return edits.add(nodes, action.type, action.places[0], text=text, parent=action.parent)
    if action.id is not None and action.parent is None:
        return edits.retype(nodes, action.id, action.type)
    if placed(task, above):
        raise InputError("请先选中一段文字，或选中一个标注，再选类型。")
    tops = [node for node in nodes if node.parent == action.parent]
    same = next((node for node in tops if node.type == action.type), None)
    if task in ONE_CLASS:
        kept = next((node for node in tops if node.decision != REJECTED), None)
        if kept is not None and same is None:
            return edits.retype(nodes, kept.id, action.type)
        if kept is not None and same is not None and kept.id != same.id:
            nodes = edits.decide(nodes, [kept.id], REJECTED)
    if same is None:
        return edits.add(nodes, action.type, None, text=text, parent=action.parent)
    kept_out = task not in ONE_CLASS and same.decision == ACCEPTED
    return edits.decide(nodes, [same.id], REJECTED if kept_out else ACCEPTED)


def _the(action: Action) -> int:
    if action.id is None:
        raise InputError("请先选中一个标注。")
    return action.id


def _place(action: Action) -> edits.Place:
    if not action.places:
        raise InputError("请先选中一段文字。")
    return action.places[0]


def _reject(nodes: Nodes, action: Action) -> Nodes:
    """What a person added is taken back, what the machine gave is rejected."""
    if edits.find(nodes, _the(action)).machine is None:
        return edits.remove(nodes, _the(action))
    return edits.decide(nodes, [_the(action)], REJECTED)


def _resumed(nodes: Nodes) -> tuple[Nodes, str]:
    touched = edits.edited(nodes) or any(node.decision != OPEN for node in nodes)
    return nodes, STARTED if touched else UNREVIEWED


def _finished(nodes: Nodes) -> tuple[Nodes, str]:
    return edits.accept_rest(nodes), CORRECTED if edits.edited(nodes) else APPROVED


_DOCUMENT: dict[str, Callable[[Nodes], tuple[Nodes, str]]] = {
    "finish": _finished,
    "dismiss": lambda nodes: (nodes, DISMISSED),
    "skip": lambda nodes: (nodes, SKIPPED),
    "resume": _resumed,
}
_ANNOTATION: dict[str, Callable[[Nodes, Action, str, str], Nodes]] = {
    "accept": lambda nodes, action, text, task: edits.decide(nodes, [_the(action)], ACCEPTED),
    "reject": lambda nodes, action, text, task: _reject(nodes, action),
    "reopen": lambda nodes, action, text, task: edits.decide(nodes, [_the(action)], OPEN),
    "retype": lambda nodes, action, text, task: edits.retype(nodes, _the(action), action.type),
    "move": lambda nodes, action, text, task: edits.move(nodes, _the(action), _place(action), text=text),
    "add": lambda nodes, action, text, task: edits.add(
        nodes, action.type, action.places[0] if action.places else None, text=text, parent=action.parent
    ),
    "remove": lambda nodes, action, text, task: edits.remove(nodes, _the(action)),
    "accept_above": lambda nodes, action, text, task: edits.accept_above(nodes, action.score),
    "add_all": lambda nodes, action, text, task: edits.add_all(nodes, action.type, action.places, text=text),
    "assign": _assign,
}

"""What can be done to a document under review: each function takes nodes and gives new ones. Pure.

All raise InputError, in plain words, for what cannot be done; then nothing has changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from core.errors import InputError
from core.review.nodes import ACCEPTED, DECISIONS, OPEN, REJECTED, Node, Nodes, dropped

Place = tuple[int, int]
"""Start and end of a span, in code points."""


def find(nodes: Nodes, number: int) -> Node:
    """The node of that number."""
    for node in nodes:
        if node.id == number:
            return node
    raise InputError(f"没有编号为 {number} 的标注，它可能已被撤销。请刷新后重试。")


def decide(nodes: Nodes, numbers: Collection[int], decision: str) -> Nodes:
    """Accept, reject or reopen annotations."""
    if decision not in DECISIONS:
        raise InputError(f"没有“{decision}”这种判定：可选 {'、'.join(DECISIONS)}")
    numbers = set(numbers)
    for number in numbers - {node.id for node in nodes}:
        find(nodes, number)  # says that it is not there
    return tuple(replace(node, decision=decision) if node.id in numbers else node for node in nodes)


def accept_above(nodes: Nodes, score: float) -> Nodes:
    """Accept every open annotation whose score is `score` or more."""
    return decide(nodes, [node.id for node in nodes if node.decision == OPEN and node.score >= score], ACCEPTED)


def accept_rest(nodes: Nodes) -> Nodes:
    """Accept whatever is still open."""
    return accept_above(nodes, 0.0)


def retype(nodes: Nodes, number: int, type: str) -> Nodes:
    """Give an annotation another type; a person who corrects it accepts it."""
    node = find(nodes, number)
    return _put(nodes, replace(node, type=_name(type), decision=ACCEPTED))


def move(nodes: Nodes, number: int, place: Place, *, text: str) -> Nodes:
    """Give an annotation other bounds in `text`, the document's; a person who corrects it accepts it."""
    node = find(nodes, number)
    start, end = _checked(place, text)
    return _put(nodes, replace(node, start=start, end=end, text=text[start:end], decision=ACCEPTED))


def add(nodes: Nodes, type: str, place: Place | None, *, text: str, parent: int | None = None) -> Nodes:
    """Add an annotation, accepted; without `place` a class. With `parent` it is a relation, role or subclass of it."""
    if parent is not None and find(nodes, parent).decision == REJECTED:
        raise InputError("上级标注已被拒绝：请先恢复它，再添加下级。")
    number = 1 + max((node.id for node in nodes), default=-1)
    if place is None:
        return _put(nodes, Node(number, parent, _name(type), None, None, "", ACCEPTED))
    start, end = _checked(place, text)
    return _put(nodes, Node(number, parent, _name(type), start, end, text[start:end], ACCEPTED))


def add_all(nodes: Nodes, type: str, places: Iterable[Place], *, text: str) -> Nodes:
    """Add a top annotation of `type` at each of `places`."""
    for place in places:
        nodes = add(nodes, type, place, text=text)
    return nodes


def remove(nodes: Nodes, number: int) -> Nodes:
    """Take back what a person added, with all below it; the machine's annotations can only be rejected."""
    if find(nodes, number).machine is not None:
        raise InputError("机器给出的标注不能删除，只能拒绝：原结果要保留。")
    gone = {number}
    for node in nodes:  # parents come before children
        if node.parent in gone:
            gone.add(node.id)
    return tuple(node for node in nodes if node.id not in gone)


def occurrences(nodes: Nodes, needle: str, type: str, *, text: str) -> list[Place]:
    """Where `needle` stands in `text` without a top annotation of `type` there, rejected ones included."""
    if not needle.strip():
        return []
    taken = {(node.start, node.end) for node in nodes if node.parent is None and node.type == type}
    found: list[Place] = []
    start = text.find(needle)
    while start >= 0:
        place = (start, start + len(needle))
        if place not in taken:
            found.append(place)
        start = text.find(needle, place[1])
    return found


def edited(nodes: Nodes) -> bool:
    """Whether anything differs from the machine's result: something added, rejected, retyped or moved."""
    return any(node.changed or node.decision == REJECTED for node in nodes)


def undecided(nodes: Nodes) -> int:
    """How many annotations wait for a decision; those below a rejected one do not."""
    out = dropped(nodes)
    return sum(node.decision == OPEN for node in nodes if node.id not in out)


def _place_of(node: Node) -> tuple[object, ...]:
    return node.parent, node.type, node.start, node.end, node.text


def _put(nodes: Nodes, changed: Node) -> Nodes:
    """`nodes` with one node replaced or added; two equal ones in one place are refused."""
    others = [node for node in nodes if node.id != changed.id]
    if any(_place_of(node) == _place_of(changed) for node in others):
        raise InputError(f"这里已经有“{changed.type}”了：{changed.text or changed.type}")
    return tuple(sorted([*others, changed], key=lambda node: node.id))


def _checked(place: Place, text: str) -> Place:
    start, end = place
    if not 0 <= start < end <= len(text):
        raise InputError(f"位置 [{start}, {end}) 不在正文之内：正文有 {len(text)} 个字符，终点要大于起点。")
    return start, end


def _name(type: str) -> str:
    if not type.strip():
        raise InputError("类型名称为空：请选择或填写类型。")
    return type.strip()

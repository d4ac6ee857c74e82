"""Editing of annotations as pure functions: what holds after any sequence of edits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InputError
from core.review import edits
from core.review.changes import applied, difference, dump_change, inverse, kinds, load_change
from core.review.nodes import (
    ACCEPTED,
    DECISIONS,
    OPEN,
    REJECTED,
    Nodes,
    dump_node,
    from_annotations,
    load_nodes,
    machine_annotations,
    to_annotations,
)
from core.types import Annotation

# An emoji beyond the basic plane, one made of several characters, and a rare Han character.
TEXT = "😀云州市的𠮷田武离开了👩‍👩‍👧云州市，前往深圳。"
TYPES = st.sampled_from(["人物", "地点", "组织机构"])


def span(type: str, start: int, end: int, score: float = 0.9, *children: Annotation) -> Annotation:
    return Annotation(type, start, end, TEXT[start:end], score, children)


MACHINE = (
    span("地点", 1, 4, 0.9),
    span("人物", 5, 8, 0.6, span("出生地(地点)", 1, 4, 0.55), span("居住地(地点)", 17, 20, 0.4)),
    Annotation("正向情感", None, None, "", 0.7),
)
START = from_annotations(MACHINE)


@st.composite
def places(draw: st.DrawFn) -> tuple[int, int]:
    start = draw(st.integers(0, len(TEXT) - 1))
    return start, draw(st.integers(start + 1, len(TEXT)))


@st.composite
def actions(draw: st.DrawFn) -> Callable[[Nodes], Nodes]:
    """One edit, of a node that may or may not be there."""
    number = draw(st.integers(0, 9))
    kind, place = draw(TYPES), draw(places())
    choices: list[Callable[[Nodes], Nodes]] = [
        lambda nodes: edits.decide(nodes, [number], draw(st.sampled_from(DECISIONS))),
        lambda nodes: edits.retype(nodes, number, kind),
        lambda nodes: edits.move(nodes, number, place, text=TEXT),
        lambda nodes: edits.add(nodes, kind, place, text=TEXT),
        lambda nodes: edits.add(nodes, kind, place, text=TEXT, parent=number),
        lambda nodes: edits.add(nodes, kind, None, text=TEXT),
        lambda nodes: edits.remove(nodes, number),
        lambda nodes: edits.accept_above(nodes, 0.5),
        lambda nodes: edits.add_all(
            nodes, kind, edits.occurrences(nodes, TEXT[slice(*place)], kind, text=TEXT), text=TEXT
        ),
    ]
    return draw(st.sampled_from(choices))


def spans(annotations: tuple[Annotation, ...]) -> list[Annotation]:
    return [one for top in annotations for one in (top, *spans(top.children))]


@given(st.lists(actions(), max_size=12))
def test_after_any_edits_spans_hold_their_text_the_machine_is_untouched_and_undo_leads_back(
    chosen: list[Callable[[Nodes], Nodes]],
) -> None:
    states = [START]
    for action in chosen:
        try:
            states.append(action(states[-1]))
        except InputError:
            continue
    for nodes in states:
        for node in nodes:
            if node.start is not None:
                assert TEXT[node.start : node.end] == node.text != ""
        for one in spans(to_annotations(nodes)):
            assert one.start is None or TEXT[one.start : one.end] == one.text
        assert machine_annotations(nodes) == machine_annotations(START)
        assert load_nodes([dump_node(node) for node in nodes]) == nodes
        assert [node.id for node in nodes] == sorted({node.id for node in nodes})
    for before, after in zip(states, states[1:], strict=False):
        change = difference(before, after, states=("started", "started"))
        assert applied(before, change) == after
        assert applied(after, inverse(change)) == before
        assert load_change(dump_change(change)) == change


def test_untouched_nodes_are_the_machines_trees_again() -> None:
    expected = {(one.type, one.start, one.end, one.score) for one in spans(MACHINE)}
    assert {(one.type, one.start, one.end, one.score) for one in spans(to_annotations(START))} == expected
    assert machine_annotations(START) == to_annotations(START)
    assert not edits.edited(START) and edits.undecided(START) == 5


def test_what_is_rejected_goes_with_all_below_it_and_comes_back_whole() -> None:
    without = edits.decide(START, [1], REJECTED)
    assert [one.type for one in to_annotations(without)] == ["正向情感", "地点"]
    assert edits.undecided(without) == 2
    assert to_annotations(edits.decide(without, [1], OPEN)) == to_annotations(START)


def test_a_correction_accepts_and_remembers_the_machine() -> None:
    nodes = edits.move(edits.retype(START, 0, "组织机构"), 0, (1, 3), text=TEXT)
    one = edits.find(nodes, 0)
    assert (one.type, one.text, one.decision) == ("组织机构", "云州", ACCEPTED)
    assert one.machine is not None and (one.machine.type, one.machine.text) == ("地点", "云州市")
    assert one.changed and edits.edited(nodes)


def test_every_other_occurrence_is_found_once() -> None:
    assert edits.occurrences(START, "云州市", "地点", text=TEXT) == [(16, 19)]
    both = edits.occurrences(START, "云州市", "组织机构", text=TEXT)
    assert [TEXT[start:end] for start, end in both] == ["云州市", "云州市"]
    nodes = edits.add_all(START, "组织机构", both, text=TEXT)
    assert edits.occurrences(nodes, "云州市", "组织机构", text=TEXT) == []
    assert edits.occurrences(START, " ", "地点", text=TEXT) == []


def test_only_scores_from_the_limit_on_are_accepted_and_decisions_stay() -> None:
    nodes = edits.accept_above(edits.decide(START, [0], REJECTED), 0.55)
    assert [node.decision for node in nodes] == [REJECTED, ACCEPTED, ACCEPTED, OPEN, ACCEPTED]


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (lambda: edits.add(START, "地点", (1, 4), text=TEXT), "已经有"),
        (lambda: edits.add(START, "地点", (4, 4), text=TEXT), "不在正文之内"),
        (lambda: edits.add(START, "地点", (0, len(TEXT) + 1), text=TEXT), "不在正文之内"),
        (lambda: edits.add(START, "  ", (0, 1), text=TEXT), "类型名称为空"),
        (lambda: edits.add(edits.decide(START, [0], REJECTED), "别名", (0, 1), text=TEXT, parent=0), "先恢复"),
        (lambda: edits.retype(START, 77, "地点"), "没有编号为 77"),
        (lambda: edits.remove(START, 0), "只能拒绝"),
        (lambda: edits.decide(START, [0], "maybe"), "没有“maybe”"),
    ],
)
def test_what_cannot_be_done_is_said_in_plain_words(action: Callable[[], Nodes], words: str) -> None:
    with pytest.raises(InputError, match=words):
        action()


def test_a_step_says_what_happened_to_each_annotation() -> None:
    one = START[0]
    assert kinds(None, one) == ["added"] and kinds(one, None) == ["gone"]
    assert kinds(one, replace(one, decision=REJECTED)) == ["rejected"]
    assert kinds(one, replace(one, type="人物", start=2, decision=ACCEPTED)) == ["retyped", "moved"]
    assert kinds(replace(one, decision=REJECTED), one) == ["reopened"]


def test_taking_back_what_was_added_takes_back_all_below_it() -> None:
    nodes = edits.add(edits.add(START, "人物", (20, 22), text=TEXT), "别名", (0, 1), text=TEXT, parent=5)
    assert len(nodes) == 7
    assert edits.remove(nodes, 5) == START


def test_a_step_that_does_not_fit_is_refused() -> None:
    change = difference(START, edits.retype(START, 0, "人物"), states=("unreviewed", "started"))
    with pytest.raises(InputError, match="与现状不符"):
        applied(edits.decide(START, [0], REJECTED), change)

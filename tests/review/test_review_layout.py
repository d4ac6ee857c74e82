"""Where spans are drawn: nothing of the text is lost, no span hides another."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.review import edits
from core.review.layout import marks, pieces, tree_order
from core.review.nodes import REJECTED, Node, from_annotations
from core.types import Annotation

TEXT = "😀云州市轨道\n交通𠮷集团总经理"


@st.composite
def found(draw: st.DrawFn) -> tuple[Node, ...]:
    spans = draw(
        st.lists(st.tuples(st.integers(0, len(TEXT)), st.integers(0, len(TEXT)), st.sampled_from("甲乙")), max_size=9)
    )
    return from_annotations(
        [Annotation(type, min(a, b), max(a, b), TEXT[min(a, b) : max(a, b)], 0.5) for a, b, type in spans]
    )


@given(found())
def test_pieces_are_the_text_and_lie_under_the_marks_that_cover_them(nodes: tuple[Node, ...]) -> None:
    drawn = marks(nodes, len(TEXT))
    cut = pieces(TEXT, drawn)
    assert "".join(piece.text for piece in cut) == TEXT and all(piece.text for piece in cut)
    for piece in cut:
        end = piece.start + len(piece.text)
        assert TEXT[piece.start : end] == piece.text
        assert piece.text == "\n" or "\n" not in piece.text
        covering = [i for i, mark in enumerate(drawn) if mark.start < end and mark.end > piece.start]
        assert sorted(piece.marks) == covering
        assert sorted(piece.closing) == [i for i in covering if drawn[i].end == end]
    assert sorted(i for piece in cut for i in piece.closing) == list(range(len(drawn)))


@given(found())
def test_marks_that_share_a_character_lie_on_different_lanes(nodes: tuple[Node, ...]) -> None:
    drawn = marks(nodes, len(TEXT))
    for i, one in enumerate(drawn):
        for other in drawn[i + 1 :]:
            assert one.lane != other.lane or one.end <= other.start or other.end <= one.start
    assert {n for mark in drawn for n in mark.nodes} == {n.id for n in nodes if n.start != n.end}


def test_a_nested_span_lies_nearer_to_the_text_and_a_rejected_one_is_not_drawn() -> None:
    nodes = from_annotations([Annotation("机构", 1, 8, TEXT[1:8], 0.9), Annotation("地点", 1, 4, TEXT[1:4], 0.9)])
    assert [(mark.type, mark.lane) for mark in marks(nodes, len(TEXT))] == [("机构", 1), ("地点", 0)]
    assert [mark.type for mark in marks(edits.decide(nodes, [1], REJECTED), len(TEXT))] == ["机构"]
    assert marks(nodes, 5) == marks(nodes[1:], 5)


def test_a_list_shows_trees_in_text_order() -> None:
    nodes = from_annotations(
        [Annotation("乙", 5, 6, "道", 0.9, (Annotation("下", 0, 1, "😀", 0.9),)), Annotation("甲", 1, 2, "云", 0.9)]
    )
    assert [(node.type, depth) for node, depth in tree_order(nodes)] == [("甲", 0), ("乙", 0), ("下", 1)]

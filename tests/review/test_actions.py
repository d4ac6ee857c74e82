"""What comes of an action: annotations, and the state of the document."""

from __future__ import annotations

import pytest

from core.errors import InputError
from core.review.actions import Action, outcome
from core.review.nodes import (
    ACCEPTED,
    APPROVED,
    CORRECTED,
    DISMISSED,
    OPEN,
    REJECTED,
    SKIPPED,
    STARTED,
    UNREVIEWED,
    Nodes,
    from_annotations,
    to_annotations,
)
from core.review.palette import placed, types_below
from core.types import Annotation

TEXT = "😀张伟的妻子是李娜，张伟在深圳。"
PAIR = (Annotation("人物", 1, 3, "张伟", 0.8, (Annotation("配偶(人物)", 7, 9, "李娜", 0.5),)),)
SCHEMA = {"人物": {"配偶(人物)": None, "出生地(地点)": None}, "地点": None}
START = from_annotations(PAIR)


def after(*actions: Action, nodes: Nodes = START, state: str = UNREVIEWED, task: str = "re") -> tuple[Nodes, str]:
    for action in actions:
        nodes, state = outcome(action, nodes, state, text=TEXT, task=task)
    return nodes, state


def classes(*found: Annotation) -> Nodes:
    return from_annotations(found)


def test_a_document_without_changes_is_approved_and_one_with_changes_corrected() -> None:
    assert after(Action("finish"))[1] == APPROVED
    assert all(node.decision == ACCEPTED for node in after(Action("finish"))[0])
    assert after(Action("reject", 1), Action("finish"))[1] == CORRECTED
    assert after(Action("accept", 0))[1] == STARTED


def test_a_finished_document_that_is_edited_stays_finished_until_something_is_open_again() -> None:
    nodes, state = after(Action("finish"), Action("retype", 0, "歌手"))
    assert state == CORRECTED
    nodes, state = after(Action("retype", 0, "人物"), nodes=nodes, state=state)
    assert state == APPROVED
    assert after(Action("reopen", 0), nodes=nodes, state=state)[1] == STARTED


def test_a_document_can_be_dismissed_skipped_and_taken_up_again() -> None:
    assert after(Action("dismiss"))[1] == DISMISSED
    assert after(Action("skip"))[1] == SKIPPED
    assert after(Action("skip"), Action("resume")) == (START, UNREVIEWED)
    assert after(Action("accept", 0), Action("dismiss"), Action("resume"))[1] == STARTED


def test_a_type_goes_to_the_selected_text_then_to_the_selected_annotation() -> None:
    nodes, _ = after(Action("assign", type="地点", places=((13, 15),)))
    assert [(one.type, one.text) for one in to_annotations(nodes)] == [("人物", "张伟"), ("地点", "深圳")]
    nodes, _ = after(Action("assign", type="出生地(地点)", parent=0, places=((13, 15),)))
    assert [(one.type, one.text) for one in to_annotations(nodes)[0].children] == [
        ("配偶(人物)", "李娜"),
        ("出生地(地点)", "深圳"),
    ]
    nodes, _ = after(Action("assign", id=0, type="地点"))
    assert to_annotations(nodes)[0].type == "地点"
    with pytest.raises(InputError, match="先选中一段文字"):
        after(Action("assign", type="地点"))


def test_one_class_takes_the_place_of_another() -> None:
    nodes = classes(Annotation("投诉", None, None, "", 0.7))
    changed, state = after(Action("assign", type="申请退款"), nodes=nodes, task="classification")
    assert [one.type for one in to_annotations(changed)] == ["申请退款"] and state == STARTED
    assert changed[0].machine is not None and changed[0].machine.type == "投诉"
    again, _ = after(Action("assign", type="申请退款"), nodes=changed, task="classification")
    assert again == changed
    empty, _ = after(Action("assign", type="投诉"), nodes=(), task="classification")
    assert [one.type for one in to_annotations(empty)] == ["投诉"]


def test_several_classes_are_switched_on_and_off() -> None:
    nodes = classes(Annotation("物流", None, None, "", 0.7))
    nodes, _ = after(Action("assign", type="售后"), nodes=nodes, task="multilabel")
    assert {one.type for one in to_annotations(nodes)} == {"物流", "售后"}
    for decision in (ACCEPTED, REJECTED, ACCEPTED):
        nodes, _ = after(Action("assign", type="物流"), nodes=nodes, task="multilabel")
        assert nodes[0].decision == decision


def test_a_polarity_is_given_below_its_aspect_without_a_place() -> None:
    nodes = from_annotations((Annotation("属性词", 1, 3, "张伟", 0.9),))
    nodes, _ = after(Action("assign", type="负向情感", parent=0, places=((1, 3),)), nodes=nodes, task="atsc")
    (aspect,) = to_annotations(nodes)
    assert [(one.type, one.start) for one in aspect.children] == [("负向情感", None)]


def test_what_a_person_added_goes_when_it_is_rejected_and_what_the_machine_gave_stays_to_be_seen() -> None:
    nodes, _ = after(Action("add", type="地点", places=((13, 15),)), Action("reject", 2))
    assert nodes == START
    nodes, _ = after(Action("reject", 0))
    assert nodes[0].decision == REJECTED and nodes[1].decision == OPEN


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (Action("accept"), "先选中一个标注"),
        (Action("move", 0), "先选中一段文字"),
        (Action("fly", 0), "没有操作“fly”"),
        (Action("assign", type="别名", parent=9, places=((0, 1),)), "没有编号为 9"),
    ],
)
def test_an_action_that_lacks_something_says_what(action: Action, words: str) -> None:
    with pytest.raises(InputError, match=words):
        after(action)


def test_types_come_from_the_schema_by_level_and_then_from_what_is_there() -> None:
    nodes, _ = after(Action("add", type="外号", places=((0, 1),)))
    assert types_below("re", SCHEMA, (), nodes=nodes) == ["人物", "地点", "外号"]
    assert types_below("re", SCHEMA, ("人物",), nodes=nodes) == ["配偶(人物)", "出生地(地点)"]
    assert types_below("re", {}, ("人物",), nodes=nodes) == ["配偶(人物)"]
    assert types_below("atsc", {"正向情感": None}, (), nodes=()) == ["属性词"]
    assert types_below("atsc", {"正向情感": None}, ("属性词",), nodes=()) == ["正向情感"]
    assert types_below("coref", {}, ("指代",), nodes=()) == ["候选词"]
    assert placed("mrc", ()) and not placed("mrc", ("问题",)) and not placed("sentiment", ())

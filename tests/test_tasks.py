"""Each task from natural input to annotations, with the model that the product ships."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from core.config import EMBEDDED_MODEL
from core.errors import InputError, SchemaError
from core.inference.engine import Engine, Item
from core.model.checkpoint import load_checkpoint
from core.schemas.schema import Schema, parse_schema
from core.tasks import (
    TASKS,
    Answer,
    Request,
    annotation_tree,
    aspect_schema,
    class_tree,
    find_task,
    mark_coreference,
    schema_for,
)
from core.types import AnnotatedDocument, Annotation, Document, Link, Span

SENTENCE = "小说家陈静1972年3月出生于杭州，毕业于浙江大学，丈夫是画家林涛。"
HOTEL = "这家酒店的位置很方便，但是房间太小。"


@pytest.fixture(scope="module")
def engine() -> Engine:
    if not (EMBEDDED_MODEL / "config.json").is_file():
        pytest.skip(f"no checkpoint in {EMBEDDED_MODEL}")
    return Engine(load_checkpoint(str(EMBEDDED_MODEL), device="cpu"))


def _run(engine: Engine, task: str, text: str, schema: Any = None, **fields: Any) -> AnnotatedDocument:
    chosen = find_task(task)
    asked = schema_for(chosen, None if schema is None else parse_schema(schema))
    ((_, result),) = engine.annotate([Item(Document(text, **fields), chosen, asked)])
    assert not result.error
    assert result.task == task
    for one in _walk(result.annotations):
        assert 0.0 <= one.score <= 1.0
        assert (one.start is None) == (one.end is None)
        if one.start is not None:
            assert text[one.start : one.end] == one.text
        assert all(child.score <= one.score for child in one.children)
    return result


def _walk(annotations: Iterable[Annotation]) -> Iterator[Annotation]:
    for annotation in annotations:
        yield annotation
        yield from _walk(annotation.children)


def _found(result: AnnotatedDocument) -> set[tuple[str, str]]:
    return {(one.type, one.text) for one in result.annotations}


def _classes(result: AnnotatedDocument) -> list[str]:
    assert all(one.start is None and one.text == "" for one in _walk(result.annotations))
    return [one.type for one in result.annotations]


def test_entities_of_an_everyday_sentence_are_found(engine: Engine) -> None:
    found = _found(_run(engine, "ner", SENTENCE, ["人物", "地理位置", "组织机构"]))
    assert {("人物", "陈静"), ("人物", "林涛"), ("地理位置", "杭州")} <= found


def test_a_relation_of_one_subject_is_found_below_it(engine: Engine) -> None:
    result = _run(engine, "re", "陈静出生于杭州。", {"人物": {"出生地(地理位置)": None}})
    assert [(one.type, one.text) for one in result.annotations] == [("人物", "陈静")]
    children = result.annotations[0].children
    assert [(one.type, one.start, one.end, one.text) for one in children] == [("出生地(地理位置)", 5, 7, "杭州")]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("这家餐厅的菜很好吃，服务也很周到，下次还会再来。", "正向情感"),
        ("房间又脏又吵，服务态度极差，再也不会来了。", "负向情感"),
    ],
)
def test_the_sentiment_of_a_clear_review_is_right(engine: Engine, text: str, wanted: str) -> None:
    assert _classes(_run(engine, "sentiment", text)) == [wanted]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("昨晚中国女排以三比零战胜日本队，获得冠军。", "体育"), ("央行宣布下调存款准备金率，股市大涨。", "财经")],
)
def test_the_topic_of_a_clear_news_line_is_right(engine: Engine, text: str, wanted: str) -> None:
    assert _classes(_run(engine, "classification", text, ["体育", "财经", "科技", "娱乐"])) == [wanted]


def test_several_labels_are_some_of_those_asked(engine: Engine) -> None:
    labels = ["体育", "财经", "科技", "娱乐"]
    found = _classes(_run(engine, "multilabel", "球星创办的科技公司昨天上市，股价大涨。", labels))
    assert set(found) <= set(labels)
    assert len(found) == len(set(found))


def test_a_class_and_the_class_below_it_are_found(engine: Engine) -> None:
    schema = {"体育": {"足球": None, "篮球": None}, "财经": {"股票": None, "房产": None}}
    result = _run(engine, "hierarchy", "昨晚中国男足在世界杯预选赛上踢进三球。", schema)
    assert _classes(result) == ["体育"]
    assert [one.type for one in result.annotations[0].children] == ["足球"]


@pytest.mark.parametrize(
    ("pair", "wanted"), [("手机号码如何更改", "文本匹配：相似"), ("今天天气怎么样", "文本匹配：不相似")]
)
def test_two_wordings_of_a_question_match_and_two_questions_do_not(engine: Engine, pair: str, wanted: str) -> None:
    assert _classes(_run(engine, "matching", "怎么更改手机号码", text_pair=pair)) == [wanted]


@pytest.mark.parametrize(("pair", "wanted"), [("有人在演奏乐器。", "蕴含"), ("公园里没有人。", "矛盾")])
def test_a_clear_inference_is_right(engine: Engine, pair: str, wanted: str) -> None:
    found = _classes(_run(engine, "nli", "一个男人正在公园里弹吉他。", text_pair=pair))
    assert found == [f"段落2和段落1的关系是：{wanted}"]


def test_a_question_is_answered_by_its_span(engine: Engine) -> None:
    question = "大莱龙铁路位于哪里？"
    result = _run(engine, "mrc", "大莱龙铁路位于山东省北部环渤海地区。", {question: None})
    assert _found(result) == {(question, "山东省北部环渤海地区")}


def test_a_question_with_options_gets_one_of_them_beside_open_questions(engine: Engine) -> None:
    schema = {"他怎么去北京？": {"坐火车": None, "坐飞机": None}, "谁去北京？": None}
    result = _run(engine, "mrc", "小王坐火车去北京。", schema)
    chosen = [one for one in result.annotations if one.type == "他怎么去北京？"]
    assert len(chosen) == 1
    assert [child.type in ("坐火车", "坐飞机") for child in chosen[0].children] == [True]
    assert chosen[0].start is None
    assert {one.type for one in result.annotations} <= set(schema)


def test_events_have_a_trigger_and_roles_of_the_schema(engine: Engine) -> None:
    roles = {"时间": None, "败者": None, "胜者": None}
    result = _run(engine, "ee", "昨天，广州恒大在亚冠决赛中战胜首尔队。", {"胜负(事件触发词)": roles})
    for event in result.annotations:
        assert event.type == "胜负(事件触发词)"
        assert event.start is not None
        assert {role.type for role in event.children} <= set(roles)


def test_opinions_hang_on_aspects_of_the_user_s_text(engine: Engine) -> None:
    result = _run(engine, "absa", HOTEL, {"属性词": {"情感词": None}})
    assert all(one.type == "属性词" and one.children for one in result.annotations)
    assert all("#" not in one.text for one in _walk(result.annotations))


def test_given_aspects_each_get_one_polarity_at_their_place(engine: Engine) -> None:
    result = _run(engine, "atsc", HOTEL, aspects=("房间", "早餐", "房间"))
    assert [(one.text, one.start, one.end) for one in result.annotations] == [("房间", 13, 15), ("早餐", None, None)]
    for one in result.annotations:
        assert [child.type in ("正向情感", "负向情感", "中性情感") for child in one.children] == [True]


def test_without_aspects_the_model_looks_for_them(engine: Engine) -> None:
    result = _run(engine, "atsc", HOTEL)
    assert all(one.type == "属性词" and len(one.children) == 1 for one in result.annotations)


def test_every_pronoun_is_judged_against_every_candidate(engine: Engine) -> None:
    text = "小明把书给了小红，因为她要考试。"
    candidates, pronoun = (Span(0, 2, "小明"), Span(6, 8, "小红")), Span(11, 12, "她")
    result = _run(engine, "coref", text, candidates=candidates, pronouns=(pronoun,))
    assert [(one.start, one.end, one.text) for one in result.annotations] == [(11, 12, "她")] * 2
    assert {one.type for one in result.annotations} <= {"指代", "不指代"}
    assert [one.children[0].text for one in result.annotations] == ["小明", "小红"]


def _first_requests(task: str, document: Document, schema: Any = None) -> list[Request]:
    chosen = find_task(task)
    return chosen.plan(document, schema_for(chosen, None if schema is None else parse_schema(schema))).send(None)


def test_pairs_are_written_as_two_paragraphs() -> None:
    for task in ("matching", "nli"):
        (request,) = _first_requests(task, Document("甲", text_pair="乙"))
        assert request.text == "段落1：甲；段落2：乙"
        assert request.mode == "classify"


def test_an_empty_second_text_is_a_text() -> None:
    (request,) = _first_requests("nli", Document("甲", text_pair=""))
    assert request.text == "段落1：甲；段落2："


def test_coreference_marks_stand_behind_both_words_in_any_order() -> None:
    text = "小红说她累"
    name, pronoun = Span(0, 2, "小红"), Span(3, 4, "她")
    assert mark_coreference(text, name, pronoun) == "小红（候选词）说她(代词)累"
    late = mark_coreference("她是小红", Span(2, 4, "小红"), Span(0, 1, "她"))
    assert late == "她(代词)是小红（候选词）"
    (request,) = _first_requests("coref", Document(text, candidates=(name,), pronouns=(pronoun,)))
    assert request.schema.to_dict() == {
        "下面的句子中，代词“她”指代的是“小红”吗？是的": None,
        "下面的句子中，代词“她”指代的是“小红”吗？不是": None,
    }


def test_opinions_read_the_text_behind_a_mark_and_give_offsets_without_it() -> None:
    task = TASKS["absa"]
    steps = task.plan(Document("房间很好"), parse_schema({"属性词": {"情感词": None}}))
    (request,) = steps.send(None)
    assert request.text == "#房间很好"
    paths = (
        (Link("属性词", 1, 3, "房间", 0.9, 0.9), Link("情感词", 3, 5, "很好", 0.8, 0.8)),
        (Link("属性词", 0, 1, "#", 0.7, 0.7), Link("情感词", 3, 5, "很好", 0.9, 0.9)),
        (Link("属性词", 0, 3, "#房间", 0.6, 0.6), Link("情感词", 3, 5, "很好", 0.5, 0.5)),
    )
    with pytest.raises(StopIteration) as stop:
        steps.send([Answer(paths)])
    implicit, room = stop.value.value.annotations
    assert (implicit.start, implicit.end, implicit.text) == (None, None, "")
    assert implicit.children == (Annotation("情感词", 2, 4, "很好", 0.7),)  # no stronger than its aspect
    assert (room.start, room.end, room.text, room.score) == (0, 2, "房间", 0.9)
    assert room.children == (Annotation("情感词", 2, 4, "很好", 0.8),)


def test_trees_are_in_text_order_with_the_weakest_score_of_the_chain() -> None:
    first, second = Link("人物", 5, 7, "林涛", 0.6, 0.7), Link("人物", 0, 2, "陈静", 0.9, 0.9)
    leaf = Link("配偶", 0, 2, "陈静", 0.95, 0.95)
    tree = annotation_tree([(first, leaf), (second,)])
    assert [one.text for one in tree] == ["陈静", "林涛"]
    assert tree[1].children[0].score == 0.6
    classes = class_tree([(Link("甲", 0, 10, "", 0.5, 0.5),), (Link("乙", 0, 10, "", 0.8, 0.8),)])
    assert [one.type for one in classes] == ["乙", "甲"]


def test_the_polarity_question_names_the_aspect() -> None:
    names = [one.name for one in aspect_schema("房间", parse_schema(["正向情感"])).types]
    assert names == ["属性“房间”的情感倾向：正向情感"]


def test_a_wrong_place_of_a_marked_word_is_named() -> None:
    document = Document("小红说她累", candidates=(Span(1, 3, "小红"),), pronouns=(Span(3, 4, "她"),))
    with pytest.raises(InputError, match=r"\[1, 3\) 处不是“小红”"):
        _first_requests("coref", document)


def test_an_unknown_task_is_answered_with_those_there_are() -> None:
    with pytest.raises(InputError) as caught:
        find_task("summary")
    assert all(name in str(caught.value) for name in TASKS)


def test_a_task_without_a_schema_of_its_own_asks_for_one() -> None:
    with pytest.raises(SchemaError, match="实体识别.*需要模式"):
        schema_for(TASKS["ner"], None)
    assert schema_for(TASKS["coref"], None) == Schema(())
    assert [one.name for one in schema_for(TASKS["sentiment"], None).types] == ["正向情感", "负向情感"]


@pytest.mark.parametrize("marker", ["[CLASSIFY]", "[MULTICLASSIFY]"])
def test_the_reference_form_takes_the_mode_from_the_marker(marker: str) -> None:
    schema = ["体育", "财经"]
    (request,) = _first_requests("rex", Document(f" {marker}女排夺冠"), schema)
    assert (request.text, request.markers) == ("女排夺冠", True)
    assert request.mode == marker.strip("[]").lower()
    steps = TASKS["rex"].plan(Document(f"女排{marker}夺冠"), parse_schema(schema))
    with pytest.raises(StopIteration) as stop:
        steps.send(None)
    assert f"{marker} 不在正文开头" in stop.value.value.answers[0].notes[0]


def test_a_layout_marker_in_the_text_is_plain_text_in_the_reference_form() -> None:
    (request,) = _first_requests("rex", Document("甲[TYPE]乙"), ["人物"])
    assert not request.markers
    (request,) = _first_requests("rex", Document("甲[SEP]乙"), ["人物"])
    assert request.markers

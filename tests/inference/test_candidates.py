"""Candidates below the threshold: they change no finding, and a stored result can be seen at another threshold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest import approx

from core.config import EMBEDDED_MODEL
from core.errors import InputError
from core.inference.decoding import Fired, temper
from core.inference.documents import link_limits
from core.inference.engine import Engine, Item
from core.inference.recursion import MAX_NEAR, Limits, read
from core.model.checkpoint import load_checkpoint
from core.schemas.schema import parse_schema
from core.storage.codec import dump_candidates, load_candidates
from core.tasks import TASKS, Request, schema_for
from core.thresholds import at_threshold, chains, is_alternative, revealed
from core.types import AnnotatedDocument, Document, Span

TINY = Path(__file__).parents[1] / "fixtures" / "tiny"
NEWS = "小说家陈静1972年3月出生于杭州，毕业于浙江大学，丈夫是画家林涛。昨晚国安队以3比1战胜申花队。"
REVIEW = "酒店位置很好，房间有点小，服务太慢，前台也不回复，要求退款。"
NER = {"人物": None, "地理位置": None, "组织机构": None, "时间": None}
QUESTIONS: dict[str, tuple[Document, Any]] = {
    "ner": (Document(NEWS), NER),
    "re": (Document(NEWS), {"人物": {"出生地(地理位置)": None, "毕业院校(组织机构)": None, "配偶(人物)": None}}),
    "ee": (Document(NEWS), {"胜负(事件触发词)": {"时间": None, "胜者": None, "败者": None}}),
    "absa": (Document(REVIEW), {"属性词": {"正向情感(情感词)": None, "负向情感(情感词)": None}}),
    "atsc": (Document(REVIEW), None),
    "sentiment": (Document(REVIEW), {"正向情感": None, "负向情感": None, "中性情感": None}),
    "multilabel": (Document(REVIEW), ["物流配送", "客服态度", "退款售后", "产品质量", "房间环境"]),
    "classification": (Document(NEWS), ["体育", "财经", "娱乐", "教育"]),
    "hierarchy": (Document(NEWS), {"体育": {"足球": None, "篮球": None}, "文化": {"文学": None, "绘画": None}}),
    "matching": (Document("怎么修改密码？", text_pair="密码在哪里改？"), None),
    "nli": (Document("一个男人在弹吉他。", text_pair="有人在演奏乐器。"), None),
    "coref": (
        Document(
            "小王把伞借给了小李，因为他没带伞。", candidates=(Span(0, 2, "小王"),), pronouns=(Span(12, 13, "他"),)
        ),
        None,
    ),
    "mrc": (Document(NEWS), {"陈静出生在哪里？": None, "谁赢了？": {"国安队": None, "申花队": None}}),
}
SINGLE_LEVEL = ("ner", "sentiment", "multilabel", "classification", "matching", "nli", "mrc")


@pytest.fixture(scope="module")
def engine() -> Engine:
    if not (EMBEDDED_MODEL / "config.json").is_file():
        pytest.skip(f"no checkpoint in {EMBEDDED_MODEL}")
    return Engine(load_checkpoint(str(EMBEDDED_MODEL), device="cpu"))


@pytest.fixture(scope="module")
def tiny() -> Engine:
    return Engine(load_checkpoint(str(TINY), device="cpu"))


def ask(engine: Engine, names: Any, *, threshold: float, floor: float | None = None) -> list[AnnotatedDocument]:
    items = []
    for name in names:
        document, schema = QUESTIONS[name]
        items.append(Item(document, TASKS[name], schema_for(TASKS[name], parse_schema(schema) if schema else None)))
    found = dict(engine.annotate(items, threshold=threshold, floor=floor))
    return [found[number] for number in range(len(items))]


@pytest.fixture(scope="module")
def low(engine: Engine) -> list[AnnotatedDocument]:
    """Every question at a threshold that hides little."""
    return ask(engine, QUESTIONS, threshold=0.1, floor=0.05)


@pytest.fixture(scope="module")
def near(engine: Engine) -> list[AnnotatedDocument]:
    """Every question at a threshold that leaves many candidates."""
    return ask(engine, QUESTIONS, threshold=0.9, floor=0.05)


def bare(result: AnnotatedDocument) -> AnnotatedDocument:
    return replace(result, candidates=())


def test_candidates_change_no_finding_of_any_task(engine: Engine, near: list[AnnotatedDocument]) -> None:
    plain = ask(engine, QUESTIONS, threshold=0.9)
    assert [bare(one) for one in near] == plain
    assert not any(one.candidates for one in plain)
    assert sum(len(one.candidates) for one in near) > 20


def test_a_candidate_is_in_its_text_below_what_was_found_and_no_finding_itself(near: list[AnnotatedDocument]) -> None:
    for result in near:
        found = {tuple((a.type, a.start, a.end) for a in chain) for chain in chains(result.annotations)}
        scores = [one.annotation.score for one in result.candidates]
        for one in result.candidates:
            chain = (*one.above, one.annotation)
            assert tuple((a.type, a.start, a.end) for a in chain) not in found
            assert all(a.start is None or result.document.text[a.start : a.end] == a.text for a in chain)
            assert not any(a.children for a in chain)
            whole = tuple((a.type, a.start, a.end) for a in one.above)
            if result.task == "ner":
                assert 0.05 < one.annotation.score <= 0.9
            if result.task == "ee" and whole:
                assert whole in found, "roles are asked of events that were found"
        assert scores == sorted(scores, reverse=True) or result.task in ("atsc", "coref", "mrc")


def alike(shown: AnnotatedDocument, again: AnnotatedDocument) -> bool:
    """Equal but for what another batch does to the last digits."""

    def told(result: AnnotatedDocument) -> list[Any]:
        found = [*chains(result.annotations), *(() if result.task == "mrc" else result.paths)]
        return [[(one.type, one.start, one.end, one.text, approx(one.score, abs=1e-4)) for one in way] for way in found]

    return told(shown) == told(again)


@pytest.mark.parametrize("threshold", [0.3, 0.9])
def test_a_single_level_result_at_a_higher_threshold_is_what_a_run_with_it_gives(
    engine: Engine, low: list[AnnotatedDocument], threshold: float
) -> None:
    stored = [one for one in low if one.task in SINGLE_LEVEL]
    for one, again in zip(stored, ask(engine, SINGLE_LEVEL, threshold=threshold), strict=True):
        assert alike(at_threshold(one, threshold), again), one.task


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.sampled_from(["陈静", "杭州", "😀", " ", "浙江大学", "\n", "𠮷", "，", "2024年"]), min_size=1, max_size=8
    ),
    st.sampled_from([0.3, 0.5, 0.52, 0.6]),
)
def test_any_text_at_a_higher_threshold_is_what_a_run_with_it_gives(
    tiny: Engine, parts: list[str], threshold: float
) -> None:
    text = "".join(parts)
    if not text.strip():
        return
    item = Item(Document(text), TASKS["ner"], parse_schema(NER))
    ((_, stored),) = tiny.annotate([item], threshold=0.2, floor=0.1)
    ((_, again),) = tiny.annotate([item], threshold=threshold)
    if not stored.notes:  # more spans than are kept
        assert at_threshold(stored, threshold).annotations == again.annotations


def test_what_falls_below_a_raised_threshold_is_among_the_candidates(low: list[AnnotatedDocument]) -> None:
    (stored,) = [one for one in low if one.task == "absa"]
    top = max(one.score for one in stored.annotations)
    shown = at_threshold(stored, top)
    assert shown.annotations == () and shown.paths == ()
    assert {one.annotation.text for one in shown.candidates} >= {one.text for one in stored.annotations}
    assert at_threshold(stored, 0.05) is stored


def test_a_subject_stands_only_with_a_relation_and_an_event_alone(low: list[AnnotatedDocument]) -> None:
    relations, events = (one for one in low if one.task in ("re", "ee"))
    for result in (relations, events):
        assert any(one.children for one in result.annotations)
    weakest = max(child.score for one in relations.annotations for child in one.children)
    assert at_threshold(relations, weakest).annotations == ()
    roles = max(child.score for one in events.annotations for child in one.children)
    if events.annotations[0].score > roles:
        assert [one.children for one in at_threshold(events, roles).annotations] == [()]


def test_a_lower_threshold_reveals_candidates_but_no_other_answer_of_a_choice(near: list[AnnotatedDocument]) -> None:
    opinions, sentiment = (one for one in near if one.task in ("absa", "sentiment"))
    shown = revealed(opinions, 0.2, asked=0.9)
    assert shown and all(0.2 < one.annotation.score <= 0.9 for one in shown)
    assert sentiment.candidates and revealed(sentiment, 0.0, asked=0.99) == ()
    assert all(is_alternative("sentiment", one) for one in sentiment.candidates)


def test_a_text_that_fires_without_end_keeps_few_candidates_and_the_best_of_every_type(tiny: Engine) -> None:
    limits = Limits(threshold=0.5, floor=0.05)
    reader = read(Request("字" * 40, parse_schema(["人物", "时间"])), tiny.pieces, limits)
    (prompt,) = reader.send(None)  # type: ignore[arg-type]
    heads, tails = (prompt.text_start + one for one in np.triu_indices(30))
    markers = np.zeros(len(heads), int)
    markers[7] = 1
    scores = np.linspace(0.4, 0.3, len(heads))
    scores[7] = 0.1
    with pytest.raises(StopIteration) as stop:
        reader.send([Fired(heads, tails, markers, np.stack([scores] * 3, axis=-1), None)])
    answer = stop.value.value
    assert answer.paths == () and answer.notes == () and len(answer.near) == MAX_NEAR
    assert {path[0].type for path in answer.near} == {"人物", "时间"}


def test_candidates_come_back_from_storage_as_they_were(near: list[AnnotatedDocument]) -> None:
    for result in near:
        assert load_candidates(dump_candidates(result.candidates)) == result.candidates


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 8.0])
def test_neither_a_link_nor_its_score_is_below_the_floor(temperature: float) -> None:
    held = link_limits(Limits(threshold=0.5, floor=0.05), temperature)
    assert held.floor is not None and held.floor >= 0.05
    assert float(temper(np.array(held.floor), temperature)) >= 0.05 - 1e-12


def test_a_floor_outside_of_zero_to_one_is_refused(tiny: Engine) -> None:
    item = Item(Document("陈静"), TASKS["ner"], parse_schema(NER))
    with pytest.raises(InputError, match="下限"):
        list(tiny.annotate([item], floor=1.0))

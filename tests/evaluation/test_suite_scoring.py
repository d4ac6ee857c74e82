"""What each task of the suite is judged by, on answers whose figures can be counted by hand."""

from __future__ import annotations

from typing import Any

import pytest

from core.evaluation.evaluate import GoldRecord, to_record
from core.evaluation.metrics import Paths, complete, of_types
from core.evaluation.reading import exact_match, overlap_f1
from core.evaluation.scoring import ACCURACY, EXACT, F1, as_labelled, confidence_error, measure, predictions
from core.schemas.schema import parse_schema
from core.tasks import CLASSIFY, EXTRACT, MULTICLASSIFY
from core.types import Document, Link

RELATIONS = {"人物": {"出生地": None, "母校": None}, "时间": None}
BORN = (("人物", "陈静", 0, 2), ("出生地", "杭州", 5, 7))
ALONE = (("人物", "陈静", 0, 2),)
YEAR = (("时间", "1972", 8, 12),)


def _record(task: str, gold: Paths, *, schema: Any = RELATIONS, text: str = "正文") -> GoldRecord:
    return GoldRecord(text, parse_schema(schema), gold, task, source="甲集")


def _path(*links: tuple[str, str, int, int], score: float) -> tuple[Link, ...]:
    return tuple(Link(kind, start, end, text, score, score) for kind, text, start, end in links)


def test_paths_that_stop_above_a_leaf_are_not_complete() -> None:
    schema = parse_schema(RELATIONS)
    assert complete(frozenset({BORN, ALONE, YEAR}), schema) == {BORN, YEAR}
    assert complete(frozenset({(("生日", "1972", 8, 12),)}), schema) == frozenset()


@pytest.mark.parametrize("task", ["ner", "re", "ee", "absa"])
def test_extraction_counts_whole_paths_on_both_sides(task: str) -> None:
    wrong = (BORN[0], ("母校", "杭州", 5, 7))
    records = [_record(task, frozenset({BORN, ALONE})), _record(task, frozenset({YEAR, ALONE}))]
    figures = measure(task, records, found=[frozenset({BORN, wrong}), frozenset({ALONE})])
    assert figures.metric == F1
    assert (figures.scores.gold, figures.scores.predicted, figures.scores.correct) == (2, 2, 1)
    assert figures.value == pytest.approx(0.5)


def test_without_offsets_a_moved_span_is_right() -> None:
    moved = (BORN[0], ("出生地", "杭州", 9, 11))
    figures = measure("re", [_record("re", frozenset({BORN}))], found=[frozenset({moved})])
    assert (figures.value, figures.loose_f1) == (0.0, 1.0)


def test_only_the_types_that_are_asked_for_are_scored() -> None:
    records = [_record("ner", frozenset({YEAR, BORN}))]
    everything = measure("ner", records, found=[frozenset({YEAR})])
    years = measure("ner", records, found=[frozenset({YEAR, BORN})], types={"时间"})
    assert everything.value == pytest.approx(2 / 3)
    assert (years.value, years.scores.gold, years.scores.predicted) == (1.0, 1, 1)
    assert of_types(frozenset({YEAR, BORN}), None) == {YEAR, BORN}


@pytest.mark.parametrize(
    "task", ["classification", "sentiment", "nli", "matching", "coref", "atsc", "choice", "hierarchy"]
)
def test_classes_are_judged_by_records_that_are_wholly_right(task: str) -> None:
    marker = ("[CLASSIFY]", 0, 10)
    a, b = ((("上", *marker), (name, *marker)) for name in "甲乙")
    records = [_record(task, gold, schema={"上": {"甲": None, "乙": None}}) for gold in ({a}, {a, b}, {b})]  # type: ignore[arg-type]
    figures = measure(task, records, found=[frozenset({a}), frozenset({a}), frozenset({b})])
    assert (figures.metric, figures.value) == (ACCURACY, pytest.approx(2 / 3))


def test_several_labels_are_judged_by_micro_f1() -> None:
    marker = ("[MULTICLASSIFY]", 0, 15)
    a, b = (((name, *marker),) for name in "甲乙")
    schema = {"甲": None, "乙": None}
    records = [_record("multilabel", gold, schema=schema) for gold in (frozenset({a, b}), frozenset[Any]())]
    figures = measure("multilabel", records, found=[frozenset({a}), frozenset({b})])
    assert (figures.metric, figures.value) == (F1, pytest.approx(0.5))


def test_reading_is_judged_by_exact_match_and_overlap_of_the_surest_answer() -> None:
    question = "出生于哪里？"
    schema = {question: None}
    gold = frozenset({((question, "浙江杭州", 5, 9),)})
    short, sure = (question, "杭州", 7, 9), (question, "浙江杭州。", 5, 10)
    records = [_record("mrc", gold, schema=schema)] * 2 + [_record("mrc", frozenset(), schema=schema)] * 2
    found = [
        predictions("mrc", [_path(sure, score=0.9), _path(short, score=0.6)]),
        predictions("mrc", [_path(sure, score=0.6), _path(short, score=0.9)]),
        predictions("mrc", []),
        predictions("mrc", [_path(short, score=0.9)]),
    ]
    assert found[0] == {(sure,)}
    figures = measure("mrc", records, found=found)
    assert figures.metric == EXACT
    assert figures.value == pytest.approx((1 + 0 + 1 + 0) / 4)
    assert figures.second == pytest.approx((1 + 2 / 3 + 1 + 0) / 4)


@pytest.mark.parametrize(
    ("answer", "gold", "exact", "overlap"),
    [
        ("《红楼梦》", ["红楼梦"], 1.0, 1.0),
        ("HTTP 协议", ["http协议"], 1.0, 1.0),
        ("3.5", ["35"], 0.0, 0.0),
        ("北京大学", ["北京市"], 0.0, 4 / 7),
        ("一二三四五", ["一二九四五六"], 0.0, 4 / 11),  # runs are contiguous: 一二 or 四五
        ("清华", ["北京大学", "清华大学"], 0.0, 4 / 6),  # the best gold answer counts
        ("Nexon公司", ["Nexon"], 0.0, 2 / 4),  # a Latin word is one unit
        ("错", ["对"], 0.0, 0.0),
        ("。", ["对"], 0.0, 0.0),
        (None, ["对"], 0.0, 0.0),
        (None, [], 1.0, 1.0),
        ("对", [], 0.0, 0.0),
    ],
)
def test_answers_are_compared_without_punctuation(
    answer: str | None, gold: list[str], exact: float, overlap: float
) -> None:
    assert exact_match(answer, gold) == exact
    assert overlap_f1(answer, gold) == pytest.approx(overlap)


def test_the_confidence_of_a_path_is_its_weakest_link_and_unfinished_paths_do_not_count() -> None:
    weak = (*_path(BORN[0], score=0.9), *_path(BORN[1], score=0.6))
    found = [[weak, _path(*ALONE, score=0.99)]]
    assert confidence_error("re", [_record("re", frozenset({BORN, ALONE}))], found=found) == pytest.approx(0.4)
    assert confidence_error("re", [_record("re", frozenset())], found=found) == pytest.approx(0.6)
    assert confidence_error("re", [_record("re", frozenset({BORN}))], found=[[]]) is None


@pytest.mark.parametrize(
    ("task", "text", "mode", "body", "reduce", "incomplete"),
    [
        ("ner", "陈静", EXTRACT, "陈静", False, False),
        ("ee", "陈静", EXTRACT, "陈静", False, True),
        ("sentiment", "[CLASSIFY]好", CLASSIFY, "好", True, False),
        ("multilabel", "[MULTICLASSIFY]好", MULTICLASSIFY, "好", False, False),
        ("hierarchy", "[MULTICLASSIFY]好", MULTICLASSIFY, "好", True, False),
    ],
)
def test_records_are_asked_as_the_product_asks(
    task: str, text: str, mode: str, body: str, reduce: bool, incomplete: bool
) -> None:
    asked = as_labelled(task)
    (request,) = next(asked.plan(Document(text), parse_schema(RELATIONS)))
    assert asked.name == task
    assert (request.text, request.mode, request.reduce, request.incomplete) == (body, mode, reduce, incomplete)
    assert not request.markers


def test_a_row_keeps_its_set_and_task() -> None:
    row = {"text": "陈静", "info_list": [], "schema": {"人物": None}, "task": "ner", "source": "cluener"}
    record = to_record(row)
    assert (record.group, record.source) == ("ner", "cluener")

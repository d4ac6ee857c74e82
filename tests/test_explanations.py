"""Why nothing was found: the nearest candidates of each type, hints on wording, remarks on the text."""

from __future__ import annotations

import pytest

from core.explanations import below, explain
from core.schemas.lint import lint_schema, schema_hints
from core.schemas.schema import parse_schema
from core.types import AnnotatedDocument, Annotation, Candidate, Document

TEXT = "姚明曾效力于休斯敦火箭队，现任中国篮球协会主席。"


def near(name: str, word: str, score: float, *above: Annotation) -> Candidate:
    start = TEXT.index(word)
    return Candidate(Annotation(name, start, start + len(word), word, score), above)


def test_types_without_findings_are_told_with_their_best_candidates_first() -> None:
    some = [near("人名", "休斯敦", 0.06), near("人名", "姚明", 0.4), near("机构", "火箭队", 0.45)]
    result = AnnotatedDocument(Document(TEXT), "ner", (Annotation("职务", 0, 2, "姚明", 0.9),), candidates=tuple(some))
    why = explain(result, parse_schema(["人名", "机构", "职务", "时间"]), threshold=0.5)
    assert why is not None
    assert [one.path for one in why.missing] == [("机构",), ("人名",), ("时间",)]
    assert [one.annotation.text for one in why.missing[1].best] == ["姚明", "休斯敦"]
    assert [hint.better for hint in why.missing[1].hints] == ["人物"]
    assert not any(one.alone for one in why.missing)


def test_a_subject_found_alone_is_told_and_its_relations_too() -> None:
    subject = Annotation("人物", 0, 2, "姚明", 0.98)
    result = AnnotatedDocument(
        Document(TEXT), "re", (), candidates=(Candidate(subject), near("职务", "主席", 0.3, subject))
    )
    why = explain(result, parse_schema({"人物": {"职务": None, "配偶": None}, "组织": {"地点": None}}), threshold=0.5)
    assert why is not None
    told = {one.path: (one.alone, len(one.best)) for one in why.missing}
    assert told == {
        ("人物",): (True, 1),
        ("人物", "职务"): (False, 1),
        ("人物", "配偶"): (False, 0),
        ("组织",): (False, 0),
    }


def test_nothing_is_explained_where_all_was_found_or_an_answer_is_always_given() -> None:
    found = (Annotation("人物", 0, 2, "姚明", 0.9),)
    assert explain(AnnotatedDocument(Document(TEXT), "ner", found), parse_schema(["人物"]), threshold=0.5) is None
    assert explain(AnnotatedDocument(Document(TEXT), "sentiment", ()), parse_schema(["正"]), threshold=0.5) is None
    failed = AnnotatedDocument(Document(TEXT), "ner", (), error="坏了")
    assert explain(failed, parse_schema(["人物"]), threshold=0.5) is None


@pytest.mark.parametrize(
    ("text", "windows", "said"),
    [("姚明。", 1, "只有 3 个字"), ("Yao Ming plays basketball.", 1, "汉字很少"), (TEXT, 9, "9 个窗口")],
)
def test_texts_that_say_little_are_remarked_on(text: str, windows: int, said: str) -> None:
    why = explain(AnnotatedDocument(Document(text), "ner", (), windows), parse_schema(["人物"]), threshold=0.5)
    assert why is not None and said in "".join(why.remarks)


def test_a_hint_names_its_type_and_the_better_word() -> None:
    schema = parse_schema({"person": None, "地名": None, "人物": None, " 人物": None})
    hints = {(hint.path, hint.better) for hint in schema_hints(schema, "ner") if hint.path}
    assert {(("person",), "人物"), (("地名",), "地理位置"), ((" 人物",), "人物")} <= hints
    assert len(lint_schema(schema, "ner")) == len({hint.text for hint in schema_hints(schema, "ner")})


@pytest.mark.parametrize(
    ("score", "threshold"), [(0.372, 0.37), (0.37, 0.36), (0.05, 0.04), (0.999, 0.99), (0.3, 0.29)]
)
def test_the_threshold_to_lower_to_is_just_below_the_score(score: float, threshold: float) -> None:
    assert below(score) == threshold < score

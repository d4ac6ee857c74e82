"""Evaluation: known scores for known answers, faults named by line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.errors import FormatError
from core.evaluation.evaluate import evaluate, read_records
from core.evaluation.known_answers import verify
from core.evaluation.metrics import score
from core.inference.engine import Engine, Item
from core.model.checkpoint import load_checkpoint
from core.schemas.schema import parse_schema
from core.tasks import TASKS
from core.types import Document

TINY = Path(__file__).parents[1] / "fixtures" / "tiny"
SENTENCE = "小说家陈静1972年3月出生于杭州，毕业于浙江大学，丈夫是画家林涛。"
NER = {"人物": None, "地理位置": None, "组织机构": None}
A, B, C = ((("人物", name, 0, 2),) for name in ("甲", "乙", "丙"))


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(load_checkpoint(str(TINY), device="cpu"))


def _write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return path


def _info(name: str, text: str, start: int) -> list[dict[str, Any]]:
    return [{"type": name, "span": text, "offset": [start, start + len(text)]}]


def test_scores_are_micro_averages_over_documents() -> None:
    result = score(
        [(frozenset({A, B}), frozenset({A, C})), (frozenset({B}), frozenset({B})), (frozenset(), frozenset())]
    )
    assert (result.documents, result.gold, result.predicted, result.correct, result.exact) == (3, 3, 3, 2, 2)
    assert result.precision == result.recall == result.f1 == pytest.approx(2 / 3)
    assert result.accuracy == pytest.approx(2 / 3)


def test_nothing_found_and_nothing_asked_divide_by_nothing() -> None:
    for pairs in ([], [(frozenset(), frozenset())]):
        result = score(pairs)
        assert (result.precision, result.recall, result.f1) == (0.0, 0.0, 0.0)


def test_a_path_counts_only_when_every_link_is_equal() -> None:
    gold = (("人物", "甲", 0, 1), ("配偶", "乙", 2, 3))
    moved = (("人物", "甲", 0, 1), ("配偶", "乙", 4, 5))
    assert score([(frozenset({gold}), frozenset({moved}))]).f1 == 0.0
    assert score([(frozenset({gold}), frozenset({gold}))]).f1 == 1.0


def test_the_scores_of_a_file_follow_from_its_gold_paths(engine: Engine, tmp_path: Path) -> None:
    # The checkpoint finds exactly 陈静, 杭州 and 浙江大学 in the sentence (asserted first).
    ((_, result),) = engine.annotate([Item(Document(SENTENCE), TASKS["ner"], parse_schema(NER))])
    found = {(one.type, one.text, one.start) for one in result.annotations}
    assert found == {("人物", "陈静", 3), ("地理位置", "杭州", 15), ("组织机构", "浙江大学", 21)}
    right = [_info(*one) for one in sorted(found)]
    other = [*right[:2], _info("人物", "林涛", 31), _info("人物", "小说家", 0)]
    file = _write(
        tmp_path / "gold.jsonl",
        [
            {"text": SENTENCE, "info_list": right, "schema": NER, "task": "甲"},
            {"text": SENTENCE, "info_list": other, "schema": NER, "task": "乙"},
        ],
    )
    report = evaluate(engine, file).to_dict()
    assert (report["documents"], report["precision"], report["recall"]) == (2, round(5 / 6, 4), round(5 / 7, 4))
    assert report["f1"] == round(10 / 13, 4)
    assert "accuracy" not in report  # not a file of classes
    assert report["tasks"]["甲"] | {"documents": 1, "f1": 1.0, "accuracy": 1.0} == report["tasks"]["甲"]
    assert report["tasks"]["乙"]["f1"] == round(4 / 7, 4)
    assert report["tasks"]["乙"]["accuracy"] == 0.0
    assert report["documents_per_s"] > 0


def test_a_file_of_classes_has_an_accuracy(engine: Engine, tmp_path: Path) -> None:
    text = "[CLASSIFY]段落1：怎么更改手机号码；段落2：手机号码如何更改"
    schema = {"文本匹配：相似": None, "文本匹配：不相似": None}
    rows = [
        {"text": text, "schema": schema, "info_list": [_info(name, "[CLASSIFY]", 0)]}
        for name in (*schema, "文本匹配：相似", "文本匹配：相似")
    ]
    report = evaluate(engine, _write(tmp_path / "gold.jsonl", rows)).to_dict()
    assert report["accuracy"] == 0.75
    assert report["f1"] == 0.75


def test_a_schema_left_out_follows_from_the_gold_paths(tmp_path: Path) -> None:
    info = [_info("人物", "陈静", 3) + _info("出生地", "杭州", 15), _info("人物", "陈静", 3)]
    (record,) = read_records(_write(tmp_path / "gold.jsonl", [{"text": SENTENCE, "info_list": info}]))
    assert record.schema.to_dict() == {"人物": {"出生地": None}}
    assert record.group == "all"
    assert not record.is_class


def test_a_line_separator_inside_a_text_does_not_end_the_line(tmp_path: Path) -> None:
    file = tmp_path / "gold.jsonl"
    row = {"text": "陈\u2028静\x85", "info_list": [], "schema": {"人物": None}}
    file.write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    assert [record.text for record in read_records(file)] == ["陈\u2028静\x85"]


def test_every_line_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    file = tmp_path / "gold.jsonl"
    file.write_text(
        "\n".join(
            [
                '{"text": "甲", "info_list": [], "schema": {"人物": null}}',
                "{",
                '{"text": "甲", "schema": {"人物": null}}',
                "",
                '{"text": "甲", "info_list": [], "schema": {"": null}}',
            ]
        ),
        encoding="utf-8",
    )
    with pytest.raises(FormatError) as caught:
        read_records(file)
    message = str(caught.value)
    assert "3 行无法使用" in message
    assert all(f"第 {number} 行" in message for number in (2, 3, 5))
    assert "info_list" in message


@pytest.mark.parametrize("content", [None, "", "\n\n"])
def test_a_missing_or_empty_file_is_named(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "gold.jsonl"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(FormatError, match=r"gold\.jsonl"):
        read_records(file)


def test_known_answers_hold_or_say_what_was_found(engine: Engine, tmp_path: Path) -> None:
    right = [_info("人物", "陈静", 3), _info("地理位置", "杭州", 15), _info("组织机构", "浙江大学", 21)]
    case = {"api": "prediction_step", "text": SENTENCE, "schema": NER}
    ids = engine.pieces.tokenizer
    piece = engine.pieces.type("人物").tolist()
    sequence = [ids.cls_id, ids.prefix_id, *piece, ids.sep_id]
    known = {
        "cases": [case | {"output": right}, case | {"output": right[:2]}],
        "tokens": [
            {"prompt": "[PREFIX][TYPE]人物", "input_ids": sequence, "position_ids": [0, 1, 2, 3, 4, 5]},
            {"prompt": "[PREFIX][TYPE]人物", "input_ids": [*sequence[:-2], 5, sequence[-1]]},
        ],
    }
    file = tmp_path / "answers.json"
    file.write_text(json.dumps(known), encoding="utf-8")
    checks = verify(engine, file)
    assert [check.holds for check in checks] == [True, False, True, False]
    assert "浙江大学" in checks[1].detail
    assert str(sequence) in checks[3].detail


def test_a_broken_file_of_known_answers_is_named(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "answers.json"
    file.write_text("[1]", encoding="utf-8")
    with pytest.raises(FormatError, match=r"answers\.json"):
        verify(engine, file)

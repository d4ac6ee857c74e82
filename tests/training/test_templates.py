"""Records made from sentence patterns and invented names."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from core.errors import FormatError
from core.training.converters.record import Record
from core.training.heldout import normalised_sha1
from core.training.licences import licence_of
from core.training.samples import read_record
from core.training.template_names import Names, choose_words, fill
from core.training.templates import SHARES, load_templates, make_records, write

FILE = Path("data/training/templates.json")
COUNT = 800


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    return load_templates(FILE)


@pytest.fixture(scope="module")
def records(data: dict[str, Any]) -> list[Record]:
    return list(make_records(data, count=COUNT, seed=5))


def rows(record: Record) -> dict[str, Any]:
    return {"text": record.text, "info_list": record.info_list, "schema": record.schema, "task": record.task}


def test_every_span_is_the_text_at_its_offset_and_every_path_is_in_the_schema(records: list[Record]) -> None:
    for record in records:
        assert read_record(rows(record)).text
        for item in (item for path in record.info_list for item in path):
            start, end = item["offset"]
            assert record.text[start:end] == item["span"]


def test_the_tasks_have_their_shares(records: list[Record]) -> None:
    assert Counter(record.task for record in records) == {task: round(COUNT * share) for task, share in SHARES.items()}


def test_no_slot_or_choice_is_left_in_a_text(records: list[Record]) -> None:
    for record in records:
        assert not set(record.key) & set("{}[]<>|"), record.text


@pytest.mark.parametrize(
    ("task", "head", "role", "other"),
    [("ee", "胜负(事件触发词)", "胜者", "败者"), ("ee", "收购(事件触发词)", "收购方", "被收购方")],
)
def test_either_role_comes_first_in_the_text(data: dict[str, Any], task: str, head: str, role: str, other: str) -> None:
    orders: Counter[bool] = Counter()
    for record in make_records(data, count=4000, seed=2):
        if record.task != task:
            continue
        places: dict[Any, dict[str, int]] = {}
        for path in record.info_list:
            if len(path) == 2 and path[0]["type"] == head:
                places.setdefault(tuple(path[0]["offset"]), {})[path[1]["type"]] = path[1]["offset"][0]
        orders.update(found[role] < found[other] for found in places.values() if {role, other} <= set(found))
    assert min(orders[True], orders[False]) >= 2


def test_subjects_stand_before_and_behind_their_objects_and_some_have_none(records: list[Record]) -> None:
    relations = [record for record in records if record.task == "re"]
    orders: Counter[bool] = Counter()
    alone = 0
    for record in relations:
        linked = {tuple(path[0]["offset"]) for path in record.info_list if len(path) == 2}
        orders.update(path[0]["offset"] < path[1]["offset"] for path in record.info_list if len(path) == 2)
        alone += any(len(path) == 1 and tuple(path[0]["offset"]) not in linked for path in record.info_list)
        assert all(path[0]["span"] != path[1]["span"] for path in record.info_list if len(path) == 2), record.text
    assert min(orders.values()) > 0.2 * sum(orders.values())
    assert alone > 0.2 * len(relations)


def test_a_pronoun_stands_for_either_name_equally_often(data: dict[str, Any]) -> None:
    answers = Counter(
        record.info_list[0][0]["type"][-2:]
        for record in make_records(data, count=5000, seed=4)
        if record.task == "coref"
    )
    assert 0.45 < answers["是的"] / sum(answers.values()) < 0.55


def test_a_seed_makes_the_same_records_and_another_seed_others(data: dict[str, Any], records: list[Record]) -> None:
    assert list(make_records(data, count=COUNT, seed=5)) == records
    assert {r.text for r in make_records(data, count=200, seed=6)}.isdisjoint(r.text for r in records if r.task == "re")


def test_held_out_texts_are_dropped(data: dict[str, Any], records: list[Record]) -> None:
    hidden = frozenset(normalised_sha1(record.key) for record in records[:50])
    made = list(make_records(data, count=COUNT, seed=5, heldout=hidden))
    assert hidden.isdisjoint(normalised_sha1(record.key) for record in made)
    assert len(made) == len(records)


def test_the_files_hold_every_record_once(tmp_path: Path) -> None:
    counts = write(FILE, tmp_path, heldout=frozenset(), count=400, seed=3)
    lines = [
        json.loads(line)
        for side in ("train", "dev")
        for line in (tmp_path / f"templates.{side}.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert len(lines) == len({row["id"] for row in lines}) == counts["train"] + counts["dev"] == 400
    assert {row["source"] for row in lines} == {"templates"}
    found = licence_of("templates.train")
    assert found and found.licence_class == "permissive"


def test_there_are_tens_of_thousands_of_names(data: dict[str, Any]) -> None:
    rng = random.Random(1)
    for kind in ("p", "company"):
        assert len({Names(data["forms"], rng).new(kind) for _ in range(12_000)}) > 10_000


def test_a_list_of_works_has_title_marks_around_each() -> None:
    text, slots = fill("《{a+}》", lambda slot: ["甲", "乙"], random.Random(0))
    assert text.startswith("《甲》") and text.endswith("《乙》")
    assert [text[slot.start : slot.end] for slot in slots] == ["甲", "乙"]


def test_choices_and_optional_parts_are_resolved() -> None:
    made = {choose_words("[今天，]{a}(买|卖)了{b}", random.Random(seed)) for seed in range(40)}
    assert made == {"{a}买了{b}", "{a}卖了{b}", "今天，{a}买了{b}", "今天，{a}卖了{b}"}


def test_a_relation_pattern_without_its_object_is_refused(tmp_path: Path) -> None:
    broken = {"kinds": {}, "relations": [{"a": "p", "b": "p", "ab": ["同学"], "clauses": ["{a}来了"]}]}
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(broken, ensure_ascii=False), encoding="utf-8")
    with pytest.raises(FormatError, match="来了"):
        load_templates(path)

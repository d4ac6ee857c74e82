"""The fixed list of development records: chosen by hash, found again, and nothing else taken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.errors import FormatError, InputError
from core.evaluation import suite
from core.evaluation.suite import choose, fix, gather, load_suite, main, named_in, record_hash
from core.training.converters.registry import CONVERTERS

NER = {"人物": None, "地理位置": None}
POLARITY = {"正向情感": None, "负向情感": None}


def _row(text: str, *, task: str = "ner", source: str = "甲集", schema: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"text": text, "info_list": [], "schema": schema or NER, "task": task, "source": source}


def _write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def converted(tmp_path: Path) -> Path:
    """Two converted sets: one of two tasks, one with a training file."""
    directory = tmp_path / "converted"
    reviews = [_row(f"[CLASSIFY]房间{n}", task="sentiment", schema=POLARITY) for n in range(3)]
    _write(directory / "甲集.dev.jsonl", [_row(f"第{n}句。") for n in range(7)] + reviews)
    _write(directory / "乙集.dev.jsonl", [_row(f"另{n}句。", source="乙集") for n in range(2)])
    _write(directory / "乙集.train.jsonl", [_row("练习。", source="乙集")])
    return directory


def _suite(content: dict[str, Any]) -> dict[tuple[str, str], list[str]]:
    return {(name, task): every.split() for name, tasks in content["sets"].items() for task, every in tasks.items()}


def test_a_hash_is_of_task_text_and_schema_and_of_nothing_else() -> None:
    row = _row("他在 上海。")
    same = row | {"source": "乙集", "info_list": [[{"type": "人物", "span": "他", "offset": [0, 1]}]]}
    same |= {"text": "他在上海。", "schema": {"地理位置": None, "人物": None}}
    assert record_hash(same) == record_hash(row)
    assert len(record_hash(row)) == 12
    others = [row | {"task": "re"}, row | {"text": "她在上海。"}, row | {"schema": {"人物": None}}]
    assert len({record_hash(one) for one in [row, *others]}) == 4


def test_a_list_holds_the_smallest_hashes_of_each_set_and_task_and_no_texts(converted: Path) -> None:
    content = fix(converted, most=4)
    chosen = _suite(content)
    assert {key: len(hashes) for key, hashes in chosen.items()} == {
        ("甲集", "ner"): 4,
        ("甲集", "sentiment"): 3,
        ("乙集", "ner"): 2,
    }
    every = sorted(record_hash(_row(f"第{n}句。")) for n in range(7))
    assert chosen["甲集", "ner"] == every[:4]
    assert "句" not in json.dumps(content, ensure_ascii=False)


def test_fixed_records_are_found_in_their_order_and_others_are_left(converted: Path) -> None:
    chosen = _suite(fix(converted, most=4))
    parts = {(part.source, part.task): part for part in gather(converted, chosen)}
    assert parts.keys() == chosen.keys()
    for key, part in parts.items():
        found = [record_hash(_row(r.text, task=r.group, schema=r.schema.to_dict())) for r in part.records]
        assert found == chosen[key]
        assert (part.wanted, part.missing) == (len(found), 0)
        assert {(record.source, record.group) for record in part.records} == {key}
    assert parts["乙集", "ner"].train == converted / "乙集.train.jsonl"
    assert parts["甲集", "ner"].train is None


def test_records_that_are_not_there_are_counted(converted: Path) -> None:
    chosen = _suite(fix(converted, most=4))
    lines = (converted / "甲集.dev.jsonl").read_text("utf-8").splitlines()
    gone = chosen["甲集", "ner"][1]
    kept = [json.loads(line) for line in lines if record_hash(json.loads(line)) != gone]
    _write(converted / "甲集.dev.jsonl", kept)
    (converted / "乙集.dev.jsonl").unlink()
    parts = {(part.source, part.task): part for part in gather(converted, chosen)}
    assert {key: (len(part.records), part.missing) for key, part in parts.items()} == {
        ("甲集", "ner"): (3, 1),
        ("甲集", "sentiment"): (3, 0),
        ("乙集", "ner"): (0, 2),
    }


def test_published_sets_give_the_records_that_their_converted_form_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = tmp_path / "published"
    row = {"text": "叶老桂在上海", "entity_list": []}
    entity = {"entity_index": {"begin": 0, "end": 3}, "entity_type": "name", "entity": "叶老桂"}
    _write(published / "cluener" / "train.txt", [])
    _write(published / "cluener" / "dev.txt", [row | {"entity_list": [entity]}, row | {"text": "彭小军认为"}])
    monkeypatch.setattr(suite, "CONVERTERS", {"cluener": CONVERTERS["cluener"]})
    found = list(CONVERTERS["cluener"].function(published / "cluener", suite.Tally()))
    converted = tmp_path / "converted"
    fields = ("text", "info_list", "schema", "task", "source")
    _write(converted / "cluener.dev.jsonl", [{name: getattr(one, name) for name in fields} for one in found])
    chosen = _suite(fix(converted))
    (first,), (second,) = gather(converted, chosen), gather(published, chosen)
    assert first.records == second.records
    assert sorted(len(record.gold) for record in second.records) == [0, 1]
    assert second.train is None


def test_a_directory_of_neither_kind_is_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=str(tmp_path)):
        list(gather(tmp_path, {("甲集", "ner"): ["0"]}))
    with pytest.raises(FormatError, match=str(tmp_path)):
        fix(tmp_path)


def test_a_damaged_line_is_named(converted: Path) -> None:
    with (converted / "乙集.dev.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"text": "没有模式"}\n')
    with pytest.raises(FormatError, match=r"乙集\.dev\.jsonl 第 3 行"):
        list(gather(converted, {("乙集", "ner"): []}))
    row = _row("没有位置") | {"info_list": [[{"type": "人物", "span": "没"}]]}
    _write(converted / "甲集.dev.jsonl", [row])
    with pytest.raises(FormatError, match=f"甲集 的记录 {record_hash(row)}"):
        list(gather(converted, {("甲集", "ner"): [record_hash(row)]}))


def test_a_suite_is_cut_to_names_and_rows() -> None:
    whole = {("甲集", "ner"): ["1", "2"], ("甲集", "re"): ["3"], ("乙集", "ner"): ["4", "5"]}
    assert choose(whole) == whole
    assert choose(whole, rows=1) == {("甲集", "ner"): ["1"], ("甲集", "re"): ["3"], ("乙集", "ner"): ["4"]}
    assert choose(whole, only=["re", "乙集"]).keys() == {("甲集", "re"), ("乙集", "ner")}
    assert named_in(whole, ["ner"]) == {("甲集", "ner"), ("乙集", "ner")}
    with pytest.raises(InputError, match="丙集"):
        choose(whole, only=["ner", "丙集"])


def test_the_list_that_ships_names_known_sets_and_their_tasks() -> None:
    whole = load_suite("dev")
    assert {source for source, _ in whole} == set(CONVERTERS)
    for (source, task), hashes in whole.items():
        assert task in CONVERTERS[source].tasks
        assert 0 < len(hashes) <= suite.MOST
        assert list(hashes) == sorted(set(hashes))
        assert all(len(one) == 12 and int(one, 16) >= 0 for one in hashes)


def test_an_unknown_or_damaged_list_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "SUITES", tmp_path)
    (tmp_path / "dev.json").write_text('{"sets": []}', encoding="utf-8")
    with pytest.raises(FormatError, match=r"dev\.json"):
        load_suite("dev")
    with pytest.raises(InputError, match="可选 dev"):
        load_suite("别的")


def test_the_command_writes_a_list_once_and_never_over_another(converted: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "dev.json"
    arguments = ["--converted", str(converted), "--out", str(target), "--most", "2"]
    main(arguments)
    assert json.loads(target.read_text("utf-8")) == fix(converted, most=2)
    before = target.read_bytes()
    with pytest.raises(SystemExit, match="已存在"):
        main([*arguments[:-1], "3"])
    assert target.read_bytes() == before
    with pytest.raises(SystemExit, match="没有"):
        main(["--converted", str(tmp_path / "new"), "--out", str(tmp_path / "other.json")])

"""Entity types found in raw text by word lists and exact patterns."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from core.errors import InputError
from core.training.gazetteers import find_kinds, load_lists
from core.training.heldout import normalised_sha1
from core.training.patterns import PATTERNS
from core.training.weak import LONGEST, SHORTEST, write_weak

PLACES = ["北京", "上海", "天津", "重庆"]
FRUIT = ["香蕉", "草莓", "樱桃", "芒果", "菠萝", "荔枝"]


def spans(text: str) -> dict[str, list[str]]:
    """The first name of each type that is in no doubt, with its words."""
    lists = load_lists()
    found, doubtful = find_kinds(text, lists)
    return {
        lists.kinds[kind].names[0]: [text[start:end] for start, end in marks]
        for kind, marks in found.items()
        if kind not in doubtful
    }


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Two hundred paragraphs, each with a place, a fruit and an amount."""
    lines = [
        f"第{number}位客人从{PLACES[number % 4]}打来电话问起{FRUIT[number % 6]}的价钱，回答是{number + 3}元。"
        for number in range(200)
    ]
    path = tmp_path / "shop.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def heldout(tmp_path: Path) -> Path:
    path = tmp_path / "heldout_sha1.txt"
    path.write_text(normalised_sha1("没有人见过的句子") + "\n", encoding="ascii")
    return path


def written(folder: Path) -> list[dict]:
    lines = [
        line for part in ("train", "dev") for line in (folder / f"weak.{part}.jsonl").read_text("utf-8").splitlines()
    ]
    return [json.loads(line) for line in lines]


def test_offsets_point_at_the_spans_and_every_type_is_in_the_schema(tmp_path, corpus, heldout):
    write_weak([corpus], tmp_path / "out", heldout=heldout, records=400)
    records = written(tmp_path / "out")
    assert len(records) >= 20
    for record in records:
        assert (record["task"], record["source"]) == ("ner", "weak")
        assert SHORTEST <= len(record["text"]) <= LONGEST
        assert record["info_list"]
        for [mark] in record["info_list"]:
            start, end = mark["offset"]
            assert record["text"][start:end] == mark["span"]
            assert mark["type"] in record["schema"]


def test_a_schema_asks_for_closed_types_that_are_not_in_the_text(tmp_path, corpus, heldout):
    write_weak([corpus], tmp_path / "out", heldout=heldout, records=400)
    lists = load_lists()
    closed = {name for kind in lists.kinds if kind.closed for name in kind.names}
    absent = []
    for record in written(tmp_path / "out"):
        found = {mark["type"] for [mark] in record["info_list"]}
        absent.append(set(record["schema"]) - found)
        assert absent[-1] <= closed
        assert 2 <= len(absent[-1]) <= 8
    assert len(set().union(*absent)) > 20, "always the same types are asked for in vain"


def test_held_out_texts_and_paragraphs_are_dropped(tmp_path, corpus):
    lines = corpus.read_text("utf-8").splitlines()
    hashes = tmp_path / "all.txt"
    hashes.write_text("\n".join(normalised_sha1(line) for line in lines[1:]) + "\n", encoding="ascii")
    write_weak([corpus], tmp_path / "out", heldout=hashes, records=100)
    assert [record["text"] for record in written(tmp_path / "out")] == lines[:1]


def test_two_runs_write_the_same_and_another_seed_other_records(tmp_path, corpus, heldout):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_weak([corpus], tmp_path / name, heldout=heldout, records=300, seed=seed)
    first, again, other = (written(tmp_path / name) for name in "abc")
    assert first == again
    assert first != other


def test_equal_texts_of_two_files_are_written_once(tmp_path, corpus, heldout):
    copy = tmp_path / "copy.txt"
    copy.write_text(corpus.read_text("utf-8"), encoding="utf-8")
    write_weak([corpus, copy], tmp_path / "out", heldout=heldout, records=1000)
    texts = [record["text"] for record in written(tmp_path / "out")]
    assert len(texts) == len(set(texts))


def test_no_type_fills_more_than_its_share(tmp_path, corpus, heldout):
    counts = write_weak([corpus], tmp_path / "out", heldout=heldout, records=1000)
    assert max(counts.values()) <= 50


def test_files_without_any_known_word_are_refused(tmp_path, heldout):
    path = tmp_path / "empty.txt"
    path.write_text("此地空空如也，什么都没有留下来，真的。\n", encoding="utf-8")
    with pytest.raises(InputError, match="语料"):
        write_weak([path], tmp_path / "out", heldout=heldout, records=10)


def test_the_longest_listed_word_is_taken():
    found = spans("她毕业后进了中国人民银行，先生在哥伦比亚大学教书。")
    assert found["银行"] == ["中国人民银行"]
    assert found["大学"] == ["哥伦比亚大学"]
    assert "国家" not in found


def test_characters_that_belong_to_another_word_are_not_taken():
    assert "宗教场所" not in spans("他们打算下周一起去参加一个座谈会。")
    assert "星期" not in spans("他们打算下周一起去参加一个座谈会。")
    assert "古典名著" not in spans("请打开浏览器的历史记录再找一遍。")


def test_words_in_latin_letters_stand_alone():
    assert spans("他用 Python 写了一个小程序。")["编程语言"] == ["Python"]
    assert "编程语言" not in spans("他读完了 Python.h 和 PythonTeX 的说明。")


def test_a_type_that_may_occur_unlisted_is_left_out():
    assert spans("他在香港吃了草莓。")["水果"] == ["草莓"]
    assert "水果" not in spans("他在香港吃了草莓和蛇皮果。")


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("会议定于2023年5月12日召开。", "日期", ["2023年5月12日"]),
        ("这台机器卖3,200.50元，运费另付20美元。", "金额", ["3,200.50元", "20美元"]),
        ("同比增长12.5%，比重达百分之三十。", "百分比", ["12.5%", "百分之三十"]),
        ("他今年四十五岁，女儿8岁。", "年龄", ["四十五岁", "8岁"]),
        ("依照《中华人民共和国刑法》判决。", "法规名称", ["中华人民共和国刑法"]),
        ("我昨晚看完了《活着》。", "作品名", ["活着"]),
        ("他说：“明天一定会下雨的。”", "引语", ["明天一定会下雨的。"]),
        ("请写信到 some.one@example.com 联系。", "邮箱", ["some.one@example.com"]),
        ("主队以3比0击败客队。", "比分", ["3比0"]),
        ("根据《民法典》第一千零七十九条的规定办理。", "法律条款", ["第一千零七十九条"]),
        ("请升级到 v2.10.3 再试。", "版本号", ["v2.10.3"]),
        ("被告人被判处有期徒刑三年六个月。", "刑期", ["三年六个月"]),
    ],
)
def test_patterns_have_exact_borders(text, kind, expected):
    assert spans(text)[kind] == expected


def test_a_name_belongs_to_one_type_and_every_type_has_several():
    names = [kind.names for kind in load_lists().kinds]
    flat = [name for group in names for name in group]
    assert len(flat) == len(set(flat))
    assert all(2 <= len(group) <= 5 for group in names)
    assert len(names) > len(PATTERNS) + 60


def test_a_long_file_takes_little_time(tmp_path, corpus, heldout):
    started = time.perf_counter()
    write_weak([corpus], tmp_path / "out", heldout=heldout, records=100)
    assert time.perf_counter() - started < 5

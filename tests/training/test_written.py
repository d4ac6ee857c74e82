"""The project's own training texts, from the form that people write to records."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.errors import FormatError
from core.training.converters.record import problem
from core.training.heldout import normalised_sha1
from core.training.samples import read_record
from core.training.written import read_records, write

TEXTS = """
# 一条注释
@ner 产品名称 故障现象 诉求
{海棠牌电水壶|产品名称}{底座漏电|故障现象}，{底座漏电|故障现象}！

@re 组织机构: 创始人(人物) 总部(地理位置)
{恒川动力|A}由{曾宇航|B}创立，{远帆|C}也是公司。
> A | 组织机构 | 创始人(人物) = B
> C | 组织机构

@ee 车祸: 时间 地点; 火灾: 时间
{昨夜|A}{沪渝高速|B}发生{追尾|T}。
> T | 车祸 | 时间 = A | 地点 = B

@absa
{位置|A}{很好|B}，{有点吵|C}。
> A | 正 | B
> # | 负 | C

@coref
{小王|+}把伞给了{小李|-}，因为{他|?}有两把。

@nli
蕴含 > 他在弹吉他 || 有人在演奏

@matching
0 > 怎么退款？ || 怎么登录？

@mrc
图书馆在人民路，免费开放。
? 图书馆在哪里？ = 人民路
? 谁建的？ =

@hierarchy 投诉: 物流 质量; 咨询: 价格
投诉/物流 > 快递三天没动了。

@choice
小李今天加班，晚饭在公司吃的。
? 小李在哪里吃的晚饭？ = 公司 | 家里

@sentiment
负 > 太差了

@multilabel 甲类 乙类 丙类
甲类 丙类 > 甲和丙
"""


def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "texts.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_task_becomes_sound_records_that_training_reads(tmp_path: Path) -> None:
    records = read_records(file(tmp_path, TEXTS))
    assert {record.task for record in records} == set(
        ["ner", "re", "ee", "absa", "coref", "nli", "matching", "mrc", "hierarchy", "choice", "sentiment", "multilabel"]
    )
    for record in records:
        assert problem(record) == ""
        read_record({"text": record.text, "info_list": record.info_list, "schema": record.schema})


def test_spans_roles_and_answers_stand_where_they_were_marked(tmp_path: Path) -> None:
    by_task = {record.task: record for record in read_records(file(tmp_path, TEXTS))}

    def spans(task: str) -> list[list[tuple[str, str]]]:
        return [[(one["type"], one["span"]) for one in path] for path in by_task[task].info_list]

    assert spans("ner") == [[("产品名称", "海棠牌电水壶")], [("故障现象", "底座漏电")], [("故障现象", "底座漏电")]]
    assert spans("re") == [[("组织机构", "恒川动力"), ("创始人(人物)", "曾宇航")], [("组织机构", "远帆")]]
    trigger = ("车祸(事件触发词)", "追尾")
    assert spans("ee") == [[trigger, ("时间", "昨夜")], [trigger, ("地点", "沪渝高速")]]
    assert by_task["absa"].text == "#位置很好，有点吵。"
    assert spans("absa")[1] == [("属性词", "#"), ("负向情感(情感词)", "有点吵")]
    assert by_task["coref"].text.endswith("因为他(代词)有两把。") and "（候选词）" in by_task["coref"].text
    assert set(by_task["mrc"].schema) == {"图书馆在哪里？", "谁建的？"} and len(spans("mrc")) == 1
    assert [path[-1][0] for path in spans("multilabel")] == ["甲类", "丙类"]


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("@poem x\n正文", "@任务"),
        ("@ner 甲\n{正文|甲", "不成对"),
        ("@ner 甲\n{正文|乙}", "type not in the schema"),
        ("@re 甲: 乙\n{正|A}文\n> B | 甲", "恰好有一处"),
        ("@sentiment\n好 > 正文", "好"),
        ("@nli\n蕴含 > 只有一段", "甲 || 乙"),
        ("@mrc\n正文\n? 问题 = 没有", "不在正文里"),
    ],
)
def test_faults_are_named_with_their_text(block: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=message):
        read_records(file(tmp_path, block))


def test_held_out_texts_are_dropped_and_sides_are_chosen_by_the_text(tmp_path: Path) -> None:
    path = file(tmp_path, "@ner 甲\n" + "\n".join(f"{{第{n}句|甲}}话" for n in range(200)))
    counts = write([path], tmp_path / "out", heldout=frozenset([normalised_sha1("第7句话")]))
    assert counts["held out"] == 1 and counts["train"] + counts["dev"] == 199 and 5 < counts["dev"] < 40
    again = write([path], tmp_path / "again", heldout=frozenset())
    assert again["dev"] in (counts["dev"], counts["dev"] + 1)
    rows = [json.loads(line) for line in (tmp_path / "out" / "written.train.jsonl").read_text().splitlines()]
    assert all(row["task"] == "ner" and row["source"] == "written" for row in rows)


def test_the_texts_of_the_project_are_sound() -> None:
    for path in sorted((Path(__file__).parents[2] / "data" / "training").glob("*.txt")):
        assert read_records(path)

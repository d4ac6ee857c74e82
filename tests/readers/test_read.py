"""From a named file to documents."""

from __future__ import annotations

import json

import pytest

from core.errors import FormatError
from core.readers import read
from core.types import Document, Span

COMPLAINTS = (
    '编号,内容,渠道,日期\nT1,宽带经常断线,电话,2026-01-02\nT2,"师傅说""明天""来,没来\n打电话也没人接",网站,2026-01-03\n'
)


def texts(report: object) -> list[str]:
    return [document.text for document in report.documents]  # type: ignore[attr-defined]


# plain text


def test_short_lines_become_one_document_each() -> None:
    report = read("留言.txt", "屏幕碎了\n\n  电池不耐用\n".encode())
    assert report.documents == (
        Document("屏幕碎了", id="留言-1", name="留言.txt", metadata={"来源行": "1"}),
        Document("  电池不耐用", id="留言-3", name="留言.txt", metadata={"来源行": "3"}),
    )
    assert any("每个非空行" in note for note in report.notes)
    assert any("跳过 1 个空行" in note for note in report.notes)


def test_long_lines_stay_one_document() -> None:
    text = ("很长的一段。" * 100 + "\n") * 3
    report = read("文章.txt", text.encode())
    assert texts(report) == [text]
    assert any("整个文件" in note for note in report.notes)


def test_markdown_stays_one_document() -> None:
    assert texts(read("a.md", "# 标题\n\n正文".encode())) == ["# 标题\n\n正文"]


def test_paragraphs_are_split_at_blank_lines() -> None:
    report = read("a.txt", "第一段\n还是第一段\n \n\n第二段\n".encode(), split="paragraph")
    assert texts(report) == ["第一段\n还是第一段", "第二段"]


def test_the_whole_file_is_kept_on_request() -> None:
    assert texts(read("a.txt", "一\n二\n".encode(), split="file")) == ["一\n二\n"]


# tables


def test_a_table_is_read_by_its_column_names() -> None:
    report = read("投诉.csv", COMPLAINTS.encode("utf-8-sig"))
    assert report.columns == ("编号", "内容", "渠道", "日期")
    assert report.documents[1] == Document(
        '师傅说"明天"来,没来\n打电话也没人接',
        id="T2",
        name="投诉.csv",
        metadata={"渠道": "网站", "日期": "2026-01-03"},
    )
    assert report.problems == ()


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16"])
def test_a_table_saved_by_chinese_excel_is_read(encoding: str) -> None:
    report = read("投诉.csv", COMPLAINTS.replace("\n", "\r\n").encode(encoding))
    assert [document.id for document in report.documents] == ["T1", "T2"]
    assert report.documents[0].text == "宽带经常断线"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str) -> None:
    rows = [["id", "text", "渠道"], ["1", "断线，很久了", "电话"], ["2", "没人来", "网站"]]
    data = "\n".join(delimiter.join(row) for row in rows).encode()
    report = read("a.csv", data)
    assert texts(report) == ["断线，很久了", "没人来"]


def test_tab_separated_text_may_hold_bare_quotes() -> None:
    report = read("a.tsv", 'id\ttext\n1\t"明天"来\n2\t他说"好\n3\t"没有下文\n4\t完\n'.encode())
    assert texts(report) == ['"明天"来', '他说"好', '"没有下文', "完"]


def test_pairs_are_read_from_two_columns() -> None:
    report = read("pairs.tsv", "sentence1\tsentence2\tlabel\n怎么退款\t如何退货\t0\n".encode())
    assert report.documents[0].text == "怎么退款"
    assert report.documents[0].text_pair == "如何退货"
    assert report.documents[0].metadata == {"label": "0"}


def test_the_text_column_can_be_named() -> None:
    report = read("a.csv", "text,回复\n一,二\n".encode(), text_column="回复")
    assert report.documents[0].text == "二"
    assert report.documents[0].metadata == {"text": "一"}


def test_a_missing_text_column_is_told_with_the_columns_there_are() -> None:
    with pytest.raises(FormatError, match="没有名为“正题”的列。现有的列：text、回复"):
        read("a.csv", "text,回复\n一,二\n".encode(), text_column="正题")


@pytest.mark.parametrize("name", ["投诉编号", "热线单号", "受理流水号", "ticket_id", "Case No", "ＩＤ编号"])
def test_a_column_that_sounds_like_a_number_and_repeats_none_is_the_id(name: str) -> None:
    report = read("a.csv", f"门店编号,{name},投诉内容\nA1,T1,宽带断线\nA1,T2,没人来\n".encode())
    assert [document.id for document in report.documents] == ["T1", "T2"]
    assert report.documents[0].metadata == {"门店编号": "A1"}
    assert any(f"编号列：{name}" in note for note in report.notes)


@pytest.mark.parametrize("cells", [("A1", "A1"), ("A1", "")])
def test_a_number_that_is_repeated_or_missing_is_no_id(cells: tuple[str, str]) -> None:
    report = read("a.csv", f"投诉编号,投诉内容\n{cells[0]},宽带断线\n{cells[1]},没人来\n".encode())
    assert [document.id for document in report.documents] == ["a-1", "a-2"]
    assert [document.metadata["投诉编号"] for document in report.documents] == list(cells)


def test_the_longest_column_is_the_text_when_none_is_named() -> None:
    report = read("a.csv", "渠道,客户原话\n电话,宽带断了三天还没有人来修\n网站,已经投诉了三次都没有回音\n".encode())
    assert report.documents[0].text == "宽带断了三天还没有人来修"
    assert any("第一行看来是表头" in note for note in report.notes)


def test_an_unclear_text_column_is_asked_for_by_name() -> None:
    with pytest.raises(FormatError, match="无法确定哪一列是正文。现有的列：问、答"):
        read("a.csv", "问,答\n你好吗,我很好\n去哪里,去上海\n".encode())


def test_a_table_without_a_header_loses_no_row() -> None:
    report = read("a.csv", "1,宽带断了三天还没有人来修理\n2,已经投诉了三次都没有回音\n".encode())
    assert len(report.documents) == 2
    assert any("不像表头" in note for note in report.notes)
    assert report.columns == ("列1", "列2")


def test_one_column_without_a_header_loses_no_row() -> None:
    assert texts(read("a.csv", "宽带断了\n没有人来\n".encode())) == ["宽带断了", "没有人来"]


def test_blank_and_ragged_rows_are_reported_by_line() -> None:
    data = "id,text,渠道\n1,好,电话\n2, ,网站\n\n3,差\n4,一般,网站,多出来的\n".encode()
    report = read("a.csv", data)
    assert texts(report) == ["好", "差", "一般"]
    assert report.documents[2].metadata == {"渠道": "网站", "列4": "多出来的"}
    assert [problem.split("，")[0] for problem in report.problems] == [
        "第 3 行的正文为空",
        "第 5 行的列数少于表头",
        "第 6 行的列数多于表头",
    ]


def test_unpaired_quotes_name_the_line_they_start_at() -> None:
    with pytest.raises(FormatError, match="从第 3 行开始.*引号不成对"):
        read("a.csv", 'id,text\n1,好\n2,"没有结束\n3,差\n'.encode())


def test_repeated_and_blank_column_names_hide_nothing() -> None:
    report = read("a.csv", "text,备注,备注,\n好,一,二,三\n".encode())
    assert report.documents[0].metadata == {"备注": "一", "备注_3": "二", "列4": "三"}


def test_a_cell_may_hold_a_whole_document() -> None:
    text = "很长" * 200_000
    assert texts(read("a.csv", f"id,text\n1,{text}\n".encode())) == [text]


def test_a_table_of_only_a_header_is_refused() -> None:
    with pytest.raises(FormatError, match="只有表头"):
        read("a.csv", b"id,text\n")


# JSON


def test_json_lines_bring_every_input() -> None:
    line = {
        "id": 7,
        "text": "😀小明说他喜欢小明的手机屏幕",
        "text_pair": "第二段",
        "aspects": ["屏幕"],
        "candidates": [[1, 3], "小明"],
        "pronouns": ["他"],
        "schema": {"人物": None},
        "渠道": "电话",
        "评分": 4.5,
        "metadata": {"日期": "今天"},
    }
    report = read("a.jsonl", json.dumps(line).encode())
    assert report.documents == (
        Document(
            "😀小明说他喜欢小明的手机屏幕",
            id="7",
            name="a.jsonl",
            text_pair="第二段",
            aspects=("屏幕",),
            candidates=(Span(1, 3, "小明"), Span(1, 3, "小明")),
            pronouns=(Span(4, 5, "他"),),
            metadata={"日期": "今天", "渠道": "电话", "评分": "4.5"},
        ),
    )
    assert report.schemas == ({"人物": None},)


def test_bad_lines_are_reported_and_the_good_ones_kept() -> None:
    lines = [
        '{"text": "好"}',
        "{text: 坏}",
        "",
        '{"内容": "也好"}',
        '{"title": "没有正文"}',
        "[1]",
        '{"text": 5}',
        '{"text": "短", "candidates": [[0, 9]]}',
        '{"text": "短", "pronouns": ["他"]}',
        '{"text": "\\ud83d"}',
        '{"text": "短", "schema": 3}',
        '"只有字符串"',
    ]
    report = read("a.jsonl", "\n".join(lines).encode())
    assert texts(report) == ["好", "也好", "只有字符串"]
    assert [document.id for document in report.documents] == ["a-1", "a-4", "a-12"]
    assert [problem.split("：")[0] for problem in report.problems] == [f"第 {n} 行" for n in (2, 5, 6, 7, 8, 9, 10, 11)]


def test_many_bad_lines_are_counted_not_listed() -> None:
    report = read("a.jsonl", ('{"text": "好"}\n' + "坏\n" * 100).encode())
    assert len(report.problems) == 21
    assert "共 100 处" in report.problems[-1]


def test_a_json_list_and_a_single_object_are_read() -> None:
    assert texts(read("a.json", '[{"text": "一"}, "二"]'.encode())) == ["一", "二"]
    assert texts(read("a.json", '{\n "text": "一"\n}'.encode())) == ["一"]


def test_a_broken_json_list_names_the_place() -> None:
    with pytest.raises(FormatError, match="第 2 行第"):
        read("a.json", '[{"text": "一"},\n {"text": 二}]'.encode())


def test_hostile_nesting_is_refused_without_a_crash() -> None:
    with pytest.raises(FormatError):
        read("a.json", b"[" * 200_000)


def test_a_list_of_types_is_a_schema() -> None:
    report = read(
        "a.jsonl", '{"text": "一", "schema": ["人物", "地点"]}\n{"text": "二", "schema": "{\\"人物\\": null}"}'.encode()
    )
    assert report.schemas == ({"人物": None, "地点": None}, {"人物": None})


# any file


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.pptx", b"x", "不支持“a.pptx”的格式.*txt、md、csv"),
        ("a.docx", b"x", "扩展名是 docx，内容却不是Word 文档"),
        ("没有后缀", b"x", "不支持"),
        ("a.txt", b"", "空文件"),
        ("a.csv", b" \n\t\n", "只有空白"),
        ("a.csv", b"PK\x03\x04abc", "“a.csv”：这是Office"),
        ("a.jsonl", b"{}", "“a.jsonl”中没有可用的内容"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_plain_words(name: str, data: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read(name, data)


def test_a_file_over_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.readers.files.LIMIT_BYTES", 1024**2)
    with pytest.raises(FormatError, match="2 MB，超过上限 1 MB"):
        read("a.txt", b"x" * 2 * 1024**2)


def test_a_path_in_the_name_is_dropped() -> None:
    assert read("C:\\Users\\x\\..\\a.txt", "好".encode()).documents[0].name == "a.txt"
    assert read("../../etc/a.txt", "好".encode()).documents[0].name == "a.txt"


def test_a_table_out_of_chinese_excel_says_how_many_rows_were_empty_and_how_many_ids_come_again() -> None:
    rows = ["工单号,投诉内容,备注", 'W1,"第一行\n第二行",', ",,", "W1,退款一直不到账,", " , ,", "W2,客服不回消息,"]
    report = read("投诉.csv", "\r\n".join(rows).encode("gb18030"))
    assert texts(report) == ["第一行\n第二行", "退款一直不到账", "客服不回消息"]
    assert [document.id for document in report.documents] == ["W1", "W1", "W2"]
    assert any("跳过 2 个所有单元格都为空的行" in note for note in report.notes)
    assert any("“工单号”有 1 行的编号在前面出现过" in note for note in report.notes)
    assert not any("出现过" in note for note in read("b.csv", COMPLAINTS.encode()).notes)

"""Result files: the table for Excel, our own JSON lines, the reference's form."""

from __future__ import annotations

import csv
import io
import json

import pytest

from core.errors import FormatError
from core.exporters import write
from core.exporters.csv import COLUMNS
from core.exporters.native import to_dict
from core.exporters.rex import to_rex
from core.readers import read
from core.types import AnnotatedDocument, Annotation, Document, Link

TEXT = "😀张伟的妻子是李娜"
HEAD = Link("人物", 1, 3, "张伟", 0.9, 0.95)
RESULT = AnnotatedDocument(
    Document(TEXT, id="T1", name="人物.txt"),
    "re",
    (Annotation("人物", 1, 3, "张伟", 0.98765432, (Annotation("配偶(人物)", 7, 9, "李娜", 0.5),)),),
    windows=2,
    paths=((HEAD,), (HEAD, Link("配偶(人物)", 7, 9, "李娜", 0.5, 0.6))),
)
NOTHING = AnnotatedDocument(Document("没有人物"), "re", ())


def table(results: list[AnnotatedDocument]) -> list[dict[str, str]]:
    text = write(results, "csv").data.decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_the_table_has_the_mark_and_line_ends_that_excel_wants() -> None:
    data = write([RESULT], "csv").data
    assert data.startswith(b"\xef\xbb\xbf")
    assert data.count(b"\r\n") == 3
    assert data.replace(b"\r\n", b"").count(b"\n") == 0


def test_every_finding_has_a_row_with_its_parent() -> None:
    rows = table([RESULT])
    assert tuple(rows[0]) == COLUMNS
    assert list(rows[0].values()) == ["T1", "人物.txt", "re", "人物", "张伟", "1", "3", "0.987654", "", "", "1", TEXT]
    assert list(rows[1].values())[3:11] == ["配偶(人物)", "李娜", "7", "9", "0.5", "人物", "张伟", "2"]
    for row in rows:
        assert row["原文"][int(row["开始"]) : int(row["结束"])] == row["文本"]


def test_a_document_without_findings_still_has_a_row() -> None:
    rows = table([RESULT, NOTHING])
    assert len(rows) == 3
    assert (rows[2]["类型"], rows[2]["原文"]) == ("", "没有人物")


def test_a_class_has_no_offsets() -> None:
    row = table([AnnotatedDocument(Document("很好"), "sentiment", (Annotation("正向", None, None, "", 0.9),))])[0]
    assert (row["类型"], row["文本"], row["开始"], row["结束"]) == ("正向", "", "", "")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_cells_that_would_run_as_formulas_are_guarded(start: str) -> None:
    text = start + 'HYPERLINK("http://x")'
    result = AnnotatedDocument(Document(text, id=text, name=text), "ner", (Annotation(text, 0, 2, text[:2], 0.5),))
    row = table([result])[0]
    for column in ("文档编号", "文档名称", "类型", "原文"):
        assert row[column] == "'" + text
    assert row["文本"] == "'" + text[:2]
    assert any("5 处" in line and "公式" in line for line in write([result], "csv").report)


def test_quotes_commas_and_line_breaks_survive_the_table() -> None:
    text = '他说"好",\n然后\r\n走了'
    assert table([AnnotatedDocument(Document(text), "ner", ())])[0]["原文"] == text


def test_the_table_says_what_it_leaves_out() -> None:
    document = Document("一", text_pair="二", aspects=("屏幕",), metadata={"渠道": "电话"})
    report = write([AnnotatedDocument(document, "nli", (), notes=("两个窗口",)), NOTHING], "csv").report
    for word in ("第二文本", "元数据", "属性词", "提示"):
        assert any(word in line and "没有写入（1 处" in line for line in report)
    assert write([RESULT], "csv").report == ()


def test_a_cell_too_long_for_excel_is_kept_and_told() -> None:
    result = AnnotatedDocument(Document("长" * 40_000), "ner", ())
    assert table([result])[0]["原文"] == "长" * 40_000
    assert any("Excel 显示时会截断" in line for line in write([result], "csv").report)


def test_our_own_form_holds_the_whole_tree() -> None:
    assert to_dict(RESULT) == {
        "id": "T1",
        "name": "人物.txt",
        "text": TEXT,
        "task": "re",
        "windows": 2,
        "annotations": [
            {
                "type": "人物",
                "start": 1,
                "end": 3,
                "text": "张伟",
                "score": 0.987654,
                "children": [
                    {"type": "配偶(人物)", "start": 7, "end": 9, "text": "李娜", "score": 0.5, "children": []},
                ],
            }
        ],
    }


def test_our_own_form_shows_optional_fields_only_when_filled() -> None:
    document = Document("一", text_pair="", metadata={"渠道": "电话"})
    fields = to_dict(AnnotatedDocument(document, "nli", (), notes=("提示",)))
    assert list(fields) == ["id", "text", "text_pair", "task", "windows", "annotations", "notes", "metadata"]
    assert list(to_dict(NOTHING)) == ["id", "text", "task", "windows", "annotations"]


def test_the_reference_form_is_exact() -> None:
    head = {"type": "人物", "span": "张伟", "offset": [1, 3]}
    assert to_rex(RESULT) == {
        "id": "T1",
        "output": [[head], [head, {"type": "配偶(人物)", "span": "李娜", "offset": [7, 9]}]],
    }
    assert to_rex(NOTHING) == {"output": []}


@pytest.mark.parametrize("format", ["jsonl", "rex-output"])
def test_json_lines_hold_one_readable_line_a_document(format: str) -> None:
    export = write([RESULT, NOTHING], format)
    lines = export.data.decode("utf-8").splitlines()
    assert len(lines) == 2 and export.data.endswith(b"\n")
    assert "张伟" in lines[0]
    assert json.loads(lines[0]) == (to_dict if format == "jsonl" else to_rex)(RESULT)


def test_half_a_surrogate_pair_survives_json_lines() -> None:
    result = AnnotatedDocument(Document("坏\ud83d字"), "ner", ())
    assert json.loads(write([result], "jsonl").data)["text"] == "坏\ud83d字"


def test_the_reference_form_says_when_paths_are_missing() -> None:
    result = AnnotatedDocument(Document("一"), "ner", (Annotation("人物", 0, 1, "一", 0.9),))
    assert any("没有路径形式" in line for line in write([result], "rex-output").report)


def test_our_own_results_can_be_imported_again() -> None:
    report = read("结果.jsonl", write([RESULT, NOTHING], "jsonl").data)
    assert [document.text for document in report.documents] == [TEXT, "没有人物"]
    assert report.documents[0].id == "T1" and dict(report.documents[0].metadata) == {}
    assert any("已有的标注结果" in note for note in report.notes)


def test_our_own_table_can_be_imported_again() -> None:
    report = read("结果.csv", write([RESULT], "csv").data)
    assert report.columns == COLUMNS
    assert {(document.id, document.text) for document in report.documents} == {("T1", TEXT)}


def test_file_names_say_the_task_and_format() -> None:
    assert write([RESULT], "csv").filename == "annotations-re.csv"
    assert write([RESULT], "rex").filename == "annotations-re.rex.jsonl"
    other = AnnotatedDocument(Document("一"), "ner", ())
    assert write([RESULT, other], "jsonl").filename == "annotations-all.jsonl"


def test_an_unknown_format_and_no_results_are_refused() -> None:
    with pytest.raises(FormatError, match="不支持导出格式“docx”。可选：native、rex、rex-output、doccano"):
        write([RESULT], "docx")
    with pytest.raises(FormatError, match="没有可导出的结果"):
        write([], "csv")
